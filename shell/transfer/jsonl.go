package transfer

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

type jsonlWriter struct {
	out *bufio.Writer
	enc *json.Encoder
}

func newJSONLWriter(w io.Writer) *jsonlWriter {
	out := bufio.NewWriterSize(w, 1<<20)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return &jsonlWriter{out, enc}
}

// jsonRecord is a line of the file.
type jsonRecord struct {
	HashKey *jsonBytes `json:"hash_key"`
	SortKey *jsonBytes `json:"sort_key"`
	Value   *jsonBytes `json:"value"`
	Expires *time.Time `json:"expires,omitempty"`
	TTL     *int64     `json:"ttl_seconds,omitempty"`
}

// jsonBytes is {"utf8":"…"}, with "b64" when the bytes are no text. A plain string
// is read as well.
type jsonBytes []byte

// MarshalJSON writes the object.
func (b jsonBytes) MarshalJSON() ([]byte, error) {
	if utf8.Valid(b) {
		return json.Marshal(map[string]string{"utf8": string(b)})
	}
	return json.Marshal(map[string]string{"b64": base64.StdEncoding.EncodeToString(b)})
}

// UnmarshalJSON reads the object or a string.
func (b *jsonBytes) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		var s string
		err := json.Unmarshal(text, &s)
		*b = jsonBytes(s)
		return err
	}
	var object struct {
		UTF8 *string `json:"utf8"`
		B64  *string `json:"b64"`
	}
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	switch {
	case object.B64 != nil:
		raw, err := base64.StdEncoding.DecodeString(*object.B64)
		*b = raw
		return err
	case object.UTF8 != nil:
		*b = jsonBytes(*object.UTF8)
		return nil
	}
	return errors.New("bytes without utf8 or b64")
}

func (w *jsonlWriter) Write(r Record) error {
	h, s, v := jsonBytes(r.HashKey), jsonBytes(r.SortKey), jsonBytes(r.Value)
	line := jsonRecord{HashKey: &h, SortKey: &s, Value: &v}
	if !r.Expires.IsZero() {
		at := r.Expires.UTC()
		line.Expires = &at
	}
	return w.enc.Encode(line)
}

func (w *jsonlWriter) Flush() error { return w.out.Flush() }
func (w *jsonlWriter) End() error   { return w.out.Flush() }

// lineReader reads lines and knows where it stands.
type lineReader struct {
	in     *bufio.Reader
	offset int64
	line   int64
}

func (r *lineReader) next() ([]byte, error) {
	var text []byte
	for {
		part, err := r.in.ReadSlice('\n')
		text = append(text, part...)
		if len(text) > maxLine {
			return nil, fmt.Errorf("line %d is longer than %d bytes", r.line+1, maxLine)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && (len(text) == 0 || !errors.Is(err, io.EOF)) {
			return nil, err
		}
		r.offset += int64(len(text))
		r.line++
		return bytes.TrimRight(text, "\r\n"), nil
	}
}

type jsonlReader struct{ lineReader }

func (r *jsonlReader) Offset() int64 { return r.offset }

func (r *jsonlReader) Next() (Record, error) {
	for {
		text, err := r.next()
		if err != nil {
			return Record{}, err
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		record, err := parseJSON(text)
		if err != nil {
			return Record{}, &Malformed{Line: r.line, Text: shorten(string(text)), Cause: err}
		}
		return record, nil
	}
}

func parseJSON(text []byte) (Record, error) {
	var line jsonRecord
	if err := json.Unmarshal(text, &line); err != nil {
		return Record{}, err
	}
	if line.HashKey == nil {
		return Record{}, errNoKey
	}
	r := Record{HashKey: *line.HashKey}
	if line.SortKey != nil {
		r.SortKey = *line.SortKey
	}
	if line.Value != nil {
		r.Value = *line.Value
	}
	switch {
	case line.Expires != nil:
		r.Expires = *line.Expires
	case line.TTL != nil && *line.TTL > 0:
		r.Expires = time.Now().Add(time.Duration(*line.TTL) * time.Second)
	}
	return r, nil
}
