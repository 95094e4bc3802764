// Loading prepared files into a table.

namespace go admin

include "dsn.thrift"

enum bulk_load_status {
  BLS_INVALID = 0,
  BLS_DOWNLOADING = 1,
  BLS_DOWNLOADED = 2,
  BLS_INGESTING = 3,
  BLS_SUCCEED = 4,
  BLS_FAILED = 5,
  BLS_PAUSING = 6,
  BLS_PAUSED = 7,
  BLS_CANCELED = 8,
}

enum ingestion_status {
  IS_INVALID = 0,
  IS_RUNNING = 1,
  IS_SUCCEED = 2,
  IS_FAILED = 3,
}

enum bulk_load_control_type {
  BLC_PAUSE = 0,
  BLC_RESTART = 1,
  BLC_CANCEL = 2,
  BLC_FORCE_CANCEL = 3,
}

// RPC_CM_START_BULK_LOAD
struct start_bulk_load_request {
  1: string app_name
  2: string cluster_name
  3: string file_provider_type
  4: string remote_root_path
  5: bool ingest_behind = false
}

struct start_bulk_load_response {
  1: dsn.error_code err
  2: string hint_msg
}

// One replica.
struct partition_bulk_load_state {
  1: optional i32 download_progress = 0  // percent
  2: optional dsn.error_code download_status
  3: optional ingestion_status ingest_status = ingestion_status.IS_INVALID
  4: optional bool is_cleaned_up = false
  5: optional bool is_paused = false
}

// RPC_CM_CONTROL_BULK_LOAD
struct control_bulk_load_request {
  1: string app_name
  2: bulk_load_control_type type
}

struct control_bulk_load_response {
  1: dsn.error_code err
  2: optional string hint_msg
}

// RPC_CM_QUERY_BULK_LOAD_STATUS
struct query_bulk_load_request {
  1: string app_name
}

// The lists have one entry per partition.
struct query_bulk_load_response {
  1: dsn.error_code err
  2: string app_name
  3: bulk_load_status app_status
  4: list<bulk_load_status> partitions_status
  5: i32 max_replica_count
  6: list<map<dsn.rpc_address,partition_bulk_load_state>> bulk_load_states
  7: optional string hint_msg
  8: optional bool is_bulk_loading
  9: optional list<map<dsn.host_port,partition_bulk_load_state>> hp_bulk_load_states
}

// RPC_CM_CLEAR_BULK_LOAD: forget the outcome of the last load.
struct clear_bulk_load_state_request {
  1: string app_name
}

struct clear_bulk_load_state_response {
  1: dsn.error_code err
  2: string hint_msg
}
