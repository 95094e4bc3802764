// Backup and restore, by policy or once.

namespace go admin

include "dsn.thrift"

// RPC_CM_START_RESTORE: a new table from a backup. Answered like create_app.
struct configuration_restore_request {
  1: string cluster_name  // that made the backup
  2: string policy_name   // empty for a single backup
  3: i64 time_stamp       // backup id
  4: string app_name      // at the time of the backup
  5: i32 app_id           // at the time of the backup
  6: string new_app_name
  7: string backup_provider_name
  8: bool skip_bad_partition
  9: optional string restore_path
}

// RPC_CM_MODIFY_BACKUP_POLICY: what is absent stays as it is.
struct configuration_modify_backup_policy_request {
  1: string policy_name
  2: optional list<i32> add_appids
  3: optional list<i32> removal_appids
  4: optional i64 new_backup_interval_sec
  5: optional i32 backup_history_count_to_keep
  6: optional bool is_disable
  7: optional string start_time   // "hh:mm"
  8: optional bool force_disable  // even while a backup runs
}

struct configuration_modify_backup_policy_response {
  1: dsn.error_code err
  2: string hint_message
}

// RPC_CM_ADD_BACKUP_POLICY
struct configuration_add_backup_policy_request {
  1: string backup_provider_type
  2: string policy_name
  3: list<i32> app_ids
  4: i64 backup_interval_seconds
  5: i32 backup_history_count_to_keep
  6: string start_time  // "hh:mm"
}

struct configuration_add_backup_policy_response {
  1: dsn.error_code err
  2: string hint_message
}

struct policy_entry {
  1: string policy_name
  2: string backup_provider_type
  3: string backup_interval_seconds  // a number as text
  4: set<i32> app_ids
  5: i32 backup_history_count_to_keep
  6: string start_time
  7: bool is_disable
}

// One run of a policy.
struct backup_entry {
  1: i64 backup_id
  2: i64 start_time_ms
  3: i64 end_time_ms  // 0 = running
  4: set<i32> app_ids
}

// RPC_CM_QUERY_BACKUP_POLICY
struct configuration_query_backup_policy_request {
  1: list<string> policy_names  // empty = all
  2: i32 backup_info_count      // runs to return per policy
}

struct configuration_query_backup_policy_response {
  1: dsn.error_code err
  2: list<policy_entry> policys
  3: list<list<backup_entry>> backup_infos  // one list per policy
  4: optional string hint_msg
}

// RPC_CM_QUERY_RESTORE_STATUS
struct configuration_query_restore_request {
  1: i32 restore_app_id
}

// One entry per partition in each list.
struct configuration_query_restore_response {
  1: dsn.error_code err
  2: list<dsn.error_code> restore_status
  3: list<i32> restore_progress  // per mille
}

// RPC_CM_START_BACKUP_APP: one backup of one table, now.
struct start_backup_app_request {
  1: string backup_provider_type
  2: i32 app_id
  3: optional string backup_path
}

struct start_backup_app_response {
  1: dsn.error_code err
  2: string hint_message
  3: optional i64 backup_id  // unix milliseconds
}

struct backup_item {
  1: i64 backup_id
  2: string app_name
  3: string backup_provider_type
  4: string backup_path
  5: i64 start_time_ms
  6: i64 end_time_ms  // 0 = running
  7: bool is_backup_failed
}

// RPC_CM_QUERY_BACKUP_STATUS
struct query_backup_status_request {
  1: i32 app_id
  2: optional i64 backup_id  // absent = all of the table
}

struct query_backup_status_response {
  1: dsn.error_code err
  2: string hint_message
  3: optional list<backup_item> backup_items
}
