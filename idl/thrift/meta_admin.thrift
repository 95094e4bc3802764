// Managing tables, nodes and the cluster through the meta servers. Outcomes are
// in the err field: clients cannot tell an error in the frame from silence here.

namespace go admin

include "dsn.thrift"
include "layer2.thrift"
include "utils.thrift"

// Steps of a balancing proposal.
enum config_type {
  CT_INVALID = 0,
  CT_ASSIGN_PRIMARY = 1,
  CT_UPGRADE_TO_PRIMARY = 2,
  CT_ADD_SECONDARY = 3,
  CT_UPGRADE_TO_SECONDARY = 4,
  CT_DOWNGRADE_TO_SECONDARY = 5,
  CT_DOWNGRADE_TO_INACTIVE = 6,
  CT_REMOVE = 7,
  CT_ADD_SECONDARY_FOR_LB = 8,
  CT_PRIMARY_FORCE_UPDATE_BALLOT = 9,
  CT_DROP_PARTITION = 10,
  CT_REGISTER_CHILD = 11,
}

enum node_status {
  NS_INVALID = 0,
  NS_ALIVE = 1,
  NS_UNALIVE = 2,
}

enum app_env_operation {
  APP_ENV_OP_INVALID = 0,
  APP_ENV_OP_SET = 1,
  APP_ENV_OP_DEL = 2,
  APP_ENV_OP_CLEAR = 3,
}

// How much the meta servers may do by themselves.
enum meta_function_level {
  fl_stopped = 100,
  fl_blind = 200,
  fl_freezed = 300,
  fl_steady = 400,
  fl_lively = 500,
  fl_invalid = 10000,
}

enum balancer_request_type {
  move_primary = 0,
  copy_primary = 1,
  copy_secondary = 2,
}

// RPC_CM_START_RECOVERY: rebuild the catalog from the replica servers.
struct configuration_recovery_request {
  1: list<dsn.rpc_address> recovery_nodes
  2: bool skip_bad_nodes
  3: bool skip_lost_partitions
  4: optional list<dsn.host_port> hp_recovery_nodes
}

struct configuration_recovery_response {
  1: dsn.error_code err
  2: string hint_message
}

struct create_app_options {
  1: i32 partition_count
  2: i32 replica_count
  3: bool success_if_exist  // an equal table is no error
  4: string app_type        // "pegasus"
  5: bool is_stateful       // true
  6: map<string,string> envs
  7: optional bool atomic_idempotent = false
}

// RPC_CM_CREATE_APP
struct configuration_create_app_request {
  1: string app_name
  2: create_app_options options
}

// Also the answer to a restore.
struct configuration_create_app_response {
  1: dsn.error_code err
  2: i32 appid  // of the new or the existing table
}

struct drop_app_options {
  1: bool success_if_not_exist     // a missing table is no error
  2: optional i64 reserve_seconds  // how long it can be recalled; absent = the server's default
}

// RPC_CM_DROP_APP
struct configuration_drop_app_request {
  1: string app_name
  2: drop_app_options options
}

struct configuration_drop_app_response {
  1: dsn.error_code err
}

// RPC_CM_RENAME_APP
struct configuration_rename_app_request {
  1: string old_app_name
  2: string new_app_name
}

struct configuration_rename_app_response {
  1: dsn.error_code err
  2: string hint_message
}

// RPC_CM_RECALL_APP: undo a drop.
struct configuration_recall_app_request {
  1: i32 app_id
  2: string new_app_name  // empty = the old name
}

struct configuration_recall_app_response {
  1: dsn.error_code err
  2: layer2.app_info info
}

// RPC_CM_LIST_APPS
struct configuration_list_apps_request {
  1: layer2.app_status status = layer2.app_status.AS_INVALID  // AS_INVALID = all
  2: optional string app_name_pattern
  3: optional utils.pattern_match_type match_type
}

struct configuration_list_apps_response {
  1: dsn.error_code err
  2: list<layer2.app_info> infos
  3: optional string hint_message
}

// RPC_QUERY_APP_INFO, to a replica server.
struct query_app_info_request {
  1: dsn.rpc_address meta_server
  2: optional dsn.host_port hp_meta_server
}

struct query_app_info_response {
  1: dsn.error_code err
  2: list<layer2.app_info> apps  // tables with a replica on the node
}

// RPC_CM_UPDATE_APP_ENV: settings of a table.
struct configuration_update_app_env_request {
  1: string app_name
  2: app_env_operation op = app_env_operation.APP_ENV_OP_INVALID
  3: optional list<string> keys    // SET and DEL
  4: optional list<string> values  // SET, side by side with keys
  5: optional string clear_prefix  // CLEAR; empty = all
}

struct configuration_update_app_env_response {
  1: dsn.error_code err
  2: string hint_message
}

// RPC_CM_START_MANUAL_COMPACT
struct start_app_manual_compact_request {
  1: string app_name
  2: optional i64 trigger_time       // unix seconds; absent = now
  3: optional i32 target_level       // -1 or from 1 up
  4: optional bool bottommost        // rewrite the lowest level too
  5: optional i32 max_running_count  // at once on one node
}

struct start_app_manual_compact_response {
  1: dsn.error_code err
  2: string hint_msg
}

// RPC_CM_QUERY_MANUAL_COMPACT_STATUS
struct query_app_manual_compact_request {
  1: string app_name
}

struct query_app_manual_compact_response {
  1: dsn.error_code err
  2: string hint_msg
  3: optional i32 progress  // percent
}

struct node_info {
  1: node_status status = node_status.NS_INVALID
  2: dsn.rpc_address node
  3: optional dsn.host_port hp_node
}

// RPC_CM_LIST_NODES
struct configuration_list_nodes_request {
  1: node_status status = node_status.NS_INVALID  // NS_INVALID = all
}

struct configuration_list_nodes_response {
  1: dsn.error_code err
  2: list<node_info> infos
}

// RPC_CM_CLUSTER_INFO
struct configuration_cluster_info_request {}

// Two lists side by side.
struct configuration_cluster_info_response {
  1: dsn.error_code err
  2: list<string> keys
  3: list<string> values
}

// RPC_CM_CONTROL_META: read or set the function level.
struct configuration_meta_control_request {
  1: meta_function_level level  // fl_invalid = only read
}

struct configuration_meta_control_response {
  1: dsn.error_code err
  2: meta_function_level old_level
}

struct configuration_proposal_action {
  1: dsn.rpc_address target  // node that acts
  2: dsn.rpc_address node    // node acted upon
  3: config_type type        // id 4 is not in use
  5: optional dsn.host_port hp_target
  6: optional dsn.host_port hp_node
}

// RPC_CM_PROPOSE_BALANCER: move one partition by hand.
struct configuration_balancer_request {
  1: dsn.gpid gpid
  2: list<configuration_proposal_action> action_list
  3: optional bool force = false  // at once
  4: optional balancer_request_type balance_type
}

struct configuration_balancer_response {
  1: dsn.error_code err
}

// RPC_CM_DDD_DIAGNOSE: partitions whose replicas are all down.
struct ddd_diagnose_request {
  1: dsn.gpid pid  // table -1 = all; partition -1 = the whole table
}

struct ddd_node_info {
  1: dsn.rpc_address node
  2: i64 drop_time_ms
  3: bool is_alive
  4: bool is_collected  // the state below is known
  5: i64 ballot         // -1 = no replica
  6: i64 last_committed_decree
  7: i64 last_prepared_decree
  8: optional dsn.host_port hp_node
}

struct ddd_partition_info {
  1: layer2.partition_configuration config
  2: list<ddd_node_info> dropped  // oldest first
  3: string reason
}

struct ddd_diagnose_response {
  1: dsn.error_code err
  2: list<ddd_partition_info> partitions
}

// RPC_CM_GET_MAX_REPLICA_COUNT
struct configuration_get_max_replica_count_request {
  1: string app_name
}

struct configuration_get_max_replica_count_response {
  1: dsn.error_code err
  2: i32 max_replica_count
  3: string hint_message
}

// RPC_CM_SET_MAX_REPLICA_COUNT
struct configuration_set_max_replica_count_request {
  1: string app_name
  2: i32 max_replica_count
}

struct configuration_set_max_replica_count_response {
  1: dsn.error_code err
  2: i32 old_max_replica_count
  3: string hint_message
}

// RPC_CM_GET_ATOMIC_IDEMPOTENT
struct configuration_get_atomic_idempotent_request {
  1: string app_name
}

struct configuration_get_atomic_idempotent_response {
  1: dsn.error_code err
  2: bool atomic_idempotent
  3: string hint_message
}

// RPC_CM_SET_ATOMIC_IDEMPOTENT
struct configuration_set_atomic_idempotent_request {
  1: string app_name
  2: bool atomic_idempotent
}

struct configuration_set_atomic_idempotent_response {
  1: dsn.error_code err
  2: bool old_atomic_idempotent
  3: string hint_message
}
