package shell_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
	"github.com/arionkv/arion/shell/transfer"
)

func wordsOf(t *testing.T, line string) []parse.Word {
	commands, err := parse.Line(line)
	require.NoError(t, err)
	require.Len(t, commands, 1)
	return commands[0]
}

// randomBytes leans towards what is hard: escapes, controls, bidi marks, half
// characters, and texts that look like the forms of the shell.
func randomBytes(r *rand.Rand) []byte {
	hard := []string{"\x00", "\x1b[31m", "\"", "'", "\\", "\\x", ";", "#", "\n", "\r\n", "\t", "\u202e", "\u2028", "é", "\xff", "\xc3", "hex:", "b64:", "file:", "i64:", "-", "--", "${a}", " ", ",", "\ue00a"}
	var b []byte
	for range r.Intn(12) {
		if r.Intn(2) == 0 {
			b = append(b, hard[r.Intn(len(hard))]...)
		} else {
			b = append(b, byte(r.Intn(256)))
		}
	}
	return b
}

// Random keys and values survive set, get, and pasting back what was printed, in
// every form that can be pasted; and nothing printed is a control byte.
func TestRandomBytesSurvive(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed))
	st := newStage(t)
	st.session.Printer.Quiet = true
	for n := range 300 {
		key, sort, value := append([]byte{'k'}, randomBytes(r)...), randomBytes(r), randomBytes(r)
		form := []render.ByteForm{render.Quoted, render.Hex, render.Base64, render.EscapeAll}[n%4]
		st.session.Printer.Bytes = form
		text := func(b []byte) string { return string(form.Append(nil, b)) }
		require.Zero(t, st.run(t, "set "+text(key)+" "+text(sort)+" "+text(value)), "%q %q %q\n%s", key, sort, value, st.out.String())
		require.Zero(t, st.run(t, "hash_scan "+text(key)+" '' ''"))
		printed, _, _ := strings.Cut(st.out.String(), "\n")
		for _, c := range []byte(printed) {
			require.False(t, c < 0x20 || c == 0x7f, "control byte in %q", printed)
		}
		// What was printed is pasted: "hash" : "sort" => "value".
		printed = lineOf(st.out.String(), text(sort))
		words := wordsOf(t, printed)
		require.Len(t, words, 5, printed)
		back := make([][]byte, 0, 3)
		for _, i := range []int{0, 2, 4} {
			b, err := parse.Bytes(parse.Args(words)[i], nil)
			require.NoError(t, err)
			back = append(back, b)
		}
		require.Equal(t, [][]byte{key, append([]byte{}, sort...), append([]byte{}, value...)}, [][]byte{back[0], append([]byte{}, back[1]...), append([]byte{}, back[2]...)})
		require.Zero(t, st.run(t, "del "+text(key)+" "+text(sort)))
	}
}

// lineOf finds the line of a record by its sort key: a hash key may hold several.
func lineOf(text, sort string) string {
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(line, " : "+sort+" => ") {
			return line
		}
	}
	return text
}

// Random records survive every file form.
func TestFilesKeepBytes(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for _, format := range []transfer.Format{transfer.JSONL, transfer.CSV, transfer.Binary} {
		var records []transfer.Record
		var file bytes.Buffer
		w, err := transfer.NewWriter(format, &file, false)
		require.NoError(t, err)
		for range 500 {
			x := transfer.Record{HashKey: append([]byte{'k'}, randomBytes(r)...), SortKey: randomBytes(r), Value: randomBytes(r)}
			if r.Intn(3) == 0 {
				x.Expires = time.Unix(r.Int63n(1<<32)+1, 0).UTC()
			}
			records = append(records, x)
			require.NoError(t, w.Write(x))
		}
		require.NoError(t, w.End())
		in, err := transfer.NewReader(format, &file, transfer.Columns{})
		require.NoError(t, err)
		for _, want := range records {
			got, err := in.Next()
			require.NoError(t, err, "%s %q", format, want)
			require.Equal(t, string(want.HashKey), string(got.HashKey), "%s", format)
			require.Equal(t, string(want.SortKey), string(got.SortKey), "%s", format)
			require.Equal(t, string(want.Value), string(got.Value), "%s", format)
			require.True(t, want.Expires.Equal(got.Expires), "%s: %v, want %v", format, got.Expires, want.Expires)
		}
		_, err = in.Next()
		require.ErrorIs(t, err, io.EOF)
	}
}

// Every verb's -o json is one object with the documented members.
func TestJSONSchema(t *testing.T) {
	st := newStage(t)
	st.session.Printer.Format, st.session.Printer.Quiet = render.JSON, true
	for _, line := range []string{"set a b c", "get a b", "get a none", "ls", "nodes -d", "doctor --watch_for 1ms", "gett", "drop none", "envs list", "scan", "top -n 1 -i 100ms"} {
		st.run(t, line)
		if strings.HasPrefix(line, "top") {
			continue // a page is for people
		}
		var object struct {
			Verb    *string           `json:"verb"`
			Rows    []json.RawMessage `json:"rows"`
			Count   *int              `json:"row_count"`
			OK      *bool             `json:"ok"`
			Code    *string           `json:"code"`
			Elapsed *float64          `json:"elapsed_ms"`
			Error   *struct {
				What, Try string
				Exit      int
			} `json:"error"`
		}
		require.NoError(t, json.Unmarshal(st.out.Bytes(), &object), "%s: %s", line, st.out.String())
		require.True(t, object.Verb != nil && object.Count != nil && object.OK != nil && object.Code != nil && object.Elapsed != nil, st.out.String())
		require.Len(t, object.Rows, *object.Count)
	}
}

func FuzzReaders(f *testing.F) {
	for _, format := range []transfer.Format{transfer.JSONL, transfer.CSV, transfer.Binary} {
		var file bytes.Buffer
		w, _ := transfer.NewWriter(format, &file, false)
		_ = w.Write(transfer.Record{HashKey: []byte("k"), SortKey: []byte("s"), Value: []byte{0, 255}})
		_ = w.End()
		f.Add(file.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, format := range []transfer.Format{transfer.JSONL, transfer.CSV, transfer.Binary} {
			in, err := transfer.NewReader(format, bytes.NewReader(b), transfer.Columns{})
			if err != nil {
				continue
			}
			for range len(b) + 2 {
				if _, err := in.Next(); err != nil && !strings.HasPrefix(err.Error(), "record ") {
					break
				}
			}
		}
	})
}
