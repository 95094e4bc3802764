package read

import (
	"bytes"

	"github.com/arionkv/arion/idl/rrdb"
)

// filter is a byte-exact condition on a hash key or a sort key. The zero filter
// passes everything.
type filter struct {
	kind    rrdb.FilterType
	pattern []byte
}

func validFilter(t rrdb.FilterType) bool {
	return t >= rrdb.FilterType_FT_NO_FILTER && t <= rrdb.FilterType_FT_MATCH_POSTFIX
}

// trivial reports that everything passes.
func (f filter) trivial() bool {
	return f.kind == rrdb.FilterType_FT_NO_FILTER || len(f.pattern) == 0
}

// prefix returns what passing keys must start with, nil if anything.
func (f filter) prefix() []byte {
	if f.kind != rrdb.FilterType_FT_MATCH_PREFIX {
		return nil
	}
	return f.pattern
}

func (f filter) passes(b []byte) bool {
	switch f.kind {
	case rrdb.FilterType_FT_MATCH_ANYWHERE:
		return bytes.Contains(b, f.pattern)
	case rrdb.FilterType_FT_MATCH_PREFIX:
		return bytes.HasPrefix(b, f.pattern)
	case rrdb.FilterType_FT_MATCH_POSTFIX:
		return bytes.HasSuffix(b, f.pattern)
	}
	return true
}
