package render

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"time"
	"unicode/utf8"
)

// jsonResult writes one object per command. Rows are written as they come, so
// a scan of any length takes no memory; what is known only at the end follows
// them:
//
//	{"verb":"get","rows":[{"value":{"utf8":"x"}}],"row_count":1,
//	 "ok":true,"code":"OK","elapsed_ms":0.8,"partition":5,"node":"…"}
type jsonResult struct {
	p     *Printer
	shape Shape
	count int
	begun bool
}

func (r *jsonResult) Row(values ...any) error {
	buf := r.open(nil)
	if r.count > 0 {
		buf = append(buf, ',')
	}
	r.count++
	_, err := r.p.Out.Write(appendObject(buf, r.shape.Columns, values))
	return err
}

// open writes what comes before the first row.
func (r *jsonResult) open(buf []byte) []byte {
	if r.begun {
		return buf
	}
	r.begun = true
	buf = appendMember(append(buf, '{'), "verb", r.shape.Verb)
	return append(buf, `,"rows":[`...)
}

func (r *jsonResult) Done(s Summary) error { return r.summary(r.closeRows(), s) }

func (r *jsonResult) summary(buf []byte, s Summary) error {
	code := s.Code
	if code == "" {
		code = "OK"
	}
	buf = appendMember(buf, "ok", s.Code == "")
	buf = appendMember(buf, "code", code)
	buf = appendElapsed(buf, s.Took)
	for _, f := range s.Fields {
		buf = appendMember(buf, f.Name, f.Value)
	}
	return r.end(appendWhere(buf, s.Where))
}

func (r *jsonResult) Fail(f Failure, took time.Duration) error {
	return r.failure(r.closeRows(), f, took)
}

func (r *jsonResult) failure(buf []byte, f Failure, took time.Duration) error {
	buf = appendMember(buf, "ok", false)
	buf = appendMember(buf, "code", f.Code)
	buf = appendElapsed(buf, took)
	buf = append(buf, `,"error":{`...)
	buf = appendMember(buf, "what", f.What)
	buf = appendMember(buf, "cause", f.Cause)
	buf = appendMember(buf, "try", f.Try)
	if f.At != "" {
		buf = appendMember(buf, "at", f.At)
	}
	buf = appendMember(buf, "exit", f.Exit)
	return r.end(append(buf, '}'))
}

func (r *jsonResult) closeRows() []byte {
	buf := append(r.open(nil), ']')
	return appendMember(buf, "row_count", r.count)
}

func (r *jsonResult) end(buf []byte) error {
	_, err := r.p.Out.Write(append(buf, '}', '\n'))
	return err
}

func appendElapsed(buf []byte, d time.Duration) []byte {
	return appendMember(buf, "elapsed_ms", float64(d.Microseconds())/1000)
}

func appendWhere(buf []byte, w Where) []byte {
	if w.Node == "" {
		return buf
	}
	buf = appendMember(buf, "table", w.Table)
	buf = appendMember(buf, "partition", w.Partition)
	buf = appendMember(buf, "node", w.Node)
	if w.Index != 0 {
		buf = appendMember(buf, "index", w.Index)
	}
	return buf
}

// appendMember writes "name":value, with a comma unless it opens an object.
func appendMember(buf []byte, name string, value any) []byte {
	if last := buf[len(buf)-1]; last != '{' {
		buf = append(buf, ',')
	}
	buf = appendJSON(buf, name)
	return appendJSON(append(buf, ':'), jsonValue(value))
}

func appendJSON(buf []byte, value any) []byte {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // "help <command>" is to be read by people, too
	// The values are strings, numbers, booleans and small lists: no error.
	if err := e.Encode(value); err != nil {
		return append(buf, "null"...)
	}
	return append(buf, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
}

// jsonValue gives what stands for a value in JSON. Keys and values are objects:
// "utf8" alone when they are text; otherwise "b64" has the bytes and "utf8" a
// readable stand-in.
func jsonValue(value any) any {
	switch v := value.(type) {
	case Bytes:
		if utf8.Valid(v) {
			return jsonBytes{UTF8: string(v)}
		}
		return jsonBytes{UTF8: string(v), B64: base64.StdEncoding.EncodeToString(v)}
	case []string:
		if v == nil {
			return []string{}
		}
	case Size:
		return int64(v)
	case Rate:
		return math.Round(float64(v)*10) / 10
	case time.Time:
		return v.Format(time.RFC3339)
	case time.Duration:
		return float64(v.Microseconds()) / 1000
	}
	return value
}

type jsonBytes struct {
	UTF8 string `json:"utf8"`
	B64  string `json:"b64,omitempty"`
}

// JSONBytes gives what stands for a key or value in JSON, for those who write
// objects of their own.
func JSONBytes(b []byte) any { return jsonValue(Bytes(b)) }
