package parse_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
	"github.com/stretchr/testify/require"
)

func TestLine(t *testing.T) {
	for _, tc := range []struct {
		text string
		want string // words joined by |, commands by /
	}{
		{``, ``},
		{`get a b`, `get|a|b`},
		{"  get \t a   b\r", `get|a|b`},
		{`get a b; del a b;`, `get|a|b/del|a|b`},
		{"get a b\ndel a b\n", `get|a|b/del|a|b`},
		{`set "a b" 'c d' e\ f`, `set|a b|c d|e f`},
		{`set a"b c"d e`, `set|ab cd|e`},
		{`set "" '' x`, `set|||x`},
		{`x "a;b" 'c;d' e\;f`, `x|a;b|c;d|e;f`},
		{`x # y z`, `x`},
		{"# first\nx y # second\nz", `x|y/z`},
		{`x a#b \#c "#d"`, `x|a#b|#c|#d`},
		{`x "\n\t\r\0\\\"\'" '\n'`, "x|\n\t\r\x00\\\"'|\\n"},
		{`x \x41\x42 "\x00\xff" "\u00e9"`, "x|AB|\x00\xff|é"},
		{"x a \\\n b", `x|a|b`},
		{"x a\\\nb", `x|ab`},
		{"x \"a\nb\"", "x|a\nb"},
		{"x \"a\\\nb\"", "x|ab"},
	} {
		commands, err := parse.Line(tc.text)
		require.NoError(t, err, "%q", tc.text)
		require.Equal(t, tc.want, joined(commands), "%q", tc.text)
	}
}

func joined(commands [][]parse.Word) string {
	var lines []string
	for _, words := range commands {
		var texts []string
		for _, w := range words {
			texts = append(texts, w.Text)
		}
		lines = append(lines, strings.Join(texts, "|"))
	}
	return strings.Join(lines, "/")
}

func TestLineMistakes(t *testing.T) {
	for _, text := range []string{`x "a`, `x 'a`, `x a\`, `x "a\`} {
		_, err := parse.Line(text)
		require.ErrorIs(t, err, parse.ErrIncomplete, "%q", text)
	}
	for text, at := range map[string]int{`x \q`: 2, `x a "\x4"`: 5, `x "\u12"`: 3, `get \xZZ`: 4} {
		_, err := parse.Line(text)
		var syntax *parse.SyntaxError
		require.ErrorAs(t, err, &syntax, "%q", text)
		require.Equal(t, at, syntax.At, "%q", text)
	}
}

func TestBytes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "v")
	require.NoError(t, os.WriteFile(file, []byte("from file"), 0o600))
	for _, tc := range []struct{ text, want string }{
		{`plain`, "plain"},
		{`hex:00ffDE`, "\x00\xff\xde"},
		{`b64:AP8=`, "\x00\xff"},
		{`i64:258`, "\x00\x00\x00\x00\x00\x00\x01\x02"},
		{`i64:-1`, "\xff\xff\xff\xff\xff\xff\xff\xff"},
		{`file:` + file, "from file"},
		{`-`, "from stdin"},
		{`"-"`, "-"},
		{`"hex:00"`, "hex:00"},
		{`'b64:AP8='`, "b64:AP8="},
		{`-5`, "-5"},
		{`a:b`, "a:b"},
	} {
		commands, err := parse.Line(tc.text)
		require.NoError(t, err)
		got, err := parse.Bytes(parse.Args(commands[0])[0], strings.NewReader("from stdin"))
		require.NoError(t, err, tc.text)
		require.Equal(t, tc.want, string(got), tc.text)
	}
	for _, text := range []string{"hex:0", "hex:zz", "b64:*", "i64:x", "i64:9223372036854775808", "file:/nowhere/x"} {
		_, err := parse.Bytes(text, nil)
		require.Error(t, err, text)
	}
}

func TestQuotedWordIsNoFlag(t *testing.T) {
	commands, err := parse.Line(`x -a "-a" \x2da -5`)
	require.NoError(t, err)
	args := parse.Args(commands[0])
	require.Equal(t, "-a", args[1])
	for _, arg := range args[2:] {
		require.False(t, strings.HasPrefix(arg, "-"), "%q", arg)
	}
	require.Equal(t, []string{"-a", "-a", "-5"}, []string{parse.Text(args[2]), parse.Text(args[3]), parse.Text(args[4])})
}

// Whatever is printed can be pasted back, in every form but raw.
func FuzzPrintedBytesParseBack(f *testing.F) {
	for _, seed := range []string{"", "plain", "two words", "\x00\xff", "é\u202e\u0085", "\"\\'", "hex:41", "-x", "#;", "a\nb", "\xc3", "�"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, form := range []render.ByteForm{render.Quoted, render.EscapeAll, render.Hex, render.Base64} {
			text := string(form.Append(nil, b))
			commands, err := parse.Line(text)
			if err != nil || len(commands) != 1 || len(commands[0]) != 1 {
				t.Fatalf("%s: %q does not parse as one word: %v", form, text, err)
			}
			got, err := parse.Bytes(parse.Args(commands[0])[0], nil)
			if err != nil || !bytes.Equal(got, b) {
				t.Fatalf("%s: %q gives %q, want %q (%v)", form, text, got, b, err)
			}
			for _, c := range []byte(text) {
				if c < 0x20 || c == 0x7f {
					t.Fatalf("%s: control byte %#x printed", form, c)
				}
			}
		}
	})
}

func FuzzLine(f *testing.F) {
	f.Add(`set "a b" 'c' \x41; # x`)
	f.Fuzz(func(t *testing.T, text string) {
		commands, err := parse.Line(text)
		if err != nil {
			return
		}
		for _, words := range commands {
			for _, w := range words {
				if w.Start < 0 || w.Start >= len(text) {
					t.Fatalf("word %q starts outside the line", w.Text)
				}
			}
		}
	})
}
