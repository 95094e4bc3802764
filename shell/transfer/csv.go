package transfer

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

var csvHeader = []string{"hash_key", "sort_key", "value", "expires"}

type csvWriter struct {
	out *bufio.Writer
	csv *csv.Writer
}

func newCSVWriter(w io.Writer, resume bool) (*csvWriter, error) {
	out := bufio.NewWriterSize(w, 1<<20)
	c := &csvWriter{out, csv.NewWriter(out)}
	if resume {
		return c, nil
	}
	return c, c.csv.Write(csvHeader)
}

func (w *csvWriter) Write(r Record) error {
	at := ""
	if !r.Expires.IsZero() {
		at = r.Expires.UTC().Format(time.RFC3339)
	}
	return w.csv.Write([]string{field(r.HashKey), field(r.SortKey), field(r.Value), at})
}

func field(b []byte) string { return render.EscapeField(b, false) }

func (w *csvWriter) Flush() error {
	w.csv.Flush()
	return errors.Join(w.csv.Error(), w.out.Flush())
}

func (w *csvWriter) End() error { return w.Flush() }

// Columns says which columns of a csv file make up a record. Empty names are those
// that export writes.
type Columns struct {
	HashKey, SortKey, Value string
	// Spread makes a record of every other column: the column's name is the sort
	// key, the cell the value.
	Spread bool
	// Literal takes cells as they stand. Otherwise the escapes that export writes
	// are undone.
	Literal bool
}

type csvReader struct {
	csv               *csv.Reader
	header            []string
	hash, sort, value int
	expires, ttl      int
	spread, literal   bool
	line              int64
	pending           []Record
	before            int64
}

// NewReader reads a file that begins at its beginning. Columns is for csv.
func NewReader(f Format, r io.Reader, columns Columns) (Reader, error) {
	switch f {
	case CSV:
		return newCSVReader(r, columns)
	case Binary:
		return newBinaryReader(r)
	}
	return &jsonlReader{lineReader{in: bufio.NewReaderSize(r, 1<<20)}}, nil
}

func newCSVReader(r io.Reader, columns Columns) (*csvReader, error) {
	c := &csvReader{csv: csv.NewReader(bufio.NewReaderSize(r, 1<<20)), spread: columns.Spread, literal: columns.Literal}
	c.csv.FieldsPerRecord = -1
	header, err := c.csv.Read()
	if err != nil {
		return nil, fmt.Errorf("csv header: %w", err)
	}
	c.line = 1
	c.header = header
	if len(header) > 0 {
		header[0] = strings.TrimPrefix(header[0], "\ufeff")
	}
	find := func(name, usual string, needed bool) (int, error) {
		if name == "" {
			name = usual
		} else {
			needed = true
		}
		i := slices.Index(header, name)
		if i < 0 && needed {
			return -1, fmt.Errorf("csv: there is no column %q among %s; --hash_key_column, --sort_key_column and --value_column name those to take", name, strings.Join(header, ", "))
		}
		return i, nil
	}
	var errs [3]error
	c.hash, errs[0] = find(columns.HashKey, csvHeader[0], true)
	c.sort, errs[1] = find(columns.SortKey, csvHeader[1], false)
	c.value, errs[2] = find(columns.Value, csvHeader[2], !columns.Spread)
	c.expires, c.ttl = slices.Index(header, csvHeader[3]), slices.Index(header, "ttl_seconds")
	return c, cmp.Or(errs[:]...)
}

func (r *csvReader) Offset() int64 {
	if len(r.pending) > 0 {
		return r.before
	}
	return r.csv.InputOffset()
}

func (r *csvReader) Next() (Record, error) {
	if len(r.pending) > 0 {
		first := r.pending[0]
		r.pending = r.pending[1:]
		return first, nil
	}
	r.before = r.csv.InputOffset()
	cells, err := r.csv.Read()
	r.line++
	if errors.Is(err, io.EOF) {
		return Record{}, io.EOF
	}
	if err == nil {
		err = r.records(cells)
	}
	if err != nil {
		var broken *csv.ParseError
		if cells == nil && !errors.As(err, &broken) {
			return Record{}, err
		}
		return Record{}, &Malformed{Line: r.line, Text: shorten(strings.Join(cells, ",")), Cause: err}
	}
	return r.Next()
}

// records makes records of a line and puts them into pending.
func (r *csvReader) records(cells []string) error {
	at := func(i int) (string, bool) {
		if i < 0 || i >= len(cells) {
			return "", false
		}
		return cells[i], true
	}
	var record Record
	text, ok := at(r.hash)
	if !ok || text == "" {
		return errNoKey
	}
	var err error
	if record.HashKey, err = r.cell(text); err != nil {
		return err
	}
	if record.Expires, err = r.expiry(at); err != nil {
		return err
	}
	if r.spread {
		return r.spreadOut(record, cells)
	}
	if text, ok = at(r.sort); ok {
		if record.SortKey, err = r.cell(text); err != nil {
			return err
		}
	}
	if text, ok = at(r.value); ok {
		if record.Value, err = r.cell(text); err != nil {
			return err
		}
	}
	r.pending = append(r.pending, record)
	return nil
}

func (r *csvReader) cell(text string) ([]byte, error) {
	if r.literal {
		return []byte(text), nil
	}
	return parse.Field(text)
}

func (r *csvReader) spreadOut(record Record, cells []string) error {
	var all []Record
	for i, text := range cells {
		if i == r.hash || i == r.expires || i == r.ttl || i >= len(r.header) {
			continue
		}
		value, err := r.cell(text)
		if err != nil {
			return err
		}
		one := record
		one.SortKey, one.Value = []byte(r.header[i]), value
		all = append(all, one)
	}
	if len(all) == 0 {
		return errors.New("it has no other column")
	}
	r.pending = append(r.pending, all...)
	return nil
}

func (r *csvReader) expiry(at func(int) (string, bool)) (time.Time, error) {
	if text, ok := at(r.expires); ok && text != "" {
		return time.Parse(time.RFC3339, text)
	}
	text, ok := at(r.ttl)
	if !ok || text == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 32)
	if err != nil || seconds <= 0 {
		return time.Time{}, err
	}
	return time.Now().Add(time.Duration(seconds) * time.Second), nil
}
