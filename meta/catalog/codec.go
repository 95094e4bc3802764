package catalog

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"github.com/arionkv/arion/internal/cursor"
)

// encoder appends values: numbers as varints (signed ones in zigzag form), text as length and bytes.
type encoder struct{ buf []byte }

func (e *encoder) uint(v uint64) { e.buf = binary.AppendUvarint(e.buf, v) }
func (e *encoder) int(v int64)   { e.buf = binary.AppendVarint(e.buf, v) }

func (e *encoder) bool(v bool) {
	b := byte(0)
	if v {
		b = 1
	}
	e.buf = append(e.buf, b)
}

func (e *encoder) str(s string) {
	e.uint(uint64(len(s)))
	e.buf = append(e.buf, s...)
}

func (e *encoder) strings(list []string) {
	e.uint(uint64(len(list)))
	for _, s := range list {
		e.str(s)
	}
}

// text writes a map in key order, so that equal maps give equal bytes.
func (e *encoder) text(m map[string]string) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	e.uint(uint64(len(keys)))
	for _, k := range keys {
		e.str(k)
		e.str(m[k])
	}
}

func (e *encoder) replicas(list []Replica) {
	e.uint(uint64(len(list)))
	for _, r := range list {
		e.int(r.ID)
		e.int(r.NodeID)
		e.bool(r.Voting)
		e.bool(r.Leaving)
		e.int(r.Replaces)
		e.uint(uint64(r.Why))
	}
}

// numbers writes a map in key order, as text does.
func (e *encoder) numbers(m map[string]int64) {
	e.uint(uint64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		e.str(k)
		e.int(m[k])
	}
}

// decoder reads what encoder wrote.
type decoder struct {
	cursor.Cursor
	format byte // of a snapshot; 0 for anything else, which is in the newest
}

func newDecoder(b []byte, format byte) decoder {
	return decoder{cursor.New(b, ErrMalformed), format}
}

func (d *decoder) int32() int32 {
	v := d.Int()
	if v < math.MinInt32 || v > math.MaxInt32 {
		d.Fail("number out of range")
		return 0
	}
	return int32(v)
}

func (d *decoder) bool() bool {
	v := d.Byte()
	if v > 1 {
		d.Fail("bool")
	}
	return v == 1
}

func (d *decoder) str() string { return d.Text(d.Count(1)) }

func (d *decoder) strings() []string {
	var out []string
	for n := d.Count(1); n > 0 && d.OK(); n-- {
		out = append(out, d.str())
	}
	return out
}

func (d *decoder) text() map[string]string {
	n := d.Count(2)
	m := make(map[string]string, n)
	for ; n > 0 && d.OK(); n-- {
		k := d.str()
		m[k] = d.str()
	}
	return m
}

func (d *decoder) replicas() []Replica {
	var out []Replica
	for n := d.Count(3); n > 0 && d.OK(); n-- {
		r := Replica{ID: d.Int(), NodeID: d.Int(), Voting: d.bool()}
		if d.format != 1 {
			r.Leaving, r.Replaces, r.Why = d.bool(), d.Int(), d.reason()
		}
		out = append(out, r)
	}
	return out
}

func (d *decoder) reason() Reason {
	v := d.Uint()
	if v > uint64(ForOperator) {
		d.Fail("reason")
		return 0
	}
	return Reason(v)
}

func (d *decoder) numbers() map[string]int64 {
	n := d.Count(2)
	m := make(map[string]int64, n)
	for ; n > 0 && d.OK(); n-- {
		k := d.str()
		m[k] = d.Int()
	}
	return m
}

func (d *decoder) splitState() SplitState {
	v := d.Uint()
	if v > uint64(SplitCut) {
		d.Fail("split state")
		return 0
	}
	return SplitState(v)
}
