package catalog

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
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

// decoder reads what encoder wrote. The first fault sticks; every later read gives zero. Counts are checked against the
// bytes that are left before anything is allocated.
type decoder struct {
	buf    []byte
	err    error
	format byte // of a snapshot; 0 for anything else, which is in the newest
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	d.buf = nil
}

func (d *decoder) finish() error {
	if d.err == nil && len(d.buf) > 0 {
		d.fail("trailing bytes")
	}
	return d.err
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.buf)
	if n <= 0 {
		d.fail("number")
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.buf)
	if n <= 0 {
		d.fail("number")
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

func (d *decoder) int32() int32 {
	v := d.int()
	if v < math.MinInt32 || v > math.MaxInt32 {
		d.fail("number out of range")
		return 0
	}
	return int32(v)
}

func (d *decoder) bool() bool {
	if len(d.buf) == 0 || d.buf[0] > 1 {
		d.fail("bool")
		return false
	}
	v := d.buf[0] == 1
	d.buf = d.buf[1:]
	return v
}

func (d *decoder) str() string {
	n := d.count(1)
	s := string(d.buf[:n])
	d.buf = d.buf[n:]
	return s
}

// count reads the length of a list whose elements take at least width bytes each.
func (d *decoder) count(width int) int {
	n := d.uint()
	if n > uint64(len(d.buf)/width) {
		d.fail("count beyond the data")
		return 0
	}
	return int(n)
}

func (d *decoder) strings() []string {
	var out []string
	for n := d.count(1); n > 0 && d.err == nil; n-- {
		out = append(out, d.str())
	}
	return out
}

func (d *decoder) text() map[string]string {
	n := d.count(2)
	m := make(map[string]string, n)
	for ; n > 0 && d.err == nil; n-- {
		k := d.str()
		m[k] = d.str()
	}
	return m
}

func (d *decoder) replicas() []Replica {
	var out []Replica
	for n := d.count(3); n > 0 && d.err == nil; n-- {
		r := Replica{ID: d.int(), NodeID: d.int(), Voting: d.bool()}
		if d.format != 1 {
			r.Leaving, r.Replaces, r.Why = d.bool(), d.int(), d.reason()
		}
		out = append(out, r)
	}
	return out
}

func (d *decoder) reason() Reason {
	v := d.uint()
	if v > uint64(ForOperator) {
		d.fail("reason")
		return 0
	}
	return Reason(v)
}

func (d *decoder) numbers() map[string]int64 {
	n := d.count(2)
	m := make(map[string]int64, n)
	for ; n > 0 && d.err == nil; n-- {
		k := d.str()
		m[k] = d.int()
	}
	return m
}

func (d *decoder) splitState() SplitState {
	v := d.uint()
	if v > uint64(SplitCut) {
		d.fail("split state")
		return 0
	}
	return SplitState(v)
}
