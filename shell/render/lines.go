package render

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"
	"time"
)

// lineResult writes a row at a time: jsonl, csv, yaml and raw. Results without
// rows, such as that of incr, give their closing facts instead. Errors go to
// stderr as an object (jsonl) or as text.
type lineResult struct {
	p     *Printer
	shape Shape
	write lineWriter
	count int
}

// lineWriter appends one row; first is set for the first of a result.
type lineWriter func(p *Printer, buf []byte, columns []Column, row []any, first bool) []byte

var lineWriters = map[Format]lineWriter{JSONL: appendJSONRow, CSV: appendCSVRow, YAML: appendYAMLRow, Plain: appendPlainRow}

func (r *lineResult) Row(values ...any) error {
	if b, ok := r.alone(values); ok {
		r.count++
		_, err := r.p.Out.Write(b)
		return err
	}
	buf := r.write(r.p, nil, r.shape.Columns, values, r.count == 0)
	r.count++
	_, err := r.p.Out.Write(buf)
	return err
}

// alone gives the bytes of the one value that -o raw is about.
func (r *lineResult) alone(values []any) ([]byte, bool) {
	if r.p.Format != Plain || r.shape.Alone == 0 || r.p.Terminal {
		return nil, false
	}
	b, ok := values[r.shape.Alone-1].(Bytes)
	return b, ok
}

func (r *lineResult) Done(s Summary) error {
	switch {
	case len(r.shape.Columns) == 0 && len(s.Fields) > 0:
		columns, values := make([]Column, len(s.Fields)), make([]any, len(s.Fields))
		for i, f := range s.Fields {
			columns[i], values[i] = Column{Name: f.Name}, f.Value
		}
		r.shape.Columns = columns
		if err := r.Row(values...); err != nil {
			return err
		}
	case r.count == 0 && len(r.shape.Columns) > 0 && r.p.Format == CSV:
		if _, err := r.p.Out.Write(appendCSVHeader(nil, r.shape.Columns)); err != nil {
			return err
		}
	case s.Code != "" && r.p.Format != JSONL:
		fmt.Fprintln(r.p.Err, s.Text)
	}
	if r.p.Format == JSONL && s.Code != "" {
		closing := &jsonResult{p: &Printer{Out: r.p.Err}, shape: r.shape}
		closing.count, closing.begun = r.count, true
		return closing.summary(appendMember([]byte{'{'}, "verb", r.shape.Verb), s)
	}
	r.p.footer(r.count, len(r.shape.Columns) > 0, s)
	return nil
}

func (r *lineResult) Fail(f Failure, took time.Duration) error {
	if r.p.Format != JSONL {
		r.p.PrintFailure(f)
		return nil
	}
	closing := &jsonResult{p: &Printer{Out: r.p.Err}, shape: r.shape}
	return closing.failure(appendMember([]byte{'{'}, "verb", r.shape.Verb), f, took)
}

func appendJSONRow(_ *Printer, buf []byte, columns []Column, row []any, _ bool) []byte {
	return append(appendObject(buf, columns, row), '\n')
}

func appendObject(buf []byte, columns []Column, row []any) []byte {
	buf = append(buf, '{')
	for i, value := range row {
		buf = appendMember(buf, columns[i].Name, value)
	}
	return append(buf, '}')
}

func appendCSVHeader(buf []byte, columns []Column) []byte {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return appendCSV(buf, names)
}

func appendCSVRow(p *Printer, buf []byte, columns []Column, row []any, first bool) []byte {
	if first {
		buf = appendCSVHeader(buf, columns)
	}
	cells := make([]string, len(row))
	for i, value := range row {
		cells[i] = p.cell(value)
	}
	return appendCSV(buf, cells)
}

func appendCSV(buf []byte, cells []string) []byte {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	_ = w.Write(cells) // a bytes.Buffer takes everything
	w.Flush()
	return append(buf, text.Bytes()...)
}

// cell writes a value without quotes of the shell's own: nothing for what is not
// there, and keys and values as import reads them.
func (p *Printer) cell(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case Bytes:
		if p.Bytes == Quoted || p.Bytes == EscapeAll {
			return EscapeField(v, p.Bytes == EscapeAll)
		}
		return string(p.Bytes.Append(nil, v))
	case Size:
		return fmt.Sprint(int64(v))
	case Rate:
		return fmt.Sprint(float64(v))
	}
	return p.Text(value)
}

func appendYAMLRow(_ *Printer, buf []byte, columns []Column, row []any, _ bool) []byte {
	lead := "- "
	for i, value := range row {
		buf = append(buf, lead+columns[i].Name+": "...)
		buf = append(appendJSON(buf, jsonValue(value)), '\n') // JSON scalars are YAML
		lead = "  "
	}
	return buf
}

// appendPlainRow writes keys and values as the bytes they are. A terminal gets
// them escaped: it would obey control bytes.
func appendPlainRow(p *Printer, buf []byte, _ []Column, row []any, _ bool) []byte {
	cells := make([]string, len(row))
	for i, value := range row {
		if b, ok := value.(Bytes); ok && !p.Terminal {
			cells[i] = string(b)
			continue
		}
		cells[i] = p.cell(value)
	}
	return append(append(buf, strings.Join(cells, "\t")...), '\n')
}
