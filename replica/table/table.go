// Package table holds what a replica server knows of a table: its shape and its
// envs, parsed once into typed settings when they change.
package table

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/arionkv/arion/idl/arion"
)

// Env names that the replica role honours (wire names of the admin tools).
const (
	EnvDefaultTTL    = "default_ttl"
	EnvDeny          = "replica.deny_client_request"
	EnvSlowQuery     = "replica.slow_query_threshold"
	EnvIterationTime = "replica.rocksdb_iteration_threshold_time_ms"
	EnvValidateHash  = "replica.split.validate_partition_hash"
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
	Version        int64 // of the catalog entry, grows with every change
	Dropped        bool
	Settings       Settings
}

// Settings are the envs in typed form.
type Settings struct {
	DefaultTTL    uint32        // seconds given to writes without expiry, 0 = none
	Deny          Deny          // refusal of client requests
	SlowQuery     time.Duration // age at which a request is logged
	IterationTime time.Duration // bound of one range read, 0 = none
	ValidateHash  bool          // refuse keys whose hash belongs to another partition
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
		ID: c.TableID, Name: c.Name, PartitionCount: c.PartitionCount,
		Version: c.Version, Dropped: c.Dropped,
	}
	var err error
	t.Settings, err = ParseSettings(c.Envs)
	if err != nil {
		return t, fmt.Errorf("table %s: %w", c.Name, err)
	}
	return t, nil
}

// ParseSettings reads the envs that this role honours and ignores the others.
// On error the offending setting keeps its default.
func ParseSettings(envs map[string]string) (Settings, error) {
	s := Settings{SlowQuery: DefaultSlowQuery, IterationTime: DefaultIterationTime}
	var bad []string
	for _, p := range []struct {
		env string
		set func(string) error
	}{
		{EnvDefaultTTL, func(v string) error { return parseSeconds(v, &s.DefaultTTL) }},
		{EnvDeny, func(v string) error { return parseDeny(v, &s.Deny) }},
		{EnvSlowQuery, func(v string) error { return parseMillis(v, 20, &s.SlowQuery) }},
		{EnvIterationTime, func(v string) error { return parseMillis(v, 0, &s.IterationTime) }},
		{EnvValidateHash, func(v string) (err error) { s.ValidateHash, err = strconv.ParseBool(v); return err }},
	} {
		v, ok := envs[p.env]
		if !ok {
			continue
		}
		if err := p.set(v); err != nil {
			bad = append(bad, fmt.Sprintf("%s=%q: %v", p.env, v, err))
		}
	}
	if bad != nil {
		return s, fmt.Errorf("envs ignored: %s", strings.Join(bad, "; "))
	}
	return s, nil
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
