// Where the partitions of a table are, and what a table is.

namespace go admin

include "dsn.thrift"

// State of a table. AS_CREATE_FAILED and AS_DROP_FAILED are history.
enum app_status {
  AS_INVALID = 0,
  AS_AVAILABLE = 1,
  AS_CREATING = 2,
  AS_CREATE_FAILED = 3,
  AS_DROPPING = 4,
  AS_DROP_FAILED = 5,
  AS_DROPPED = 6,
  AS_RECALLING = 7,
}

// One partition: who holds it and who leads.
struct partition_configuration {
  1: dsn.gpid pid
  2: i64 ballot                         // at least 1 when ready: clients take less for an unfinished split
  3: i32 max_replica_count              // wanted replicas, not present ones
  4: dsn.rpc_address primary            // 0 = none
  5: list<dsn.rpc_address> secondaries
  6: list<dsn.rpc_address> last_drops   // replicas removed lately
  7: i64 last_committed_decree
  8: i32 partition_flags                // bit 0 = dropped; 0 is sent
  9: optional dsn.host_port hp_primary  // the hp fields go to peers that understand them
  10: optional list<dsn.host_port> hp_secondaries
  11: optional list<dsn.host_port> hp_last_drops
}

// RPC_CM_QUERY_PARTITION_CONFIG_BY_INDEX: clients ask for routing.
struct query_cfg_request {
  1: string app_name
  2: list<i32> partition_indices  // empty = all
}

// One entry per wanted partition. A meta server that does not lead answers
// ERR_FORWARD_TO_OTHERS with the leader as primary of entry 0.
struct query_cfg_response {
  1: dsn.error_code err
  2: i32 app_id
  3: i32 partition_count
  4: bool is_stateful  // true when answered, false when forwarded
  5: list<partition_configuration> partitions
}

// What java puts in front of a request in place of the fixed header.
struct request_meta {
  1: i32 app_id
  2: i32 partition_index
  3: i32 client_timeout      // milliseconds
  4: i64 partition_hash      // unsigned
  5: bool is_backup_request  // a follower may answer
}

// A table as the tools see it.
struct app_info {
  1: app_status status = app_status.AS_INVALID
  2: string app_type                           // "pegasus"
  3: string app_name
  4: i32 app_id                                // from 1 up, never reused
  5: i32 partition_count
  6: map<string,string> envs
  7: bool is_stateful                          // true
  8: i32 max_replica_count
  9: i64 expire_second                         // unix time at which a dropped table is purged, else 0
  10: i64 create_second                        // unix time
  11: i64 drop_second                          // unix time, 0 if not dropped
  12: optional bool duplicating = false
  13: i32 init_partition_count = -1            // before the first split
  14: optional bool is_bulk_loading = false
  15: optional bool atomic_idempotent = false  // atomic writes are logged as plain puts
}
