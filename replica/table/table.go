// Package table holds what a replica server knows of a table: its shape and its
// envs, parsed once into typed settings when they change.
package table

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/internal/rules"
	"github.com/arionkv/arion/replica/compact"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/throttle"
)

// Env names that the replica role honours (wire names of the admin tools).
const (
	EnvDefaultTTL    = "default_ttl"
	EnvDeny          = "replica.deny_client_request"
	EnvSlowQuery     = "replica.slow_query_threshold"
	EnvIterationTime = "replica.rocksdb_iteration_threshold_time_ms"
	EnvValidateHash  = "replica.split.validate_partition_hash"

	EnvWriteThrottle      = "replica.write_throttling"
	EnvWriteBytesThrottle = "replica.write_throttling_by_size"
	EnvReadThrottle       = "replica.read_throttling"
	EnvReadBytesThrottle  = "replica.read_throttling_by_size"
	EnvBackupThrottle     = "replica.backup_request_throttling"

	EnvCompactDisabled    = "manual_compact.disabled"
	EnvCompactMaxRunning  = "manual_compact.max_concurrent_running_count"
	EnvCompactOnce        = "manual_compact.once.trigger_time"
	EnvCompactOnceLevel   = "manual_compact.once.target_level"
	EnvCompactOnceBottom  = "manual_compact.once.bottommost_level_compaction"
	EnvCompactDaily       = "manual_compact.periodic.trigger_time"
	EnvCompactDailyLevel  = "manual_compact.periodic.target_level"
	EnvCompactDailyBottom = "manual_compact.periodic.bottommost_level_compaction"
	EnvScenario           = "rocksdb.usage_scenario"
	EnvMemtableBytes      = "rocksdb.write_buffer_size"
	EnvRules              = "user_specified_compaction"
	EnvBlockCache         = "replica.rocksdb_block_cache_enabled"
)

// Defaults of the settings when the env is not set.
const (
	// DefaultIterationTime bounds one range read, as upstream does.
	DefaultIterationTime = 30 * time.Second
	// DefaultSlowQuery is the age at which a request is worth a log line.
	DefaultSlowQuery = 500 * time.Millisecond
)

// Table is an immutable view of one table; a change makes a new one.
type Table struct {
	ID             int32
	Name           string
	PartitionCount int32
	// InitPartitionCount is the count at the table's creation, by which partitions
	// that never split own their hashes.
	InitPartitionCount int32
	Version            int64 // of the catalog entry, grows with every change
	Dropped            bool
	ReplicaCount       int32
	Settings           Settings
	// Envs are the texts behind Settings, for people. Do not modify.
	Envs map[string]string
}

// Settings are the envs in typed form.
type Settings struct {
	DefaultTTL    uint32        // seconds given to writes without expiry, 0 = none
	Deny          Deny          // refusal of client requests
	SlowQuery     time.Duration // age at which a request is logged
	IterationTime time.Duration // bound of one range read, 0 = none
	ValidateHash  bool          // refuse keys whose hash belongs to another partition

	Throttling throttle.Rules
	Compaction compact.Schedule
	Tuning     engine.Tuning // of the storage engines of its replicas
	Sweep      *rules.Rules  // nil = none
}

// Deny says which client requests are refused, and how.
type Deny struct {
	Reads, Writes bool
	// Reconfigure answers ERR_INVALID_STATE; otherwise the request gets no answer.
	Reconfigure bool
}

// New builds the view from what the meta leader sent. An env that does not parse
// was refused by the meta server, so one that arrives here anyway (a newer meta
// server, a hand-made catalog) keeps its default, and the error says which.
func New(c *arion.TableConfig) (*Table, error) {
	t := &Table{
		ID: c.TableID, Name: c.Name, PartitionCount: c.PartitionCount, InitPartitionCount: c.InitPartitionCount,
		Version: c.Version, Dropped: c.Dropped, ReplicaCount: c.ReplicaCount, Envs: c.Envs,
	}
	var err error
	t.Settings, err = ParseSettings(c.Envs)
	if err != nil {
		return t, fmt.Errorf("table %s: %w", c.Name, err)
	}
	return t, nil
}

// setter reads the text of one env into Settings.
type setter struct {
	env string
	set func(s *Settings, text string) error
}

// setters are all envs that this role honours. The meta server has a check for
// each (meta/env), so what it lets through parses here.
var setters = []setter{
	{EnvDefaultTTL, func(s *Settings, v string) error { return parseSeconds(v, &s.DefaultTTL) }},
	{EnvDeny, func(s *Settings, v string) error { return parseDeny(v, &s.Deny) }},
	{EnvSlowQuery, func(s *Settings, v string) error { return parseMillis(v, 20, &s.SlowQuery) }},
	{EnvIterationTime, func(s *Settings, v string) error { return parseMillis(v, 0, &s.IterationTime) }},
	{EnvValidateHash, func(s *Settings, v string) error { return parseBool(v, &s.ValidateHash) }},

	{EnvWriteThrottle, throttling(throttle.Parse, func(s *Settings) *throttle.Rule { return &s.Throttling.Write })},
	{EnvWriteBytesThrottle, throttling(throttle.Parse, func(s *Settings) *throttle.Rule { return &s.Throttling.WriteBytes })},
	{EnvReadThrottle, throttling(throttle.Parse, func(s *Settings) *throttle.Rule { return &s.Throttling.Read })},
	{EnvReadBytesThrottle, throttling(throttle.ParseRead, func(s *Settings) *throttle.Rule { return &s.Throttling.ReadBytes })},
	{EnvBackupThrottle, throttling(throttle.Parse, func(s *Settings) *throttle.Rule { return &s.Throttling.Backup })},

	{EnvCompactDisabled, func(s *Settings, v string) error { return parseBool(v, &s.Compaction.Disabled) }},
	{EnvCompactMaxRunning, func(s *Settings, v string) error { return parseCount(v, &s.Compaction.MaxRunning) }},
	{EnvCompactOnce, func(s *Settings, v string) error { return parseUnix(v, &s.Compaction.Once.AtUnixSec) }},
	{EnvCompactOnceLevel, parseLevel},
	{EnvCompactOnceBottom, func(s *Settings, v string) (err error) {
		s.Compaction.Once.Bottom, err = compact.ParseBottom(v)
		return err
	}},
	{EnvCompactDaily, func(s *Settings, v string) (err error) {
		s.Compaction.Daily.Minutes, err = compact.ParseTimes(v)
		return err
	}},
	{EnvCompactDailyLevel, parseLevel},
	{EnvCompactDailyBottom, func(s *Settings, v string) (err error) {
		s.Compaction.Daily.Bottom, err = compact.ParseBottom(v)
		return err
	}},

	{EnvRules, func(s *Settings, v string) (err error) {
		s.Sweep, err = rules.Parse(v)
		return err
	}},
	{EnvScenario, func(s *Settings, v string) error { return parseScenario(v, &s.Tuning.Scenario) }},
	{EnvMemtableBytes, func(s *Settings, v string) error { return parseMemtable(v, &s.Tuning.MemtableBytes) }},
	{EnvBlockCache, func(s *Settings, v string) error {
		on := true
		err := parseBool(v, &on)
		s.Tuning.NoCacheFill = !on
		return err
	}},
}

// Defaults are the settings of a table without envs.
func Defaults() Settings {
	return Settings{
		SlowQuery: DefaultSlowQuery, IterationTime: DefaultIterationTime,
		Compaction: compact.Schedule{MaxRunning: compact.Unbounded},
	}
}

// ParseSettings reads the envs that this role honours and ignores the others.
// On error the offending setting keeps its default.
func ParseSettings(envs map[string]string) (Settings, error) {
	s := Defaults()
	var bad []string
	for _, p := range setters {
		v, ok := envs[p.env]
		if !ok {
			continue
		}
		before := s
		if err := p.set(&s, v); err != nil {
			s = before
			bad = append(bad, fmt.Sprintf("%s=%q: %v", p.env, v, err))
		}
	}
	if bad != nil {
		return s, fmt.Errorf("envs ignored: %s", strings.Join(bad, "; "))
	}
	return s, nil
}

func throttling(parse func(string) (throttle.Rule, error), of func(*Settings) *throttle.Rule) func(*Settings, string) error {
	return func(s *Settings, v string) (err error) {
		*of(s), err = parse(v)
		return err
	}
}

func parseSeconds(v string, dst *uint32) error {
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 0 {
		return fmt.Errorf("want seconds from 0 to %d", int32(^uint32(0)>>1))
	}
	*dst = uint32(n)
	return nil
}

func parseMillis(v string, least int64, dst *time.Duration) error {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < least || n > int64(1<<40) {
		return fmt.Errorf("want milliseconds, at least %d", least)
	}
	*dst = time.Duration(n) * time.Millisecond
	return nil
}

// parseBool takes what the admin tools write: true, false, 1 and 0.
func parseBool(v string, dst *bool) error {
	switch strings.ToLower(v) {
	case "true", "1":
		*dst = true
	case "false", "0":
		*dst = false
	default:
		return fmt.Errorf("want true or false")
	}
	return nil
}

func parseCount(v string, dst *int) error {
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 0 {
		return fmt.Errorf("want a number from 0")
	}
	*dst = int(n)
	return nil
}

func parseUnix(v string, dst *int64) error {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("want unix seconds")
	}
	*dst = n
	return nil
}

// parseLevel accepts only that the engine chooses: it moves its levels with the
// size of the data, so that a number means nothing to it.
func parseLevel(_ *Settings, v string) error {
	if v != "-1" {
		return fmt.Errorf("want -1: levels are chosen by the size of the data")
	}
	return nil
}

func parseScenario(v string, dst *engine.Scenario) error {
	switch v {
	case "normal":
		*dst = engine.ScenarioNormal
	case "prefer_write":
		*dst = engine.ScenarioPreferWrite
	case "bulk_load":
		*dst = engine.ScenarioBulkLoad
	default:
		return fmt.Errorf("want normal, prefer_write or bulk_load")
	}
	return nil
}

// Bounds of the memtable, those of upstream.
const minMemtable, maxMemtable = 16 << 20, 512 << 20

func parseMemtable(v string, dst *uint64) error {
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil || n < minMemtable || n > maxMemtable {
		return fmt.Errorf("want bytes from %d to %d", minMemtable, maxMemtable)
	}
	*dst = n
	return nil
}

// parseDeny reads ACTION*SCOPE: timeout|reconfig, all|read|write. Empty = none.
func parseDeny(v string, dst *Deny) error {
	if v == "" {
		return nil
	}
	action, scope, _ := strings.Cut(v, "*")
	d := Deny{
		Reads:       scope == "all" || scope == "read",
		Writes:      scope == "all" || scope == "write",
		Reconfigure: action == "reconfig",
	}
	if (action != "timeout" && action != "reconfig") || !(d.Reads || d.Writes) {
		return fmt.Errorf("want timeout or reconfig, '*', and all, read or write")
	}
	*dst = d
	return nil
}
