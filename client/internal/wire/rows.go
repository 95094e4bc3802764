package wire

import (
	"encoding/binary"
	"fmt"
)

// Row is one record of a range reply. Slices alias what was decoded.
type Row struct {
	Key, Value []byte
	Expire     uint32 // seconds since 2016; 0 = never, or not asked for
}

// Rows is the reply to MULTI_GET, GET_SCANNER and SCAN, but for its records.
type Rows struct {
	Status  int32
	Context int64 // of a scanner; > 0 = live, otherwise finished
}

const typeList = 15

// minRow is the least a row takes on the wire: two empty blobs and a STOP.
const minRow = 7 + 7 + 1

// RowReader reads a range reply: first Next until it gives false, then End.
type RowReader struct {
	f    fields
	left int
	done bool // the STOP was read
	rows Rows
}

// ReadRows begins a reply. Its records alias body.
func ReadRows(body []byte) RowReader {
	r := RowReader{f: fieldsOf(body)}
	r.toList()
	return r
}

// Len is the number of records to come. The reply is long enough to hold them.
func (r *RowReader) Len() int { return r.left }

// Next reads a record; false after the last one, and when the reply is broken.
func (r *RowReader) Next(to *Row) bool {
	if r.left == 0 {
		return false
	}
	r.left--
	if rest := plainRow(r.f.b, to); rest != nil {
		r.f.b = rest
		return true
	}
	if *to = r.f.row(); r.f.bad {
		r.left = 0
	}
	return !r.f.bad
}

// End reads what follows the records. After an error they are worth nothing.
func (r *RowReader) End() (Rows, error) {
	r.toList()
	if r.left > 0 {
		r.f.bad = true // a second list
	}
	if err := r.f.err("rows"); err != nil {
		return Rows{}, err
	}
	return r.rows, nil
}

// toList reads fields up to the records in a list, or to the end.
func (r *RowReader) toList() {
	f := &r.f
	for r.left == 0 && !r.done {
		if r.done = !f.next(); r.done {
			return
		}
		switch {
		case f.id == 1 && f.typ == typeI32:
			r.rows.Status = f.i32()
		case f.id == 2 && f.typ == typeList:
			r.left = f.rows()
		case f.id == 3 && f.typ == typeI64:
			r.rows.Context = int64(f.u64())
		default:
			f.skip()
		}
	}
}

// rows reads the head of a list and gives the number of records in it.
func (f *fields) rows() int {
	elem, n := f.u8(), int(f.i32())
	if n == 0 || f.bad {
		return 0
	}
	if elem != typeStruct || n < 0 || n > len(f.b)/minRow {
		f.bad = true
		return 0
	}
	return n
}

// plainRow reads a row as servers write it: key, value, nothing else or the
// expiry. It gives no rest for any other, which row then reads: field by field a
// row takes twice as long, see BenchmarkDecodeRows.
func plainRow(b []byte, to *Row) (rest []byte) {
	const head = 7 // type, id, length
	if len(b) < minRow || b[0] != typeStruct || b[1] != 0 || b[2] != 1 {
		return nil
	}
	n := uint64(binary.BigEndian.Uint32(b[3:]))
	if n > uint64(len(b)-minRow) {
		return nil
	}
	key, b := b[head:head+n:head+n], b[head+n:]
	if b[0] != typeStruct || b[1] != 0 || b[2] != 2 {
		return nil
	}
	n = uint64(binary.BigEndian.Uint32(b[3:]))
	if n >= uint64(len(b)-head) {
		return nil
	}
	value, b := b[head:head+n:head+n], b[head+n:]
	expire := uint32(0)
	if b[0] == typeI32 && len(b) > head && b[1] == 0 && b[2] == 3 {
		expire, b = binary.BigEndian.Uint32(b[3:]), b[head:]
	}
	if b[0] != stop {
		return nil
	}
	to.Key, to.Value, to.Expire = key, value, expire
	return b[1:]
}

func (f *fields) row() (r Row) {
	in := fields{decoder: f.decoder}
	for in.next() {
		switch {
		case in.id == 1 && in.typ == typeStruct:
			r.Key = in.blob()
		case in.id == 2 && in.typ == typeStruct:
			r.Value = in.blob()
		case in.id == 3 && in.typ == typeI32:
			r.Expire = in.u32()
		default:
			in.skip()
		}
	}
	f.decoder = in.decoder
	return r
}

// Found is one record of a BATCH_GET reply.
type Found struct{ HashKey, SortKey, Value []byte }

// DecodeFound reads a BATCH_GET reply; its records alias body.
func DecodeFound(body []byte) (status int32, found []Found, err error) {
	f := fieldsOf(body)
	for f.next() {
		switch {
		case f.id == 1 && f.typ == typeI32:
			status = f.i32()
		case f.id == 2 && f.typ == typeList:
			found = f.founds()
		default:
			f.skip()
		}
	}
	return status, found, f.err("batch_get_response")
}

func (f *fields) founds() []Found {
	elem, n := f.u8(), int(f.i32())
	if n == 0 || f.bad {
		return nil
	}
	if elem != typeStruct || n < 0 || n > len(f.b)/minRow {
		f.bad = true
		return nil
	}
	all := make([]Found, n)
	for i := range all {
		in := fields{decoder: f.decoder}
		for in.next() {
			switch {
			case in.id == 1 && in.typ == typeStruct:
				all[i].HashKey = in.blob()
			case in.id == 2 && in.typ == typeStruct:
				all[i].SortKey = in.blob()
			case in.id == 3 && in.typ == typeStruct:
				all[i].Value = in.blob()
			default:
				in.skip()
			}
		}
		if f.decoder = in.decoder; f.bad {
			return nil
		}
	}
	return all
}

// Check is the reply to CHECK_AND_SET and CHECK_AND_MUTATE.
type Check struct {
	Status          int32
	Returned, Exist bool
	Value           []byte // aliases what was decoded
}

// DecodeCheck reads the reply to a conditional write.
func DecodeCheck(body []byte) (c Check, err error) {
	f := fieldsOf(body)
	for f.next() {
		switch {
		case f.id == 1 && f.typ == typeI32:
			c.Status = f.i32()
		case f.id == 2 && f.typ == 2:
			c.Returned = f.u8() != 0
		case f.id == 3 && f.typ == 2:
			c.Exist = f.u8() != 0
		case f.id == 4 && f.typ == typeStruct:
			c.Value = f.blob()
		default:
			f.skip()
		}
	}
	return c, f.err("check response")
}

// String helps failing tests.
func (r Row) String() string { return fmt.Sprintf("%q=%q", r.Key, r.Value) }

// DecodeText reads a reply that is bare text.
func DecodeText(body []byte, to *string) error {
	d := decoder{b: body, bad: body == nil}
	b := d.blob()
	if d.bad {
		return fmt.Errorf("%w: text", ErrMalformed)
	}
	*to = string(b)
	return nil
}
