// Package config holds the settings of a server: typed sections, their
// defaults, loading and validation.
//
// Viper stays inside Load; everything else sees the plain struct. A value is
// taken from the first of: overrides (command line flags), the environment
// (ARION_SECTION_KEY), the file, the default.
package config

import "time"

// Config is everything one server process can be told. The same struct serves
// both roles; a role ignores the section of the other, except Meta.Servers,
// which everybody needs.
type Config struct {
	Node    Node    `mapstructure:"node"`
	RPC     RPC     `mapstructure:"rpc"`
	Raft    Raft    `mapstructure:"raft"`
	Gossip  Gossip  `mapstructure:"gossip"`
	Meta    Meta    `mapstructure:"meta"`
	Replica Replica `mapstructure:"replica"`
	Log     Log     `mapstructure:"log"`
}

// Node says who this server is and where its data lives.
type Node struct {
	Dir     string `mapstructure:"dir"`     // data directory, created when missing, owned by one process at a time
	Name    string `mapstructure:"name"`    // shown to people; empty = the rpc address
	Zone    string `mapstructure:"zone"`    // replicas of a partition are spread over zones; empty = one zone
	Cluster string `mapstructure:"cluster"` // servers refuse to join a cluster of another name
	Memory  Size   `mapstructure:"memory"`  // budget of the server, divided by DivideMemory; 0 = the parts are set one by one
}

// RPC is the port that clients and other servers speak to.
type RPC struct {
	Listen           string `mapstructure:"listen"`              // host:port
	Advertise        string `mapstructure:"advertise"`           // what others are told to dial; empty = Listen
	MaxConns         int    `mapstructure:"max_conns"`           // connections beyond this are closed at accept
	MaxInFlight      int    `mapstructure:"max_in_flight"`       // unanswered requests per connection; beyond, reading pauses
	MaxInFlightBytes Size   `mapstructure:"max_in_flight_bytes"` // request bytes held by the whole process
	ThftHostPorts    bool   `mapstructure:"thft_host_ports"`     // write the optional hp_* fields to THFT peers as well
}

// Raft configures every raft group of the process.
type Raft struct {
	Listen          string        `mapstructure:"listen"`           // empty = derived from the rpc port, see RaftAddress
	Advertise       string        `mapstructure:"advertise"`        // empty = derived
	Tick            time.Duration `mapstructure:"tick"`             // unit of the two counts below
	ElectionTicks   int           `mapstructure:"election_ticks"`   // a leader silent for one to two times this is replaced
	HeartbeatTicks  int           `mapstructure:"heartbeat_ticks"`  // between two of a leader; less than half of the above
	LogShards       int           `mapstructure:"log_shards"`       // parallel log writers; fixed when the directory is first used
	SyncInterval    time.Duration `mapstructure:"sync_interval"`    // of entries on replica servers; 0 = synced before they are acknowledged
	SnapshotEntries int           `mapstructure:"snapshot_entries"` // entries between log truncations
	MaxInMemLog     Size          `mapstructure:"max_in_mem_log"`   // per group; beyond it proposals answer busy
	SnapshotRate    Size          `mapstructure:"snapshot_rate"`    // bytes per second a node sends to catch others up; 0 = unlimited
}

// Gossip configures the membership protocol among all nodes.
type Gossip struct {
	Listen    string `mapstructure:"listen"`    // empty = derived from the rpc port, see GossipAddress
	Advertise string `mapstructure:"advertise"` // empty = derived
	Key       string `mapstructure:"key"`       // base64 of 16, 24 or 32 bytes; empty = plain text
}

// Meta tells where the meta servers are and how they judge nodes.
type Meta struct {
	Servers      []string      `mapstructure:"servers"`       // rpc addresses of all metas, the same order on every node
	SuspectAfter time.Duration `mapstructure:"suspect_after"` // a node silent for this long is listed as not alive
	ReplaceAfter time.Duration `mapstructure:"replace_after"` // its replicas are rebuilt elsewhere after this
	DropReserve  time.Duration `mapstructure:"drop_reserve"`  // a dropped table can be recalled for this long
	Join         bool          `mapstructure:"join"`          // this meta server enters a running group and never forms one
}

// Replica configures the role that holds data.
type Replica struct {
	BlockCache      Size          `mapstructure:"block_cache"`      // read caches of blocks and rows, shared by all partitions of the node
	WriteBuffer     Size          `mapstructure:"write_buffer"`     // memtables of all partitions together
	BackgroundJobs  int           `mapstructure:"background_jobs"`  // RocksDB flush and compaction threads of the node
	ReadConsistency string        `mapstructure:"read_consistency"` // lease or read_index
	MaxScanners     int           `mapstructure:"max_scanners"`     // open scan contexts per partition
	ScannerTTL      time.Duration `mapstructure:"scanner_ttl"`      // an unused scan context lives this long
	ProposalQueue   int           `mapstructure:"proposal_queue"`   // writes waiting per partition; beyond it clients get busy
	DiskLowWater    Size          `mapstructure:"disk_low_water"`   // writes are refused while less disk is free
}

// Log configures the process log, which goes to standard error.
type Log struct {
	Level  string `mapstructure:"level"`  // debug, info, warn or error
	Format string `mapstructure:"format"` // text or json
}

// The values of Replica.ReadConsistency.
const (
	ReadLease = "lease"
	ReadIndex = "read_index"
)

// Default returns the settings of a replica server on loopback. The sample
// files state each value again with its meaning; a test holds them equal.
func Default() *Config {
	return &Config{
		Node: Node{Dir: "data", Cluster: "arion"},
		RPC: RPC{
			Listen:           "127.0.0.1:34801",
			MaxConns:         10000,
			MaxInFlight:      1024,
			MaxInFlightBytes: 256 * MB,
		},
		Raft: Raft{
			Tick:            100 * time.Millisecond,
			ElectionTicks:   5,
			HeartbeatTicks:  2,
			LogShards:       1,
			SnapshotEntries: 50000,
			MaxInMemLog:     64 * MB,
			SnapshotRate:    64 * MB,
		},
		Meta: Meta{
			Servers:      []string{"127.0.0.1:34601"},
			SuspectAfter: 5 * time.Second,
			ReplaceAfter: 5 * time.Minute,
			DropReserve:  7 * 24 * time.Hour,
		},
		Replica: Replica{
			BlockCache:      256 * MB,
			WriteBuffer:     64 * MB,
			BackgroundJobs:  2,
			ReadConsistency: ReadLease,
			MaxScanners:     1000,
			ScannerTTL:      5 * time.Minute,
			ProposalQueue:   4096,
			DiskLowWater:    512 * MB,
		},
		Log: Log{Level: "info", Format: "text"},
	}
}
