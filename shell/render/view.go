package render

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// pickedResult keeps the rows of a table back, and passes on those that the
// view wants, as it wants them.
type pickedResult struct {
	p     *Printer
	shape Shape
	rows  [][]any
}

func newPicked(p *Printer, shape Shape) Result { return &pickedResult{p: p, shape: shape} }

func (r *pickedResult) Row(values ...any) error {
	if like := r.p.View.Like; like != nil {
		if !slices.ContainsFunc(values, func(v any) bool { return v != nil && like.MatchString(r.p.Text(v)) }) {
			return nil
		}
	}
	r.rows = append(r.rows, values)
	return nil
}

func (r *pickedResult) Done(s Summary) error {
	inner, err := r.pass()
	if err != nil {
		return err
	}
	return inner.Done(s)
}

func (r *pickedResult) Fail(f Failure, took time.Duration) error {
	inner, err := r.pass()
	if err != nil {
		inner = r.p.begin(r.shape)
	}
	return inner.Fail(f, took)
}

// pass hands the rows to the result of the format.
func (r *pickedResult) pass() (Result, error) {
	if err := r.sort(); err != nil {
		return nil, err
	}
	picked, err := r.columns()
	if err != nil {
		return nil, err
	}
	shape := r.shape
	shape.Columns = make([]Column, len(picked))
	for i, column := range picked {
		shape.Columns[i] = r.shape.Columns[column]
		shape.Columns[i].Wide = shape.Columns[i].Wide && len(r.p.View.Columns) == 0
	}
	inner := r.p.begin(shape)
	for _, row := range r.rows {
		values := make([]any, len(picked))
		for i, column := range picked {
			values[i] = row[column]
		}
		if err := inner.Row(values...); err != nil {
			return nil, err
		}
	}
	return inner, nil
}

func (r *pickedResult) columns() ([]int, error) {
	var picked []int
	for _, name := range r.p.View.Columns {
		i, err := r.column(name)
		if err != nil {
			return nil, err
		}
		picked = append(picked, i)
	}
	if len(picked) == 0 {
		for i, c := range r.shape.Columns {
			if !slices.Contains(r.p.View.Without, c.Name) {
				picked = append(picked, i)
			}
		}
	}
	return picked, nil
}

func (r *pickedResult) sort() error {
	name, down := strings.CutPrefix(r.p.View.Sort, "-")
	if name == "" {
		return nil
	}
	i, err := r.column(name)
	if err != nil {
		return err
	}
	slices.SortStableFunc(r.rows, func(a, b []any) int {
		if down {
			a, b = b, a
		}
		return r.compare(a[i], b[i])
	})
	return nil
}

func (r *pickedResult) compare(a, b any) int {
	x, isX := number(a)
	y, isY := number(b)
	switch {
	case isX && isY && x < y:
		return -1
	case isX && isY && x > y:
		return 1
	case isX && isY:
		return 0
	}
	return strings.Compare(r.p.Text(a), r.p.Text(b))
}

// UnknownColumn is a column that the result does not have.
type UnknownColumn struct {
	Name  string
	Known []string
}

func (e *UnknownColumn) Error() string {
	return fmt.Sprintf("there is no column %q; known are %s", e.Name, strings.Join(e.Known, ", "))
}

func (r *pickedResult) column(name string) (int, error) {
	var known []string
	for i, c := range r.shape.Columns {
		if c.Name == name {
			return i, nil
		}
		known = append(known, c.Name)
	}
	return 0, &UnknownColumn{Name: name, Known: known}
}
