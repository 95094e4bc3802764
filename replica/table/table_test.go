package table

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseSettings(t *testing.T) {
	base := Settings{SlowQuery: DefaultSlowQuery, IterationTime: DefaultIterationTime}
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
