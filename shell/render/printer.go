package render

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Format is how results are written.
type Format string

// The formats.
const (
	Table Format = "table" // lines and aligned tables for people
	Wide  Format = "wide"  // the same with the columns that table leaves out
	JSON  Format = "json"  // one object per command, see docs/shell.md
	JSONL Format = "jsonl" // one object per row
	CSV   Format = "csv"   // a header, then a line per row
	YAML  Format = "yaml"  // a list of mappings, one per row
	Plain Format = "raw"   // values alone, parted by tabs
)

// Formats lists what ParseFormat accepts.
var Formats = []Format{Table, Wide, JSON, JSONL, CSV, YAML, Plain}

// ParseFormat reads the value of -o.
func ParseFormat(text string) (Format, error) {
	names := make([]string, len(Formats))
	for i, f := range Formats {
		if text == string(f) {
			return f, nil
		}
		names[i] = string(f)
	}
	return "", fmt.Errorf("unknown output format %q; known are %s", text, strings.Join(names, ", "))
}

// people tells whether a person reads the format.
func (f Format) people() bool { return f == Table || f == Wide }

// Printer writes the results of commands. Results go to Out; footers and
// errors go to Err, so that a pipe gets results only.
type Printer struct {
	Out, Err io.Writer
	Format   Format
	Bytes    ByteForm
	Cut      int  // longest value shown in full, in bytes; 0 = any
	Quiet    bool // no footers
	Exact    bool // sizes in bytes, without units
	Terminal bool // Out obeys colours and the cursor
	// Width of the terminal in columns. A table that does not fit is turned on its
	// side, a line per value. 0 = nothing is too wide.
	Width int
	// Screen measures the terminal, which may change its size; nil = it is none.
	Screen func() (width, height int)
	View   View
}

// View picks from the rows of a table.
type View struct {
	Columns []string       // names, in the order wanted; none = all
	Without []string       // names left out
	Sort    string         // column name, with - in front from high to low
	Like    *regexp.Regexp // one of the cells must match
}

func (v View) empty() bool {
	return len(v.Columns) == 0 && v.Sort == "" && v.Like == nil && len(v.Without) == 0
}

// Column describes one value of each row.
type Column struct {
	Name string // snake_case, also the JSON name
	// Wide columns are left out of the format table.
	Wide bool
}

// Columns makes columns from names. A name that begins with + is a wide one.
func Columns(names ...string) []Column {
	columns := make([]Column, len(names))
	for i, name := range names {
		plain, wide := strings.CutPrefix(name, "+")
		columns[i] = Column{Name: plain, Wide: wide}
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
	// Alone is the number of the column, from 1, that -o raw gives by itself and
	// without a line end, so that a pipe gets the very bytes. 0 = all columns.
	Alone int
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
	At    string // file and line of the script; empty elsewhere
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

// People tells whether a person reads what is printed.
func (p *Printer) People() bool { return p.Format.people() }

// Begin starts the result of one command.
func (p *Printer) Begin(shape Shape) Result {
	if len(shape.Columns) > 0 && !p.View.empty() {
		if len(p.View.Columns) > 0 {
			shape.Line = nil // it is written for all of them
		}
		return newPicked(p, shape)
	}
	return p.begin(shape)
}

func (p *Printer) begin(shape Shape) Result {
	switch p.Format {
	case JSON:
		return &jsonResult{p: p, shape: shape}
	case JSONL, CSV, YAML, Plain:
		return &lineResult{p: p, shape: shape, write: lineWriters[p.Format]}
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
	case json.RawMessage:
		return SafeText(string(v))
	case []string:
		return SafeText(strings.Join(v, ","))
	case time.Time:
		return v.Format(time.RFC3339)
	case time.Duration:
		return milliseconds(v)
	case Size:
		if p.Exact {
			return strconv.FormatInt(int64(v), 10)
		}
		return HumanBytes(int64(v))
	case Rate:
		return strconv.FormatFloat(float64(v), 'f', rateDigits(float64(v)), 64)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// Bytes is a key or a value.
type Bytes []byte

// Size is a number of bytes.
type Size int64

// Rate is a number per second.
type Rate float64

func rateDigits(rate float64) int {
	if rate > 0 && rate < 10 {
		return 1
	}
	return 0
}

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
	fmt.Fprintln(p.Err, p.dim(strings.Join(parts, ", ")))
}

// dim greys text on a terminal.
func (p *Printer) dim(text string) string {
	if !p.Terminal {
		return text
	}
	return "\x1b[2m" + text + "\x1b[0m"
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
	fmt.Fprintf(p.Err, "%s %s\n", p.alarm("error:"), what)
	if f.Cause != "" {
		fmt.Fprintf(p.Err, "cause: %s\n", SafeText(f.Cause))
	}
	if f.Try != "" {
		fmt.Fprintf(p.Err, "try:   %s\n", SafeText(f.Try))
	}
	if f.At != "" {
		fmt.Fprintf(p.Err, "at:    %s\n", SafeText(f.At))
	}
}

// alarm reddens text on a terminal.
func (p *Printer) alarm(text string) string {
	if !p.Terminal {
		return text
	}
	return "\x1b[31m" + text + "\x1b[0m"
}
