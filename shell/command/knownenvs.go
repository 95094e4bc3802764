package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/arionkv/arion/shell/render"
)

// env is a setting that a table can have. The servers have the last word; what is
// checked here saves a round trip and tells what is wanted.
type env struct {
	name, values, meaning string
	check                 func(string) error
}

const throttleForm = "N*delay*MS and/or N*reject*MS, such as 10K*delay*100,20K*reject*100"

// knownEnvs are those of the protocol, in the order of their names. A server may
// refuse some: the meta server tells which have no effect in its release.
var knownEnvs = []env{
	{"business.info", "text", "free text for the owners", nil},
	{"default_ttl", "seconds, 0 = none", "time to live of records written without one", between(0, 1<<31-1)},
	{"manual_compact.disabled", "true or false", "forbid manual compaction", truth},
	{"manual_compact.max_concurrent_running_count", "a number", "compactions that may run at once on a node", between(0, 1<<31-1)},
	{"manual_compact.once.bottommost_level_compaction", "force or skip", "whether a single compaction rewrites the last level", oneOf("force", "skip")},
	{"manual_compact.once.target_level", "-1", "level that a single compaction ends in; -1 = chosen by the server", between(-1, 100)},
	{"manual_compact.once.trigger_time", "unix seconds", "compact once if that is later than the last time", between(0, 1<<62)},
	{"manual_compact.periodic.bottommost_level_compaction", "force or skip", "the same for the daily compaction", oneOf("force", "skip")},
	{"manual_compact.periodic.target_level", "-1", "the same for the daily compaction", between(-1, 100)},
	{"manual_compact.periodic.trigger_time", "times of day, 3:00,21:00", "compact every day at these times", nil},
	{"replica.backup_request_throttling", throttleForm, "limit of reads sent to followers per second, of the whole table", nil},
	{"replica.deny_client_request", "timeout or reconfig, *, and all, read or write", "refuse clients: no answer, or a wrong-server answer", denial},
	{"replica.read_throttling", throttleForm, "limit of reads per second, of the whole table", nil},
	{"replica.read_throttling_by_size", "N, NK, NM or the long form", "limit of bytes read per second, of the whole table", nil},
	{"replica.rocksdb_block_cache_enabled", "true or false", "whether reads fill the block cache", truth},
	{"replica.rocksdb_iteration_threshold_time_ms", "milliseconds, 0 = none", "longest time of one range read", between(0, 1<<40)},
	{"replica.slow_query_threshold", "milliseconds, at least 20", "age at which a request is logged", between(20, 1<<40)},
	{"replica.split.validate_partition_hash", "true or false", "refuse keys of other partitions; set by a split", truth},
	{"replica.write_throttling", throttleForm, "limit of writes per second, of the whole table", nil},
	{"replica.write_throttling_by_size", throttleForm, "limit of bytes written per second, of the whole table", nil},
	{"replica_access_controller.allowed_users", "names separated by ;", "who may use the table", nil},
	{"replica_access_controller.ranger_policies", "JSON", "policies of Apache Ranger", nil},
	{"rocksdb.allow_ingest_behind", "true or false", "let bulk loads put data behind the rest", truth},
	{"rocksdb.checkpoint.reserve_min_count", "a number from 1", "checkpoints kept", between(1, 1<<31-1)},
	{"rocksdb.checkpoint.reserve_time_seconds", "seconds", "how long checkpoints are kept", between(0, 1<<31-1)},
	{"rocksdb.num_levels", "1 to 10", "levels of the LSM tree", between(1, 10)},
	{"rocksdb.usage_scenario", "normal, prefer_write or bulk_load", "what the storage engine is tuned for", oneOf("normal", "prefer_write", "bulk_load")},
	{"rocksdb.write_buffer_size", "bytes, 16777216 to 536870912", "size of a memtable", between(16<<20, 512<<20)},
	{"user_specified_compaction", "JSON", "rules that delete or expire records during compaction", nil},
}

func runKnownEnvs(_ context.Context, c *call) error {
	r := c.open(render.Columns("env", "values", "meaning"), nil)
	found := false
	for _, e := range knownEnvs {
		if len(c.args) > 0 && e.name != c.text(0) {
			continue
		}
		found = true
		if err := r.Row(e.name, e.values, e.meaning); err != nil {
			return err
		}
	}
	if !found {
		return unknownEnv(c.text(0))
	}
	return c.done(render.Summary{Local: true})
}

func unknownEnv(name string) error {
	best, distance := "", 4
	for _, e := range knownEnvs {
		if d := editDistance(name, e.name); d < distance || strings.HasSuffix(e.name, "."+name) {
			best, distance = e.name, min(d, distance)
		}
	}
	advice := "envs list shows them all"
	if best != "" {
		advice = "did you mean " + best + "? " + advice
	}
	return &usageError{text: "there is no env " + quoted(name), try: advice}
}

// checkEnvs reports the first name that no server knows, or a value that none
// takes.
func checkEnvs(envs map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(envs)) {
		i := slices.IndexFunc(knownEnvs, func(e env) bool { return e.name == name })
		if i < 0 {
			return unknownEnv(name)
		}
		if check := knownEnvs[i].check; check != nil && check(envs[name]) != nil {
			return &usageError{text: fmt.Sprintf("%s of env %s: %v", quoted(envs[name]), name, check(envs[name])),
				try: "wanted: " + knownEnvs[i].values}
		}
	}
	return nil
}

func between(low, high int64) func(string) error {
	return func(text string) error {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errors.New("not a whole number")
		}
		if n < low || n > high {
			return errors.New("out of range")
		}
		return nil
	}
}

func truth(text string) error {
	return oneOf("true", "false", "1", "0")(strings.ToLower(text))
}

func oneOf(words ...string) func(string) error {
	return func(text string) error {
		if slices.Contains(words, text) {
			return nil
		}
		return errors.New("unknown word")
	}
}

func denial(text string) error {
	action, scope, _ := strings.Cut(text, "*")
	return errors.Join(oneOf("timeout", "reconfig")(action), oneOf("all", "read", "write")(scope))
}

func describeEnvs(envs map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(envs)) {
		parts = append(parts, name+" = "+quoted(envs[name]))
	}
	return strings.Join(parts, ", ")
}
