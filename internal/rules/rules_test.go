package rules

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/key"
)

// text builds the env: op type, op params, then pairs of rule type and params.
func text(kind, params string, pairs ...string) string {
	type m = map[string]any
	var list []m
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, m{"type": pairs[i], "params": pairs[i+1]})
	}
	b, _ := json.Marshal(m{"ops": []m{{"type": kind, "params": params, "rules": list}}})
	return string(b)
}

const (
	hashA    = `{"pattern":"a","match_type":"SMT_MATCH_PREFIX"}`
	sortZ    = `{"pattern":"z","match_type":"SMT_MATCH_POSTFIX"}`
	anyMid   = `{"pattern":"mid","match_type":"SMT_MATCH_ANYWHERE"}`
	soon     = `{"start_ttl":10,"stop_ttl":20}`
	noExpiry = `{"start_ttl":0,"stop_ttl":0}`
)

func TestJudge(t *testing.T) {
	const now = 1000
	for name, c := range map[string]struct {
		env        string
		hash, sort string
		expire     uint32
		want       uint32
		change     bool
	}{
		"delete":          {text(opDelete, "", onHashKey, hashA), "abc", "x", 0, 0, true},
		"other hash key":  {text(opDelete, "", onHashKey, hashA), "ba", "x", 0, 0, false},
		"all rules":       {text(opDelete, "", onHashKey, hashA, onSortKey, sortZ), "a", "xz", 0, 0, true},
		"one rule fails":  {text(opDelete, "", onHashKey, hashA, onSortKey, sortZ), "a", "zx", 0, 0, false},
		"anywhere":        {text(opDelete, "", onSortKey, anyMid), "h", "amidst", 0, 0, true},
		"ttl in range":    {text(opDelete, "", onTTL, soon), "h", "", now + 10, 0, true},
		"ttl at the end":  {text(opDelete, "", onTTL, soon), "h", "", now + 20, 0, true},
		"ttl too long":    {text(opDelete, "", onTTL, soon), "h", "", now + 21, 0, false},
		"ttl without":     {text(opDelete, "", onTTL, soon), "h", "", 0, 0, false},
		"no expiry":       {text(opDelete, "", onTTL, noExpiry), "h", "", 0, 0, true},
		"from now":        {text(opUpdateTTL, `{"type":"UTOT_FROM_NOW","value":50}`, onHashKey, hashA), "a", "", 0, now + 50, true},
		"from current":    {text(opUpdateTTL, `{"type":"UTOT_FROM_CURRENT","value":50}`, onHashKey, hashA), "a", "", now + 5, now + 55, true},
		"from no current": {text(opUpdateTTL, `{"type":"UTOT_FROM_CURRENT","value":50}`, onHashKey, hashA), "a", "", 0, 0, false},
		"timestamp":       {text(opUpdateTTL, `{"type":"UTOT_TIMESTAMP","value":1451607400}`, onHashKey, hashA), "a", "", 0, 1000, true},
		"timestamp as is": {text(opUpdateTTL, `{"type":"UTOT_TIMESTAMP","value":1451607400}`, onHashKey, hashA), "a", "", 1000, 1000, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Parse(c.env)
			require.NoError(t, err)
			require.NotZero(t, r.Digest)
			expire, change := r.Judge(key.Append(nil, []byte(c.hash), []byte(c.sort)), c.expire, now)
			require.Equal(t, c.change, change)
			if change {
				require.Equal(t, c.want, expire)
			}
		})
	}
	var none *Rules
	require.True(t, none.None())
	r, err := Parse("")
	require.NoError(t, err)
	require.True(t, r.None())
}

func TestParseRefuses(t *testing.T) {
	for _, env := range []string{
		"{", "[]", "{}", `{"ops":[]}`, text("COT_X", "", onHashKey, hashA), text(opDelete, ""),
		text(opDelete, "", "FRT_X", hashA), text(opDelete, "", onHashKey, "x"), text(opDelete, "", onHashKey, `{"pattern":"","match_type":"SMT_MATCH_PREFIX"}`),
		text(opDelete, "", onHashKey, `{"pattern":"a","match_type":"SMT"}`), text(opDelete, "", onTTL, `{"start_ttl":5}`),
		text(opDelete, "", onTTL, `{"start_ttl":5,"stop_ttl":4}`), text(opDelete, "", onTTL, `{"start_ttl":-1,"stop_ttl":4}`),
		text(opUpdateTTL, "", onHashKey, hashA), text(opUpdateTTL, `{"type":"X","value":1}`, onHashKey, hashA),
		text(opUpdateTTL, `{"type":"UTOT_TIMESTAMP","value":5}`, onHashKey, hashA), text(opUpdateTTL, `{"type":"UTOT_FROM_NOW","value":-5}`, onHashKey, hashA),
	} {
		_, err := Parse(env)
		require.Error(t, err, env)
	}
}
