package render

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// tableResult writes for people.
type tableResult struct {
	p     *Printer
	shape Shape
	rows  [][]any // kept only without Line
	count int
}

func (r *tableResult) Row(values ...any) error {
	r.count++
	if r.shape.Line == nil {
		r.rows = append(r.rows, values)
		return nil
	}
	_, err := fmt.Fprintln(r.p.Out, r.shape.Line(r.p, values))
	return err
}

func (r *tableResult) Done(s Summary) error {
	if err := r.flush(); err != nil {
		return err
	}
	if s.Text != "" {
		if _, err := fmt.Fprintln(r.p.Out, s.Text); err != nil {
			return err
		}
	}
	r.p.footer(r.count, len(r.shape.Columns) > 0, s)
	return nil
}

func (r *tableResult) Fail(f Failure, _ time.Duration) error {
	err := r.flush()
	r.p.PrintFailure(f)
	return err
}

// flush prints the kept rows as a table. Two blanks part the columns; numbers
// stand to the right.
func (r *tableResult) flush() error {
	if r.shape.Line != nil || len(r.rows) == 0 {
		return nil
	}
	cells := r.cells()
	widths := make([]int, len(r.shape.Columns))
	for _, row := range cells {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range cells {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if numeric(r.rows[0][i]) {
				line.WriteString(pad + cell)
			} else {
				line.WriteString(cell + pad)
			}
			line.WriteString("  ")
		}
		if _, err := fmt.Fprintln(r.p.Out, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// cells gives the header and the rows as text.
func (r *tableResult) cells() [][]string {
	header := make([]string, len(r.shape.Columns))
	for i, c := range r.shape.Columns {
		header[i] = c.Name
	}
	all := [][]string{header}
	for _, row := range r.rows {
		line := make([]string, len(row))
		for i, value := range row {
			line[i] = r.p.Text(value)
		}
		all = append(all, line)
	}
	return all
}

func numeric(value any) bool {
	switch value.(type) {
	case int, int32, int64, uint32, uint64, float64:
		return true
	}
	return false
}
