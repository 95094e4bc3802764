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
// stand to the right. What is too wide for the terminal stands on its side.
func (r *tableResult) flush() error {
	if r.shape.Line != nil || len(r.rows) == 0 {
		return nil
	}
	columns := r.shown()
	cells := r.cells(columns)
	widths := make([]int, len(columns))
	total := -2
	for i := range columns {
		for _, row := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		total += widths[i] + 2
	}
	if r.p.Width > 0 && total > r.p.Width {
		return r.onSide(cells)
	}
	return r.upright(columns, cells, widths)
}

func (r *tableResult) upright(columns []int, cells [][]string, widths []int) error {
	for n, row := range cells {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if r.numeric(columns[i]) {
				line.WriteString(pad + cell)
			} else {
				line.WriteString(cell + pad)
			}
			line.WriteString("  ")
		}
		text := strings.TrimRight(line.String(), " ")
		if n == 0 && r.p.Terminal {
			text = "\x1b[1m" + text + "\x1b[0m"
		}
		if _, err := fmt.Fprintln(r.p.Out, text); err != nil {
			return err
		}
	}
	return nil
}

// onSide prints a line per value, and a rule above each row.
func (r *tableResult) onSide(cells [][]string) error {
	width := 0
	for _, name := range cells[0] {
		width = max(width, utf8.RuneCountInString(name))
	}
	for n, row := range cells[1:] {
		if _, err := fmt.Fprintf(r.p.Out, "--- row %d\n", n+1); err != nil {
			return err
		}
		for i, cell := range row {
			if _, err := fmt.Fprintf(r.p.Out, "%-*s : %s\n", width, cells[0][i], cell); err != nil {
				return err
			}
		}
	}
	return nil
}

// shown gives the columns that the format has.
func (r *tableResult) shown() []int {
	var columns []int
	for i, c := range r.shape.Columns {
		if !c.Wide || r.p.Format == Wide {
			columns = append(columns, i)
		}
	}
	return columns
}

// cells gives the header and the rows as text.
func (r *tableResult) cells(columns []int) [][]string {
	header := make([]string, len(columns))
	for i, column := range columns {
		header[i] = r.shape.Columns[column].Name
	}
	all := [][]string{header}
	for _, row := range r.rows {
		line := make([]string, len(columns))
		for i, column := range columns {
			line[i] = r.p.Text(row[column])
		}
		all = append(all, line)
	}
	return all
}

// numeric tells whether a column holds numbers, by the first value there is.
func (r *tableResult) numeric(column int) bool {
	for _, row := range r.rows {
		if row[column] != nil {
			_, ok := number(row[column])
			return ok
		}
	}
	return false
}

// number gives the value of a number.
func number(value any) (float64, bool) {
	switch v := value.(type) {
	case int:
		return float64(v), true
	case int32:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint32:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, true
	case Size:
		return float64(v), true
	case Rate:
		return float64(v), true
	case time.Duration:
		return float64(v), true
	}
	return 0, false
}
