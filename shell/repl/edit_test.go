package repl

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// pieces gives its input in reads of the sizes chosen by the test.
type pieces struct{ parts []string }

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.parts[0])
	p.parts = p.parts[1:]
	return n, nil
}

func (p *pieces) Close() error { return nil }

func TestPasteIsOneLine(t *testing.T) {
	end := string(lineEnd)
	for _, tc := range []struct {
		parts []string
		want  string
	}{
		{[]string{"abc\r"}, "abc\r"},
		{[]string{"\x1b[200~a\rb\n\x1b[201~\r"}, "a" + end + "b" + end + "\r"},
		{[]string{"\x1b[200~a\r\nb\x1b[201~"}, "a" + end + "b"},
		{[]string{"x\x1b[20", "0~a\rb\x1b[2", "01~y"}, "xa" + end + "by"},
		{[]string{"\x1b", "[A"}, "\x1b[A"}, // a key that only begins like a mark
		{[]string{"\x1b[2~"}, "\x1b[2~"},
	} {
		var out bytes.Buffer
		_, err := io.Copy(&out, &pasteReader{in: &pieces{tc.parts}})
		require.NoError(t, err)
		require.Equal(t, tc.want, out.String(), "%q", tc.parts)
	}
}

func TestHistoryIsTidied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h")
	require.NoError(t, os.WriteFile(path, []byte("a\nb\na\n\nc\nb\n"), 0o600))
	tidy(path)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "a\nc\nb\n", string(b))
	tidy(filepath.Join(t.TempDir(), "none"))
	require.True(t, secret("set x password=1"))
	require.False(t, secret("get a b"))
}

func TestWordsBeforeTheCursor(t *testing.T) {
	for _, tc := range []struct {
		text   string
		words  []string
		last   string
		quoted bool
	}{
		{"", nil, "", false},
		{"ta", nil, "ta", false},
		{"table ", []string{"table"}, "", false},
		{"get a b; table sh", []string{"table"}, "sh", false},
		{"get 'a b' c", []string{"get", "a b"}, "c", false},
		{"get 'a b", nil, "", true},
	} {
		words, last, quoted := wordsBefore(tc.text)
		require.Equal(t, tc.quoted, quoted, tc.text)
		if !quoted {
			require.Equal(t, tc.last, last, tc.text)
			require.ElementsMatch(t, tc.words, words, tc.text)
		}
	}
}
