// Package env knows the settings that a table can have: which keys exist, what values they take, and which of them this
// build honours. A setting that would have no effect is refused instead of silently stored.
package env

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/arionkv/arion/internal/rules"
)

// Key describes one table setting.
type Key struct {
	Name     string
	Kind     string // what values look like, for the operator
	Honoured bool   // false: the protocol has it, this build would ignore it, so it is refused
	check    func(string) error
}

// The lower bound keeps a careless threshold from logging every request; upstream draws the same line.
const minSlowQueryMS = 20

// maxMillis is what the replica servers take for a time in milliseconds: 34 years.
const maxMillis = 1 << 40

// Bounds of the memtable and level settings, those of upstream.
const (
	minWriteBuffer, maxWriteBuffer = 16 << 20, 512 << 20
	minLevels, maxLevels           = 1, 10
)

// Limits that the replica servers share (replica/throttle, replica/compact): a rate, a pause, times of day.
const (
	maxRate    = 1 << 50
	maxPauseMS = 60_000
	maxTimes   = 24
)

const (
	honoured = true
	refused  = false
)

// table lists every setting that a client may set, as META.md section 5.1 has them.
var table = index([]Key{
	{"default_ttl", "seconds, 0 for none", honoured, intIn(0, 1<<31-1)},
	{"business.info", "any text", honoured, anything},
	{"replica.deny_client_request", "timeout*all, timeout*write, timeout*read, reconfig*all, reconfig*write or reconfig*read", honoured, denyRule},
	{"replica.slow_query_threshold", "milliseconds, at least 20", honoured, intIn(minSlowQueryMS, maxMillis)},
	{"replica.rocksdb_iteration_threshold_time_ms", "milliseconds, 0 for no limit", honoured, intIn(0, maxMillis)},
	{"rocksdb.usage_scenario", "normal, prefer_write or bulk_load", honoured, oneOf("normal", "prefer_write", "bulk_load")},
	{"manual_compact.disabled", "true or false", honoured, boolean},
	{"manual_compact.max_concurrent_running_count", "a number from 0", honoured, intIn(0, 1<<31-1)},
	{"manual_compact.once.trigger_time", "unix seconds", honoured, intFrom(0)},
	{"manual_compact.once.target_level", "-1: levels are chosen by the size of the data", honoured, oneOf("-1")},
	{"manual_compact.once.bottommost_level_compaction", "force or skip", honoured, oneOf("force", "skip")},
	{"manual_compact.periodic.trigger_time", "times of day, such as 3:00,21:00", honoured, timesOfDay},
	{"manual_compact.periodic.target_level", "-1: levels are chosen by the size of the data", honoured, oneOf("-1")},
	{"manual_compact.periodic.bottommost_level_compaction", "force or skip", honoured, oneOf("force", "skip")},

	{"replica.write_throttling", throttleKind, honoured, throttle},
	{"replica.write_throttling_by_size", throttleKind, honoured, throttle},
	{"replica.read_throttling", throttleKind, honoured, throttle},
	{"replica.read_throttling_by_size", "N, NK, NM, or a list such as 100M*delay*10,200M*reject*10 with a reject part", honoured, throttleOfReads},
	{"replica.backup_request_throttling", throttleKind, honoured, throttle},
	{"replica.rocksdb_block_cache_enabled", "true or false", honoured, boolean},
	{"replica.split.validate_partition_hash", "true or false", honoured, boolean},
	{"replica_access_controller.allowed_users", "users separated by ;", refused, anything},
	{"replica_access_controller.ranger_policies", "JSON", refused, jsonText},
	{"rocksdb.checkpoint.reserve_min_count", "a number from 1", refused, intIn(1, 1<<31-1)},
	{"rocksdb.checkpoint.reserve_time_seconds", "seconds", refused, intIn(0, 1<<31-1)},
	{"rocksdb.allow_ingest_behind", "true or false", refused, boolean},
	{"rocksdb.write_buffer_size", "bytes, 16777216 to 536870912", honoured, intIn(minWriteBuffer, maxWriteBuffer)},
	{"rocksdb.num_levels", "1 to 10", refused, intIn(minLevels, maxLevels)},
	{"user_specified_compaction", "JSON of ops with rules", honoured, compactionRules},
})

const throttleKind = "one or two of N*delay*ms and N*reject*ms with N from 1 and ms up to 60000, such as 10000*delay*100,20000*reject*100"

func index(list []Key) map[string]Key {
	m := make(map[string]Key, len(list))
	for _, k := range list {
		m[k.Name] = k
	}
	return m
}

// Keys returns every known setting in the order of their names.
func Keys() []Key {
	out := make([]Key, 0, len(table))
	for _, name := range slices.Sorted(maps.Keys(table)) {
		out = append(out, table[name])
	}
	return out
}

// Check reports why a setting cannot be taken; the text is for the operator. nil means that it is valid and has effect.
func Check(name, value string) error {
	k, known := table[name]
	if !known {
		return fmt.Errorf("env \"%s\" is not supported", name)
	}
	if err := k.check(value); err != nil {
		return fmt.Errorf("value \"%s\" of env \"%s\": %w, want %s", value, name, err, k.Kind)
	}
	if !k.Honoured {
		return fmt.Errorf("env \"%s\" is not supported by this release: it would have no effect", name)
	}
	return nil
}

// CheckAll checks a whole set in the order of names and returns the first fault.
func CheckAll(envs map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(envs)) {
		if err := Check(name, envs[name]); err != nil {
			return err
		}
	}
	return nil
}

func anything(string) error { return nil }

func intFrom(low int64) func(string) error { return intIn(low, 1<<63-1) }

func intIn(low, high int64) func(string) error {
	return func(v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return fmt.Errorf("not a whole number")
		}
		if n < low || n > high {
			return fmt.Errorf("out of range")
		}
		return nil
	}
}

func boolean(v string) error {
	switch strings.ToLower(v) {
	case "true", "false", "1", "0":
		return nil
	}
	return fmt.Errorf("not a boolean")
}

func oneOf(words ...string) func(string) error {
	return func(v string) error {
		if slices.Contains(words, v) {
			return nil
		}
		return fmt.Errorf("unknown word")
	}
}

func denyRule(v string) error {
	action, what, ok := strings.Cut(v, "*")
	if !ok || (action != "timeout" && action != "reconfig") {
		return fmt.Errorf("unknown rule")
	}
	return oneOf("all", "write", "read")(what)
}

// timesOfDay takes hours and minutes separated by commas: 3:00,21:00.
func timesOfDay(v string) error {
	parts := strings.Split(v, ",")
	if len(parts) > maxTimes {
		return fmt.Errorf("too many times of day")
	}
	for _, part := range parts {
		h, m, ok := strings.Cut(strings.TrimSpace(part), ":")
		if !ok || len(m) != 2 || intIn(0, 23)(h) != nil || intIn(0, 59)(m) != nil {
			return fmt.Errorf("not a time of day")
		}
	}
	return nil
}

func compactionRules(v string) error {
	_, err := rules.Parse(v)
	return err
}

func jsonText(v string) error {
	if v != "" && !json.Valid([]byte(v)) {
		return fmt.Errorf("not JSON")
	}
	return nil
}

// throttle takes <N[K|M]>*<delay|reject>*<ms> once or twice, each action at most once.
func throttle(v string) error {
	_, err := throttleList(v)
	return err
}

func throttleList(v string) (actions map[string]bool, err error) {
	actions = map[string]bool{}
	for _, part := range strings.Split(v, ",") {
		fields := strings.Split(part, "*")
		if len(fields) != 3 || rate(fields[0]) != nil || intIn(0, maxPauseMS)(fields[2]) != nil {
			return nil, fmt.Errorf("not a throttle list")
		}
		action := fields[1]
		if (action != "delay" && action != "reject") || actions[action] {
			return nil, fmt.Errorf("not a throttle list")
		}
		actions[action] = true
	}
	return actions, nil
}

// throttleOfReads takes a plain rate, or a list that says what to reject: the size of a read is known too late to delay it
// for sure.
func throttleOfReads(v string) error {
	if rate(v) == nil {
		return nil
	}
	actions, err := throttleList(v)
	if err == nil && !actions["reject"] {
		return fmt.Errorf("a list without a reject part")
	}
	return err
}

// rate takes a count from 1 with an optional K or M behind it. No requests at all are what replica.deny_client_request is
// for, and no limit is an env that is not set.
func rate(v string) error {
	high := int64(maxRate)
	if n := len(v); n > 1 && (v[n-1] == 'K' || v[n-1] == 'M') {
		if high >>= 10; v[n-1] == 'M' {
			high >>= 10
		}
		v = v[:n-1]
	}
	if strings.HasPrefix(v, "+") {
		return fmt.Errorf("not a rate")
	}
	return intIn(1, high)(v)
}
