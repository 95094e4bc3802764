// What Arion's own servers say to each other. Same frames as the client
// protocol, header table id 0. Ids are never reused; a new field gets a new id
// and its zero value must mean what its absence meant before.

namespace go arion

include "dsn.thrift"

enum node_role {
  UNKNOWN = 0,
  META = 1,
  REPLICA = 2,
}

enum replica_state {
  UNKNOWN = 0,
  OPENING = 1,
  SERVING = 2,
  CLOSING = 3,
  FAILED = 4,  // given up for now; the reason is in replica_report.error
  LOST = 5,    // its data or its log is gone: it must never speak again, and is to be replaced
}

// One life of one process.
struct node_endpoint {
  1: i64 node_id          // chosen once, kept in the data directory
  2: node_role role
  3: i64 boot             // grows with every start of the process
  4: string rpc_address
  5: string raft_address
  6: string gossip_address
  7: string version
  8: string zone
}

struct replica_member {
  1: i64 replica_id
  2: i64 node_id
  3: bool voting
}

// How far a replica is with the manual compaction that its table asks for.
enum compaction_state {
  UNKNOWN = 0,  // of a node that does not tell
  IDLE = 1,     // never compacted by request
  QUEUED = 2,
  RUNNING = 3,
  FINISHED = 4,
}

// The state of one replica as its node sees it.
struct replica_report {
  1: i32 table_id
  2: i32 partition_index
  3: i64 replica_id
  4: replica_state state
  5: i64 term
  6: i64 leader_replica_id      // 0 = unknown
  7: i64 applied_index
  8: i64 size_bytes
  9: list<replica_member> members  // as raft has them; from the leader only
  10: i64 config_index          // log index of the membership in members
  11: string error
  12: bool lease_valid          // the leader may serve reads without asking
  13: optional compaction_state compaction_state = compaction_state.UNKNOWN
  14: optional i64 compacted_unix_sec = 0  // when the last one that finished began, 0 = never
  15: i32 hash_count            // applied: it owns the hashes that are its index modulo this; 0 = never split
  16: i32 split_attempt         // applied: attempt of the split that made hash_count
  17: bool base_ready           // it holds a durable base for the child of that split
}

struct table_config {
  1: i32 table_id
  2: string name
  3: i32 partition_count
  4: i32 replica_count
  5: map<string, string> envs
  6: i64 version
  7: bool dropped
  8: i32 init_partition_count   // at its creation: by it own partitions hashes that never split
}

// What a replica of a partition made by a split is to begin with.
struct split_base {
  1: i32 count                  // partition count after that split; the parent is index - count/2
  2: i32 attempt                // of the parent's split entry that the base was made at
  3: i64 parent_replica_id      // of the parent on this node, whose directory holds the base; 0 = none
}

struct replica_assignment {
  1: i32 table_id
  2: i32 partition_index
  3: i64 replica_id
  4: list<replica_member> initial_members  // of the group at its birth
  5: bool join                  // enter a group that exists already
  6: i32 split_count            // the leader splits the partition until it owns hashes by this count; 0 = nothing to do
  7: i32 split_attempt          // and this attempt
  8: optional split_base base   // the partition was made by a split: its log does not hold all of its data
  9: i32 purge_count            // records foreign by this count may be purged; 0 = none
  10: i64 heir_of               // the group was formed anew from what this replica had, on its node; 0 = it was not
}

struct disk_stat {
  1: i64 capacity_bytes
  2: i64 available_bytes
}

// RPC_ARION_SYNC, replica server to meta: registers the node, reports its
// replicas, asks for the state it should be in.
struct sync_request {
  1: node_endpoint node
  2: i64 known_version          // version of the last sync_response applied
  3: list<replica_report> replicas
  4: disk_stat disk
  5: bool draining              // the node is leaving; move its leaders away
}

struct sync_response {
  1: dsn.error_code err
  2: string leader_address      // set when another meta server leads
  3: i64 version
  4: bool unchanged             // version is known_version; what follows is left empty
  5: list<table_config> tables
  6: list<replica_assignment> replicas  // all of them: a replica not listed is to be closed
  7: list<node_endpoint> nodes
  8: string cluster_name
}

enum member_op {
  UNKNOWN = 0,
  ADD_NONVOTING = 1,
  PROMOTE = 2,
  REMOVE = 3,
  TRANSFER_LEADER = 4,
}

// RPC_ARION_CHANGE_MEMBER, meta to the node of a partition's leader.
struct change_member_request {
  1: i32 table_id
  2: i32 partition_index
  3: member_op op
  4: i64 replica_id
  5: i64 node_id
  6: i64 config_index           // membership the change was planned on; refused if it moved
}

struct change_member_response {
  1: dsn.error_code err
  2: string hint
}

// RPC_ARION_POKE, meta to replica server: sync now.
struct poke_request {
  1: i64 version
}

struct poke_response {
  1: dsn.error_code err
}

// RPC_ARION_STATUS, meta to any node; the answer also proves that it lives.
struct status_request {}

struct status_response {
  1: dsn.error_code err
  2: node_endpoint node
  3: list<replica_report> replicas
}

// RPC_ARION_META_LIST, meta to meta: the places of the metas' own group, as far
// as the asked one has applied its catalog. A server that is to join finds its
// place so.
struct meta_list_request {}

struct meta_place {
  1: i64 replica_id
  2: i64 node_id       // 0 = not seen yet
  3: string rpc_address
  4: bool joining      // the place waits for its server
  // Taken out of the group; such a place is never used again.
  5: optional bool removed = false
}

struct meta_list_response {
  1: dsn.error_code err
  2: list<meta_place> metas
}
