// Package rules reads the env user_specified_compaction and judges records by it.
// Meta servers refuse by it what replica servers could not follow; replica/sweep
// acts by it. See docs/design/0003.
package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"

	"github.com/arionkv/arion/idl/key"
)

// Rules are the operations of one env in order; the first whose rules all match
// decides about a record.
type Rules struct {
	ops []operation
	// Digest names the text that the rules came from; 0 for no rules.
	Digest uint64
}

// None reports that there is nothing to do.
func (r *Rules) None() bool { return r == nil || len(r.ops) == 0 }

type operation struct {
	update *update // nil deletes
	rules  []rule
}

// update computes a new expiry.
type update struct {
	kind  string
	value int64
}

// rule is one condition.
type rule struct {
	on      string
	match   string
	pattern []byte
	// TTL range in seconds from now, for ttlRange.
	start, stop uint32
}

// The words of the env.
const (
	opDelete    = "COT_DELETE"
	opUpdateTTL = "COT_UPDATE_TTL"

	fromNow     = "UTOT_FROM_NOW"
	fromCurrent = "UTOT_FROM_CURRENT"
	timestamp   = "UTOT_TIMESTAMP"

	onHashKey = "FRT_HASHKEY_PATTERN"
	onSortKey = "FRT_SORTKEY_PATTERN"
	onTTL     = "FRT_TTL_RANGE"

	anywhere = "SMT_MATCH_ANYWHERE"
	prefix   = "SMT_MATCH_PREFIX"
	postfix  = "SMT_MATCH_POSTFIX"
)

// Bounds: every rule is asked about every record.
const (
	maxOps     = 64
	maxRules   = 16
	maxPattern = 4 << 10
)

type rulesJSON struct {
	Ops []struct {
		Type   string `json:"type"`
		Params string `json:"params"`
		Rules  []struct {
			Type   string `json:"type"`
			Params string `json:"params"`
		} `json:"rules"`
	} `json:"ops"`
}

// Parse reads the env; the empty text is no rules.
func Parse(text string) (*Rules, error) {
	if text == "" {
		return &Rules{}, nil
	}
	var doc rulesJSON
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return nil, fmt.Errorf("not the JSON of compaction rules: %w", err)
	}
	if len(doc.Ops) == 0 || len(doc.Ops) > maxOps {
		return nil, fmt.Errorf("want 1 to %d ops, not %d", maxOps, len(doc.Ops))
	}
	h := fnv.New64a()
	h.Write([]byte(text))
	r := &Rules{Digest: max(h.Sum64(), 1)}
	for i, o := range doc.Ops {
		op := operation{}
		var err error
		if op.update, err = parseUpdate(o.Type, o.Params); err != nil {
			return nil, fmt.Errorf("op %d: %w", i, err)
		}
		if len(o.Rules) == 0 || len(o.Rules) > maxRules {
			return nil, fmt.Errorf("op %d: want 1 to %d rules, not %d", i, maxRules, len(o.Rules))
		}
		for _, x := range o.Rules {
			rule, err := parseRule(x.Type, x.Params)
			if err != nil {
				return nil, fmt.Errorf("op %d: %w", i, err)
			}
			op.rules = append(op.rules, rule)
		}
		r.ops = append(r.ops, op)
	}
	return r, nil
}

func parseUpdate(kind, params string) (*update, error) {
	switch kind {
	case opDelete:
		return nil, nil
	case opUpdateTTL:
	default:
		return nil, fmt.Errorf("type %q is neither %s nor %s", kind, opDelete, opUpdateTTL)
	}
	var p struct {
		Type  string `json:"type"`
		Value int64  `json:"value"`
	}
	if err := json.Unmarshal([]byte(params), &p); err != nil {
		return nil, fmt.Errorf("params of %s: %w", kind, err)
	}
	switch p.Type {
	case fromNow, fromCurrent, timestamp:
	default:
		return nil, fmt.Errorf("update type %q is unknown", p.Type)
	}
	if p.Value < 0 || p.Value > math.MaxUint32 || p.Type == timestamp && p.Value <= key.EpochUnix {
		return nil, fmt.Errorf("value %d of %s is out of range", p.Value, p.Type)
	}
	return &update{p.Type, p.Value}, nil
}

func parseRule(kind, params string) (rule, error) {
	var p struct {
		Pattern string `json:"pattern"`
		Match   string `json:"match_type"`
		Start   *int64 `json:"start_ttl"`
		Stop    *int64 `json:"stop_ttl"`
	}
	if err := json.Unmarshal([]byte(params), &p); err != nil {
		return rule{}, fmt.Errorf("params of %s: %w", kind, err)
	}
	switch kind {
	case onHashKey, onSortKey:
		if p.Match != anywhere && p.Match != prefix && p.Match != postfix {
			return rule{}, fmt.Errorf("match_type %q is unknown", p.Match)
		}
		if len(p.Pattern) == 0 || len(p.Pattern) > maxPattern {
			return rule{}, fmt.Errorf("want a pattern of 1 to %d bytes", maxPattern)
		}
		return rule{on: kind, match: p.Match, pattern: []byte(p.Pattern)}, nil
	case onTTL:
		if p.Start == nil || p.Stop == nil || *p.Start < 0 || *p.Stop < *p.Start || *p.Stop > math.MaxUint32 {
			return rule{}, fmt.Errorf("want start_ttl and stop_ttl, 0 <= start_ttl <= stop_ttl")
		}
		return rule{on: kind, start: uint32(*p.Start), stop: uint32(*p.Stop)}, nil
	}
	return rule{}, fmt.Errorf("rule type %q is unknown", kind)
}

// Judge decides about a live record at nowSec (seconds since 2016). change is
// false if it stays as it is; otherwise expire is its new expiry, 0 to delete it.
func (r *Rules) Judge(encoded []byte, expireSec, nowSec uint32) (expire uint32, change bool) {
	hashKey, sortKey, err := key.Decode(encoded)
	if err != nil {
		return 0, false
	}
	for i := range r.ops {
		if !r.ops[i].matches(hashKey, sortKey, expireSec, nowSec) {
			continue
		}
		if r.ops[i].update == nil {
			return 0, true
		}
		expire = r.ops[i].update.apply(expireSec, nowSec)
		return expire, expire != 0 && expire != expireSec
	}
	return 0, false
}

func (o *operation) matches(hashKey, sortKey []byte, expire, now uint32) bool {
	for i := range o.rules {
		x := &o.rules[i]
		ok := false
		switch x.on {
		case onHashKey:
			ok = x.matches(hashKey)
		case onSortKey:
			ok = x.matches(sortKey)
		case onTTL:
			ok = x.holds(expire, now)
		}
		if !ok {
			return false
		}
	}
	return true
}

func (x *rule) matches(b []byte) bool {
	switch x.match {
	case prefix:
		return bytes.HasPrefix(b, x.pattern)
	case postfix:
		return bytes.HasSuffix(b, x.pattern)
	}
	return bytes.Contains(b, x.pattern)
}

// holds: the range 0 to 0 means records without expiry; others have a time to
// live within the range.
func (x *rule) holds(expire, now uint32) bool {
	if expire == 0 {
		return x.start == 0 && x.stop == 0
	}
	left := int64(expire) - int64(now)
	return left >= int64(x.start) && left <= int64(x.stop)
}

// apply returns the new expiry; 0 leaves the record alone. Nothing can be added
// to a time to live that a record does not have.
func (u *update) apply(expire, now uint32) uint32 {
	var at int64
	switch u.kind {
	case fromNow:
		at = int64(now) + u.value
	case fromCurrent:
		if expire == 0 {
			return 0
		}
		at = int64(expire) + u.value
	case timestamp:
		at = u.value - key.EpochUnix
	}
	return uint32(min(max(at, 1), math.MaxUint32))
}
