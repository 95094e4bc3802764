// Package transfer writes records to files and reads them back: jsonl, csv and a
// compact binary form.
package transfer

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Record is one record of a table.
type Record struct {
	HashKey, SortKey, Value []byte
	Expires                 time.Time // zero = never
}

// Format is the form of a file.
type Format string

// The forms.
const (
	JSONL  Format = "jsonl"  // an object per line, as -o jsonl prints rows
	CSV    Format = "csv"    // a header, then a record per line
	Binary Format = "binary" // see binary.go
)

// ParseFormat reads the name of a form.
func ParseFormat(text string) (Format, error) {
	for _, f := range []Format{JSONL, CSV, Binary} {
		if text == string(f) {
			return f, nil
		}
	}
	return "", fmt.Errorf("unknown file format %q; known are jsonl, csv and binary", text)
}

// FormatOf guesses the form from the name of a file; jsonl when it says nothing.
func FormatOf(name string) Format {
	for ending, f := range map[string]Format{".csv": CSV, ".bin": Binary, ".arion": Binary} {
		if len(name) > len(ending) && name[len(name)-len(ending):] == ending {
			return f
		}
	}
	return JSONL
}

// Writer writes records. They are in the file after Flush.
type Writer interface {
	Write(Record) error
	Flush() error
	// End writes what closes the file; nothing may follow.
	End() error
}

// NewWriter begins a file, or goes on with one when resume is set.
func NewWriter(f Format, w io.Writer, resume bool) (Writer, error) {
	switch f {
	case CSV:
		return newCSVWriter(w, resume)
	case Binary:
		return newBinaryWriter(w, resume)
	}
	return newJSONLWriter(w), nil
}

// Reader reads records. An *Malformed is of one record: the next call goes on
// behind it. io.EOF is the end; any other error ends the file as well.
type Reader interface {
	Next() (Record, error)
	// Offset is where the next record begins, in bytes.
	Offset() int64
}

// Malformed is a record that cannot be read.
type Malformed struct {
	Line  int64  // counted from 1; of records in binary files
	Text  string // as it stands in the file, shortened
	Cause error
}

func (e *Malformed) Error() string { return fmt.Sprintf("record %d: %v", e.Line, e.Cause) }

// Unwrap gives the cause.
func (e *Malformed) Unwrap() error { return e.Cause }

// errNoKey refuses records that no table takes.
var errNoKey = errors.New("it has no hash key")

// maxLine bounds a line of a text file: the largest value, every byte escaped.
const maxLine = 300 << 20

// shorten keeps the head of a line for messages.
func shorten(text string) string {
	const shown = 4096
	if len(text) > shown {
		return text[:shown]
	}
	return text
}
