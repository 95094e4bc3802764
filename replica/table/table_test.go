package table

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/compact"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/throttle"
)

func TestParseSettings(t *testing.T) {
	base := Defaults()
	with := func(f func(*Settings)) Settings { s := base; f(&s); return s }
	for name, tc := range map[string]struct {
		envs map[string]string
		want Settings
		bad  string
	}{
		"none":          {nil, base, ""},
		"unknown":       {map[string]string{"business.info": "x"}, base, ""},
		"ttl":           {map[string]string{EnvDefaultTTL: "60"}, with(func(s *Settings) { s.DefaultTTL = 60 }), ""},
		"ttl negative":  {map[string]string{EnvDefaultTTL: "-1"}, base, EnvDefaultTTL},
		"ttl text":      {map[string]string{EnvDefaultTTL: "abc"}, base, EnvDefaultTTL},
		"deny write":    {map[string]string{EnvDeny: "timeout*write"}, with(func(s *Settings) { s.Deny = Deny{Writes: true} }), ""},
		"deny all":      {map[string]string{EnvDeny: "reconfig*all"}, with(func(s *Settings) { s.Deny = Deny{true, true, true} }), ""},
		"deny empty":    {map[string]string{EnvDeny: ""}, base, ""},
		"deny scope":    {map[string]string{EnvDeny: "timeout*some"}, base, EnvDeny},
		"deny action":   {map[string]string{EnvDeny: "refuse*all"}, base, EnvDeny},
		"slow":          {map[string]string{EnvSlowQuery: "20"}, with(func(s *Settings) { s.SlowQuery = 20 * time.Millisecond }), ""},
		"slow too low":  {map[string]string{EnvSlowQuery: "19"}, base, EnvSlowQuery},
		"no time limit": {map[string]string{EnvIterationTime: "0"}, with(func(s *Settings) { s.IterationTime = 0 }), ""},
		"validate":      {map[string]string{EnvValidateHash: "true"}, with(func(s *Settings) { s.ValidateHash = true }), ""},

		"throttle": {map[string]string{EnvWriteThrottle: "10*delay*1,20*reject*2", EnvReadBytesThrottle: "1K"}, with(func(s *Settings) {
			s.Throttling.Write = throttle.Rule{Delay: throttle.Limit{PerSec: 10, Pause: time.Millisecond}, Reject: throttle.Limit{PerSec: 20, Pause: 2 * time.Millisecond}}
			s.Throttling.ReadBytes = throttle.Rule{Reject: throttle.Limit{PerSec: 1024}}
		}), ""},
		"throttle bad": {map[string]string{EnvBackupThrottle: "10", EnvReadThrottle: "1*reject*0"}, with(func(s *Settings) {
			s.Throttling.Read = throttle.Rule{Reject: throttle.Limit{PerSec: 1}}
		}), EnvBackupThrottle},
		"compaction": {map[string]string{
			EnvCompactOnce: "1700000000", EnvCompactOnceLevel: "-1", EnvCompactOnceBottom: "force", EnvCompactMaxRunning: "1",
			EnvCompactDaily: "3:00", EnvCompactDailyLevel: "-1", EnvCompactDailyBottom: "skip", EnvCompactDisabled: "TRUE",
		}, with(func(s *Settings) {
			s.Compaction = compact.Schedule{
				Disabled: true, MaxRunning: 1, Once: compact.Once{AtUnixSec: 1700000000, Bottom: engine.BottomForce},
				Daily: compact.Daily{Minutes: []int{180}, Bottom: engine.BottomSkip},
			}
		}), ""},
		"level": {map[string]string{EnvCompactOnceLevel: "3"}, base, EnvCompactOnceLevel},
		"tuning": {map[string]string{EnvScenario: "bulk_load", EnvMemtableBytes: "16777216", EnvBlockCache: "false"}, with(func(s *Settings) {
			s.Tuning = engine.Tuning{Scenario: engine.ScenarioBulkLoad, MemtableBytes: 16 << 20, NoCacheFill: true}
		}), ""},
		"tuning bad": {map[string]string{EnvScenario: "fast", EnvMemtableBytes: "1", EnvBlockCache: "no"}, base, EnvMemtableBytes},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseSettings(tc.envs)
			if tc.bad == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.bad)
			}
			require.Equal(t, tc.want, got)
		})
	}
}
