// Doubling the partitions of a table.

namespace go admin

include "dsn.thrift"
include "metadata.thrift"

enum split_control_type {
  PAUSE = 0,
  RESTART = 1,
  CANCEL = 2,
}

// RPC_CM_START_PARTITION_SPLIT
struct start_partition_split_request {
  1: string app_name
  2: i32 new_partition_count  // twice the present one
}

struct start_partition_split_response {
  1: dsn.error_code err
  2: string hint_msg
}

// RPC_CM_CONTROL_PARTITION_SPLIT
struct control_split_request {
  1: string app_name
  2: split_control_type control_type
  3: i32 parent_pidx                   // -1 = all, the only choice for CANCEL
  4: optional i32 old_partition_count  // CANCEL
}

struct control_split_response {
  1: dsn.error_code err
  2: optional string hint_msg
}

// RPC_CM_QUERY_PARTITION_SPLIT
struct query_split_request {
  1: string app_name
}

struct query_split_response {
  1: dsn.error_code err
  2: i32 new_partition_count
  3: map<i32,metadata.split_status> status  // by parent partition; finished ones are gone
  4: optional string hint_msg
}
