package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Problem is one setting that cannot be used.
type Problem struct {
	Key  string // "raft.tick"
	Text string // what is wrong with it, with the value
}

// Problems is the error of Validate: all of them, so that a file is mended in
// one go.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Key + " " + one.Text
	}
	return strings.Join(lines, "; ")
}

func (p Problems) orNil() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

func (p *Problems) check(ok bool, key, format string, args ...any) {
	if !ok {
		*p = append(*p, Problem{Key: key, Text: fmt.Sprintf(format, args...)})
	}
}

// Validate reports every setting that cannot be used, by key. It looks at
// nothing but c: no file, no name service.
func (c *Config) Validate() error {
	var p Problems
	c.validateNode(&p)
	c.validateRPC(&p)
	c.validateRaft(&p)
	c.validateGossip(&p)
	c.validateMeta(&p)
	c.validateReplica(&p)
	c.validateLog(&p)
	return p.orNil()
}

// ValidateMeta adds what only a meta server needs: it must find itself among
// the servers, since its raft identity is its place in that list.
func (c *Config) ValidateMeta() error {
	var p Problems
	p.check(slices.Contains(c.Meta.Servers, c.RPCAddress()), "meta.servers",
		"%v does not hold this server's own address %s", c.Meta.Servers, c.RPCAddress())
	p.check(c.Raft.Listen == "" && c.Raft.Advertise == "", "raft.listen",
		"must stay empty on a meta server: the others derive it from meta.servers")
	return p.orNil()
}

func (c *Config) validateNode(p *Problems) {
	p.check(c.Node.Dir != "", "node.dir", "is empty")
	p.check(c.Node.Cluster != "", "node.cluster", "is empty")
	p.check(c.Node.Memory == 0 || c.Node.Memory >= smallestMemory, "node.memory",
		"%s is less than a server can work in, %s", c.Node.Memory, smallestMemory)
}

func (c *Config) validateRPC(p *Problems) {
	p.address("rpc.listen", c.RPC.Listen)
	p.optionalAddress("rpc.advertise", c.RPC.Advertise)
	p.check(c.RPC.Advertise != "" || !unspecified(c.RPC.Listen), "rpc.advertise",
		"is needed because rpc.listen is %s", c.RPC.Listen)
	p.check(!unspecified(c.RPC.Advertise), "rpc.advertise", "%s is not an address others can dial", c.RPC.Advertise)
	p.atLeast("rpc.max_conns", c.RPC.MaxConns, 1)
	p.atLeast("rpc.max_in_flight", c.RPC.MaxInFlight, 1)
	// One frame of the largest size must fit, or it could never be served.
	p.sizeAtLeast("rpc.max_in_flight_bytes", c.RPC.MaxInFlightBytes, smallestInFlightBytes)
}

// maxSyncInterval is as much as anybody should bet on the power supply.
const maxSyncInterval = 10 * time.Second

func (c *Config) validateRaft(p *Problems) {
	p.optionalAddress("raft.listen", c.Raft.Listen)
	p.optionalAddress("raft.advertise", c.Raft.Advertise)
	p.check(c.Raft.Tick >= time.Millisecond && c.Raft.Tick <= time.Second, "raft.tick",
		"%s is not between 1ms and 1s", c.Raft.Tick)
	p.check(c.Raft.Tick%time.Millisecond == 0, "raft.tick", "%s is not a whole number of milliseconds", c.Raft.Tick)
	p.atLeast("raft.heartbeat_ticks", c.Raft.HeartbeatTicks, 1)
	// The leader lease gives three ticks of the election timeout away as its
	// margin; with fewer than four nothing would be left of it.
	p.check(c.Raft.ElectionTicks >= 4 && c.Raft.ElectionTicks > 2*c.Raft.HeartbeatTicks, "raft.election_ticks",
		"%d must be at least 4 and more than twice raft.heartbeat_ticks", c.Raft.ElectionTicks)
	p.check(c.Raft.LogShards >= 1 && c.Raft.LogShards <= 16, "raft.log_shards",
		"%d is not between 1 and 16", c.Raft.LogShards)
	p.atLeast("raft.snapshot_entries", c.Raft.SnapshotEntries, 100)
	p.check(c.Raft.SyncInterval == 0 || c.Raft.SyncInterval >= time.Millisecond && c.Raft.SyncInterval <= maxSyncInterval, "raft.sync_interval",
		"%v is neither 0 nor between 1ms and %v", c.Raft.SyncInterval, maxSyncInterval)
	p.sizeAtLeast("raft.max_in_mem_log", c.Raft.MaxInMemLog, MB)
	p.sizeAtLeast("raft.snapshot_rate", c.Raft.SnapshotRate, 0)
}

func (c *Config) validateGossip(p *Problems) {
	p.optionalAddress("gossip.listen", c.Gossip.Listen)
	p.optionalAddress("gossip.advertise", c.Gossip.Advertise)
	if _, err := c.Gossip.KeyBytes(); err != nil {
		p.check(false, "gossip.key", "%v", errKey)
	}
}

var errKey = errors.New("is not the base64 form of 16, 24 or 32 bytes")

// KeyBytes decodes the key, nil for none.
func (g Gossip) KeyBytes() ([]byte, error) {
	if g.Key == "" {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(g.Key)
	if err != nil || !slices.Contains([]int{16, 24, 32}, len(key)) {
		return nil, fmt.Errorf("gossip.key %w", errKey)
	}
	return key, nil
}

func (c *Config) validateMeta(p *Problems) {
	// One that joins knows the running ones and itself, which is an even number for
	// a while.
	p.check(slices.Contains([]int{1, 3, 5}, len(c.Meta.Servers)) || c.Meta.Join && len(c.Meta.Servers) > 1 && len(c.Meta.Servers) <= 6, "meta.servers",
		"names %d servers; a group is 1, 3 or 5", len(c.Meta.Servers))
	for i, addr := range c.Meta.Servers {
		p.address("meta.servers", addr)
		p.check(!slices.Contains(c.Meta.Servers[:i], addr), "meta.servers", "names %s twice", addr)
	}
	p.check(c.Meta.SuspectAfter >= time.Second, "meta.suspect_after", "%s is below 1s", c.Meta.SuspectAfter)
	p.check(c.Meta.ReplaceAfter >= c.Meta.SuspectAfter, "meta.replace_after",
		"%s is shorter than meta.suspect_after %s", c.Meta.ReplaceAfter, c.Meta.SuspectAfter)
	p.notNegative("meta.drop_reserve", c.Meta.DropReserve)
}

func (c *Config) validateReplica(p *Problems) {
	p.sizeAtLeast("replica.block_cache", c.Replica.BlockCache, MB)
	p.sizeAtLeast("replica.write_buffer", c.Replica.WriteBuffer, 4*MB)
	p.check(c.Replica.BlockCache > c.Replica.WriteBuffer, "replica.block_cache",
		"%s must exceed replica.write_buffer %s, which is counted in it", c.Replica.BlockCache, c.Replica.WriteBuffer)
	p.check(c.Replica.BackgroundJobs >= 1 && c.Replica.BackgroundJobs <= 64, "replica.background_jobs",
		"%d is not between 1 and 64", c.Replica.BackgroundJobs)
	p.oneOf("replica.read_consistency", c.Replica.ReadConsistency, ReadLease, ReadIndex)
	p.atLeast("replica.max_scanners", c.Replica.MaxScanners, 1)
	p.check(c.Replica.ScannerTTL >= time.Second, "replica.scanner_ttl", "%s is below 1s", c.Replica.ScannerTTL)
	p.atLeast("replica.proposal_queue", c.Replica.ProposalQueue, 1)
	p.sizeAtLeast("replica.disk_low_water", c.Replica.DiskLowWater, 0)
}

func (c *Config) validateLog(p *Problems) {
	p.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	p.oneOf("log.format", c.Log.Format, "text", "json")
}

func (p *Problems) address(key, addr string) {
	_, _, err := splitAddress(addr)
	p.check(err == nil, key, "%v", err)
}

func (p *Problems) optionalAddress(key, addr string) {
	if addr != "" {
		p.address(key, addr)
	}
}

func (p *Problems) atLeast(key string, got, least int) {
	p.check(got >= least, key, "%d is below %d", got, least)
}

func (p *Problems) sizeAtLeast(key string, got, least Size) {
	p.check(got >= least, key, "%s is below %s", got, least)
}

func (p *Problems) notNegative(key string, got time.Duration) {
	p.check(got >= 0, key, "%s is negative", got)
}

func (p *Problems) oneOf(key, got string, allowed ...string) {
	p.check(slices.Contains(allowed, got), key, "%q is none of %s", got, strings.Join(allowed, ", "))
}

// unspecified tells whether addr listens everywhere, so that it cannot be
// handed to others.
func unspecified(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsUnspecified()
}
