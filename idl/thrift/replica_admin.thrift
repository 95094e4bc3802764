// Questions to a single replica server.

namespace go admin

include "dsn.thrift"
include "metadata.thrift"

// Between servers only.
enum disk_migration_status {
  IDLE = 0,
  MOVING = 1,
  MOVED = 2,
  CLOSED = 3,
}

enum hotkey_type {
  READ = 0,
  WRITE = 1,
}

enum detect_action {
  START = 0,
  STOP = 1,
  QUERY = 2,
}

// RPC_QUERY_REPLICA_INFO
struct query_replica_info_request {
  1: dsn.rpc_address node1
  2: optional dsn.host_port hp_node1
}

struct query_replica_info_response {
  1: dsn.error_code err
  2: list<metadata.replica_info> replicas
}

// One data directory.
struct disk_info {
  1: string tag
  2: string full_dir
  3: i64 disk_capacity_mb
  4: i64 disk_available_mb
  5: map<i32,set<dsn.gpid>> holding_primary_replicas    // by table
  6: map<i32,set<dsn.gpid>> holding_secondary_replicas  // by table
}

// RPC_QUERY_DISK_INFO
struct query_disk_info_request {
  1: dsn.rpc_address node1
  2: string app_name  // empty = all tables
  3: optional dsn.host_port hp_node1
}

struct query_disk_info_response {
  1: dsn.error_code err
  2: i64 total_capacity_mb
  3: i64 total_available_mb
  4: list<disk_info> disk_infos
}

// RPC_REPLICA_DISK_MIGRATE: move a replica between two disks of its node.
struct replica_disk_migrate_request {
  1: dsn.gpid pid
  2: string origin_disk
  3: string target_disk
}

struct replica_disk_migrate_response {
  1: dsn.error_code err
  2: optional string hint
}

// RPC_DETECT_HOTKEY
struct detect_hotkey_request {
  1: hotkey_type type
  2: detect_action action
  3: dsn.gpid pid
}

struct detect_hotkey_response {
  1: dsn.error_code err
  2: optional string err_hint
  3: optional string hotkey_result  // hash key, escaped
}

// RPC_ADD_NEW_DISK
struct add_new_disk_request {
  1: string disk_str  // "tag:dir,tag2:dir2"
}

struct add_new_disk_response {
  1: dsn.error_code err
  2: optional string err_hint
}
