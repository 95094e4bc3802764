package env

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        string // part of the complaint, empty for none
	}{
		{"default_ttl", "60", ""},
		{"default_ttl", "0", ""},
		{"default_ttl", "abc", "not a whole number"},
		{"default_ttl", "-1", "out of range"},
		{"default_ttl", "2147483648", "out of range"},
		{"business.info", "", ""},
		{"business.info", "owned by \x00 somebody", ""},
		{"no.such.env", "1", "not supported"},
		{"", "", "not supported"},
		{"replica.deny_client_request", "timeout*all", ""},
		{"replica.deny_client_request", "reconfig*write", ""},
		{"replica.deny_client_request", "reconfig*none", "unknown word"},
		{"replica.deny_client_request", "all", "unknown rule"},
		{"replica.slow_query_threshold", "20", ""},
		{"replica.split.validate_partition_hash", "true", ""},
		{"replica.slow_query_threshold", "19", "out of range"},
		{"replica.rocksdb_iteration_threshold_time_ms", "0", ""},
		{"rocksdb.usage_scenario", "prefer_write", ""},
		{"rocksdb.usage_scenario", "turbo", "unknown word"},
		{"manual_compact.disabled", "TRUE", ""},
		{"manual_compact.disabled", "maybe", "not a boolean"},
		{"manual_compact.once.target_level", "-1", ""},
		{"manual_compact.once.target_level", "3", "unknown word"},
		{"manual_compact.once.bottommost_level_compaction", "force", ""},
		{"manual_compact.once.trigger_time", "1700000000", ""},
		{"manual_compact.periodic.trigger_time", "3:00,21:00", ""},
		{"manual_compact.periodic.trigger_time", "24:00", "not a time of day"},
		{"manual_compact.periodic.trigger_time", "3:0", "not a time of day"},
		{"replica.write_throttling", "10000*delay*100,20000*reject*100", ""},
		{"replica.write_throttling", "10K*delay*100,1*delay*2", "not a throttle list"},
		{"replica.write_throttling", "10000", "not a throttle list"},
		{"replica.read_throttling_by_size", "100M", ""},
		{"replica.read_throttling_by_size", "x", "not a throttle list"},
		{"replica.read_throttling_by_size", "10M*delay*1,20M*reject*1", ""},
		{"replica.read_throttling_by_size", "10M*delay*1", "without a reject part"},
		{"replica.read_throttling", "0*reject*1", "not a throttle list"},
		{"replica.read_throttling", "+1*reject*1", "not a throttle list"},
		{"replica.read_throttling", "1*reject*60001", "not a throttle list"},
		{"replica.read_throttling", "9999999999999M*reject*1", "not a throttle list"},
		{"replica.backup_request_throttling", "1*reject*0", ""},
		{"replica.rocksdb_block_cache_enabled", "false", ""},
		{"rocksdb.write_buffer_size", "16777216", ""},
		{"user_specified_compaction", "{", "not the JSON"},
		{"user_specified_compaction", `{"ops":[]}`, "want 1 to 64 ops"},
		{"user_specified_compaction", `{"ops":[{"type":"COT_DELETE","params":"","rules":[{"type":"FRT_TTL_RANGE","params":"{\"start_ttl\":0,\"stop_ttl\":10}"}]}]}`, ""},
		{"replica_access_controller.ranger_policies", "{", "not JSON"},
		{"rocksdb.write_buffer_size", "1", "out of range"},
		{"rocksdb.num_levels", "7", "no effect"},
	} {
		err := Check(c.name, c.value)
		if c.want == "" {
			require.NoError(t, err, "%s=%s", c.name, c.value)
			continue
		}
		require.ErrorContains(t, err, c.want, "%s=%s", c.name, c.value)
	}
}

func TestCheckAllNamesTheFirst(t *testing.T) {
	require.NoError(t, CheckAll(nil))
	err := CheckAll(map[string]string{"default_ttl": "60", "zzz": "1", "aaa": "1"})
	require.ErrorContains(t, err, "aaa")
}

func TestEveryKeyIsDescribed(t *testing.T) {
	require.Len(t, Keys(), 29)
	for _, k := range Keys() {
		require.NotEmpty(t, k.Kind, k.Name)
		require.NotNil(t, k.check, k.Name)
	}
}
