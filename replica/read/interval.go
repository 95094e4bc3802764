package read

import (
	"bytes"

	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/replica/engine"
)

// interval is a half-open range of encoded keys. Inclusive and exclusive ends
// of requests become one form by key order: the smallest key above k is k‖00.
type interval struct{ lower, upper []byte }

// from returns the lower bound of a range that starts at k.
func from(k []byte, inclusive bool) []byte {
	if inclusive {
		return bytes.Clone(k)
	}
	return append(bytes.Clone(k), 0)
}

// upTo returns the upper bound of a range that stops at k.
func upTo(k []byte, inclusive bool) []byte { return from(k, !inclusive) }

// all is every user key.
func all() interval { return interval{upper: engine.InternalPrefix} }

// ofHashKey is every record of a hash key, which is at most key.MaxHashKeyLen long.
func ofHashKey(hashKey []byte) interval { return ofPrefix(hashKey, nil) }

// ofPrefix is every record of hashKey whose sort key starts with prefix.
func ofPrefix(hashKey, prefix []byte) interval {
	lower := key.Append(make([]byte, 0, 2+len(hashKey)+len(prefix)), hashKey, prefix)
	return interval{lower: lower, upper: key.Successor(lower)}
}

// and is the intersection.
func (a interval) and(b interval) interval {
	if bytes.Compare(b.lower, a.lower) > 0 {
		a.lower = b.lower
	}
	if bytes.Compare(b.upper, a.upper) < 0 {
		a.upper = b.upper
	}
	return a
}

func (a interval) empty() bool { return bytes.Compare(a.lower, a.upper) >= 0 }
