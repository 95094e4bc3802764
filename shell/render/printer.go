package render

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Format is how results are written.
type Format string

// The formats.
const (
	Table Format = "table" // lines and aligned tables for people
	JSON  Format = "json"  // one object per command, see docs/shell.md
)

// Formats lists what ParseFormat accepts.
var Formats = []Format{Table, JSON}

// ParseFormat reads the value of -o.
func ParseFormat(text string) (Format, error) {
	for _, f := range Formats {
		if text == string(f) {
			return f, nil
		}
	}
	return "", fmt.Errorf("unknown output format %q; known are %v", text, Formats)
}

// Printer writes the results of commands. Results go to Out; footers and
// errors go to Err, so that a pipe gets results only.
type Printer struct {
	Out, Err io.Writer
	Format   Format
	Bytes    ByteForm
	Cut      int  // longest value shown in full, in bytes; 0 = any
	Quiet    bool // no footers
}

// Column describes one value of each row.
type Column struct {
	Name string // snake_case, also the JSON name
}

// Columns makes columns from names.
func Columns(names ...string) []Column {
	columns := make([]Column, len(names))
	for i, name := range names {
		columns[i] = Column{Name: name}
	}
	return columns
}

// Shape says what a command returns.
type Shape struct {
	Verb    string
	Columns []Column
	// Line writes a row for people. Nil means an aligned table with a header.
	// Rows with a Line are printed as they come, others once all are there,
	// since column widths depend on all of them.
	Line func(p *Printer, row []any) string
}

// Summary ends a result.
type Summary struct {
	Text   string  // closing lines for people, such as OK
	Fields []Field // further members of the JSON object
	Code   string  // of an answer that is not OK and no error either, such as NOT_FOUND
	Where  Where
	Took   time.Duration
	// Local commands asked no server: they have no footer.
	Local bool
}

// Field is a named value beside the rows.
type Field struct {
	Name  string
	Value any
}

// Where tells which partition answered, on which server. Nothing is shown
// without a server.
type Where struct {
	Table     string
	Partition int32
	Node      string
	Index     int64 // raft index of a write, 0 when not known
}

// Failure is an error as it is shown: what happened, why, and what to do.
type Failure struct {
	What  string
	Code  string
	Cause string
	Try   string
	Exit  int
}

// Result receives the rows of one command. Exactly one of Done and Fail ends it.
type Result interface {
	// Row adds a row: one value per column of the shape.
	Row(values ...any) error
	// Done ends the result.
	Done(Summary) error
	// Fail ends it with an error; rows already given stay.
	Fail(Failure, time.Duration) error
}

// Begin starts the result of one command.
func (p *Printer) Begin(shape Shape) Result {
	if p.Format == JSON {
		return &jsonResult{p: p, shape: shape}
	}
	return &tableResult{p: p, shape: shape}
}

// Quote writes a key or value in the chosen form, cut when it is long.
func (p *Printer) Quote(b []byte) string {
	head, note := Cut(b, p.Cut)
	return string(p.Bytes.Append(nil, head)) + note
}

// Text writes one value for people.
func (p *Printer) Text(value any) string {
	switch v := value.(type) {
	case nil:
		return "-"
	case Bytes:
		return p.Quote(v)
	case string:
		return SafeText(v)
	case []string:
		return SafeText(strings.Join(v, ","))
	case time.Time:
		return v.Format(time.RFC3339)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// Bytes is a key or a value.
type Bytes []byte

func (p *Printer) footer(rows int, withRows bool, s Summary) {
	if p.Quiet || s.Local {
		return
	}
	var parts []string
	if withRows {
		parts = append(parts, plural(rows, "row"))
	}
	parts = append(parts, milliseconds(s.Took)+" ms")
	if s.Where.Node != "" {
		parts = append(parts, fmt.Sprintf("partition %d on %s", s.Where.Partition, s.Where.Node))
	}
	if s.Where.Index != 0 {
		parts = append(parts, fmt.Sprintf("index %d", s.Where.Index))
	}
	fmt.Fprintln(p.Err, strings.Join(parts, ", "))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64)
}

// PrintFailure writes the three lines of an error.
func (p *Printer) PrintFailure(f Failure) {
	what := SafeText(f.What)
	if f.Code != "" {
		what += " (" + SafeText(f.Code) + ")"
	}
	fmt.Fprintf(p.Err, "error: %s\n", what)
	if f.Cause != "" {
		fmt.Fprintf(p.Err, "cause: %s\n", SafeText(f.Cause))
	}
	if f.Try != "" {
		fmt.Fprintf(p.Err, "try:   %s\n", SafeText(f.Try))
	}
}
