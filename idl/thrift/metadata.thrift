// The state of one replica.

namespace go admin

include "dsn.thrift"

// Role of a replica. Followers are PS_SECONDARY, replicas that still catch up
// PS_POTENTIAL_SECONDARY.
enum partition_status {
  PS_INVALID = 0,
  PS_INACTIVE = 1,
  PS_ERROR = 2,
  PS_PRIMARY = 3,
  PS_SECONDARY = 4,
  PS_POTENTIAL_SECONDARY = 5,
  PS_PARTITION_SPLIT = 6,
}

enum split_status {
  NOT_SPLIT = 0,
  SPLITTING = 1,
  PAUSING = 2,
  PAUSED = 3,
  CANCELING = 4,
}

// Between servers only.
enum disk_status {
  NORMAL = 0,
  SPACE_INSUFFICIENT = 1,
  IO_ERROR = 2,
}

enum manual_compaction_status {
  IDLE = 0,
  QUEUING = 1,
  RUNNING = 2,
  FINISHED = 3,
}

struct replica_info {
  1: dsn.gpid pid
  2: i64 ballot                 // the term, for Arion
  3: partition_status status
  4: i64 last_committed_decree  // log indexes
  5: i64 last_prepared_decree
  6: i64 last_durable_decree
  7: string app_type
  8: string disk_tag
  9: optional manual_compaction_status manual_compact_status
}
