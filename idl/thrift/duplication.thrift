// Copying a table's writes to another cluster.

namespace go admin

include "dsn.thrift"
include "utils.thrift"

enum duplication_mode {
  FULL = 0,
  INCREMENTAL = 1,
}

enum duplication_status {
  DS_INIT = 0,
  DS_PREPARE = 1,
  DS_APP = 2,
  DS_LOG = 3,
  DS_PAUSE = 4,
  DS_REMOVED = 5,
}

// What to do with a write the other cluster refuses.
enum duplication_fail_mode {
  FAIL_SLOW = 0,
  FAIL_SKIP = 1,
  FAIL_FAST = 2,
}

// RPC_CM_ADD_DUPLICATION
struct duplication_add_request {
  1: string app_name
  2: string remote_cluster_name
  3: optional bool is_duplicating_checkpoint = true  // copy what is there already
  4: optional string remote_app_name                 // absent = the same name
  5: optional i32 remote_replica_count               // absent or 0 = the same
}

struct duplication_add_response {
  1: dsn.error_code err
  2: i32 appid
  3: i32 dupid
  4: optional string hint
  5: optional string remote_app_name
  6: optional i32 remote_replica_count
}

// RPC_CM_MODIFY_DUPLICATION
struct duplication_modify_request {
  1: string app_name
  2: i32 dupid
  3: optional duplication_status status
  4: optional duplication_fail_mode fail_mode
}

struct duplication_modify_response {
  1: dsn.error_code err
  2: i32 appid
}

struct duplication_partition_state {
  1: i64 confirmed_decree
  2: i64 last_committed_decree
}

// Id 6 is not in use.
struct duplication_entry {
  1: i32 dupid
  2: duplication_status status
  3: string remote                                                    // cluster
  4: i64 create_ts                                                    // milliseconds
  5: optional map<i32,i64> progress                                   // confirmed index by partition
  7: optional duplication_fail_mode fail_mode
  8: optional string remote_app_name
  9: optional i32 remote_replica_count
  10: optional duplication_mode mode
  11: optional map<i32,duplication_partition_state> partition_states  // by partition; in lists only
}

struct duplication_app_state {
  1: i32 appid
  2: map<i32,duplication_entry> duplications  // by duplication id
  3: string app_name
  4: i32 partition_count
}

// RPC_CM_QUERY_DUPLICATION
struct duplication_query_request {
  1: string app_name
}

// Id 2 is not in use.
struct duplication_query_response {
  1: dsn.error_code err
  3: i32 appid
  4: list<duplication_entry> entry_list
}

// RPC_CM_LIST_DUPLICATION
struct duplication_list_request {
  1: string app_name_pattern
  2: utils.pattern_match_type match_type
}

struct duplication_list_response {
  1: dsn.error_code err
  2: string hint_message
  3: map<string,duplication_app_state> app_states  // by table name
}
