package render

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAppendForms(t *testing.T) {
	b := []byte("a\x00é\"\n\xff")
	for form, want := range map[ByteForm]string{
		Quoted:    `"a\x00é\"\n\xFF"`,
		EscapeAll: `"\x61\x00\xC3\xA9\x22\x0A\xFF"`,
		Hex:       `hex:6100c3a9220aff`,
		Base64:    `b64:YQDDqSIK/w==`,
		Raw:       "a\x00é\"\n\xff",
	} {
		require.Equal(t, want, string(form.Append(nil, b)), form)
	}
}

func TestNothingMovesATerminal(t *testing.T) {
	for _, text := range []string{"\x1b[2J", "\u202eevil", "\u0085", "\u200b", "\x7f", "\xc2\x9b31m"} {
		quoted := AppendQuoted(nil, []byte(text))
		require.NotContains(t, string(quoted), text)
		require.NotContains(t, SafeText(text), text)
	}
	require.Equal(t, `say "hi" \ é`, SafeText(`say "hi" \ é`))
}

func TestCut(t *testing.T) {
	head, note := Cut([]byte("short"), 10)
	require.Equal(t, "short", string(head))
	require.Empty(t, note)
	head, note = Cut([]byte("ééééé"), 5)
	require.Equal(t, "éé", string(head), "no character is cut in two")
	require.Equal(t, "... (+6 B)", note)
	_, note = Cut(make([]byte, 4096), 1024)
	require.Equal(t, "... (+3.0 KB)", note)
}

func TestHumanBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KB", 3 << 30: "3.0 GB", 1 << 62: "4.0 EB"} {
		require.Equal(t, want, HumanBytes(n))
	}
}

var summary = Summary{
	Text:   "2 rows there",
	Fields: []Field{{"completed", true}},
	Where:  Where{Table: "temp", Partition: 0, Node: "127.0.0.1:34801", Index: 7},
	Took:   1234 * time.Microsecond,
}

func TestTableResult(t *testing.T) {
	var out, errs bytes.Buffer
	p := &Printer{Out: &out, Err: &errs, Format: Table}
	r := p.Begin(Shape{Verb: "ls", Columns: Columns("id", "name", "key")})
	require.NoError(t, r.Row(int32(7), "short", Bytes("\x01")))
	require.NoError(t, r.Row(int32(1000), "a longer \x1bname", Bytes("k")))
	require.NoError(t, r.Done(summary))
	require.Equal(t, ""+
		"  id  name               key\n"+
		"   7  short              \"\\x01\"\n"+
		"1000  a longer \\x1Bname  \"k\"\n"+
		"2 rows there\n", out.String())
	require.Equal(t, "2 rows, 1.2 ms, partition 0 on 127.0.0.1:34801, index 7\n", errs.String())
}

func TestJSONResult(t *testing.T) {
	var out bytes.Buffer
	p := &Printer{Out: &out, Err: &out, Format: JSON}
	r := p.Begin(Shape{Verb: "scan", Columns: Columns("key", "n")})
	require.NoError(t, r.Row(Bytes("text"), int64(1)))
	require.NoError(t, r.Row(Bytes("\xff"), nil))
	require.NoError(t, r.Done(summary))
	require.Equal(t, `{"verb":"scan","rows":[{"key":{"utf8":"text"},"n":1},{"key":{"utf8":"\ufffd","b64":"/w=="},"n":null}],`+
		`"row_count":2,"ok":true,"code":"OK","elapsed_ms":1.234,"completed":true,"table":"temp",`+
		`"partition":0,"node":"127.0.0.1:34801","index":7}`+"\n", out.String())
	require.True(t, json.Valid(out.Bytes()))
}

func TestFailure(t *testing.T) {
	f := Failure{What: "get temp/3", Code: "ERR_TIMEOUT", Cause: "no answer", Try: "nodes", Exit: 3}
	var out, errs bytes.Buffer
	p := &Printer{Out: &out, Err: &errs, Format: Table}
	require.NoError(t, p.Begin(Shape{Verb: "get"}).Fail(f, 0))
	require.Empty(t, out.String())
	require.Equal(t, "error: get temp/3 (ERR_TIMEOUT)\ncause: no answer\ntry:   nodes\n", errs.String())

	errs.Reset()
	p.Format = JSON
	require.NoError(t, p.Begin(Shape{Verb: "get"}).Fail(f, time.Millisecond))
	require.Equal(t, `{"verb":"get","rows":[],"row_count":0,"ok":false,"code":"ERR_TIMEOUT","elapsed_ms":1,`+
		`"error":{"what":"get temp/3","cause":"no answer","try":"nodes","exit":3}}`+"\n", out.String())
}
