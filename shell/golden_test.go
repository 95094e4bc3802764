package shell_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/shell/command"
	"github.com/arionkv/arion/shell/profile"
	"github.com/arionkv/arion/shell/render"
	"github.com/arionkv/arion/shell/repl"
	"github.com/arionkv/arion/test/fakekv"
)

// TestGolden runs the sessions of testdata against a fake cluster with table
// temp. `run` gives a script as -f would; its arguments are flags of the shell
// (json, hex, b64, escape_all, footers). What goes to stdout and stderr is
// shown in the order written, then the exit status. Rewrite with -rewrite.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts found", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			cluster := fakekv.Start(t, fakekv.Options{})
			cluster.CreateTable("temp", 8)
			dir := t.TempDir()
			g := &golden{cluster: cluster, dir: dir, session: &command.Session{
				Metas: cluster.Metas(), Timeout: 10 * time.Second, Version: "arion test",
				Profiles: profile.Store{Path: filepath.Join(dir, "profiles.json")},
			}}
			defer g.session.Close()
			datadriven.RunTest(t, file, g.run)
		})
	}
}

type golden struct {
	cluster *fakekv.Cluster
	session *command.Session
	dir     string
}

func (g *golden) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "run":
		return g.script(d)
	case "write":
		require.NoError(t, os.WriteFile(filepath.Join(g.dir, d.CmdArgs[0].Key), []byte(d.Input+"\n"), 0o600))
		return ""
	case "files":
		return g.files(t, strings.Fields(d.Input))
	case "world":
		drain := "  draining  leaders=2  replicas=8  copies=1  stuck=0  moving"
		if d.HasArg("stuck") {
			drain = "  draining  leaders=0  replicas=8  copies=0  stuck=8  stuck"
		}
		newWorld(g.cluster).set(func(w *world) {
			w.commands["node.drain-status"] = g.cluster.Node(2).Addr() + drain
		})
		return ""
	case "advance":
		var seconds int
		d.ScanArgs(t, "seconds", &seconds)
		g.cluster.Advance(time.Duration(seconds) * time.Second)
		return ""
	}
	d.Fatalf(t, "unknown command %s", d.Cmd)
	return ""
}

func (g *golden) script(d *datadriven.TestData) string {
	var out bytes.Buffer
	p := &render.Printer{Out: &out, Err: &out, Format: render.Table, Quiet: !d.HasArg("footers")}
	if d.HasArg("json") {
		p.Format = render.JSON
	}
	for _, form := range []render.ByteForm{render.Hex, render.Base64, render.EscapeAll} {
		if d.HasArg(string(form)) {
			p.Bytes = form
		}
	}
	g.session.Printer = p
	d.Input = g.real(d.Input)
	status := repl.Script(context.Background(), g.session, repl.Options{Name: "script"}, strings.NewReader(d.Input))
	fmt.Fprintf(&out, "exit %d\n", status)
	return g.stable(out.String())
}

// files shows what was written.
func (g *golden) files(t *testing.T, names []string) string {
	var out strings.Builder
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(g.dir, name))
		require.NoError(t, err)
		lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		head := 0
		if strings.HasSuffix(name, ".csv") {
			head = 1
		}
		slices.Sort(lines[head:]) // partitions are worked on side by side
		fmt.Fprintf(&out, "%s:\n%s\n", name, strings.Join(lines, "\n"))
	}
	return g.stable(out.String())
}

// real undoes stable.
func (g *golden) real(text string) string {
	for i, meta := range g.cluster.Metas() {
		text = strings.ReplaceAll(text, fmt.Sprintf("<meta%d>", i+1), meta)
	}
	for i := range 3 {
		text = strings.ReplaceAll(text, fmt.Sprintf("<node%d>", i+1), g.cluster.Node(i).Addr())
	}
	return strings.ReplaceAll(text, "<dir>", g.dir)
}

var (
	elapsed = regexp.MustCompile(`("(?:elapsed|latency)_ms":)[0-9.]+|[0-9.]+( ms)`)
	cursor  = regexp.MustCompile(`eyJGb3JtYXQ[A-Za-z0-9_-]+`)
	hour    = regexp.MustCompile(` [0-9]{2}:[0-9]{2}:[0-9]{2}\b`)
	clock   = regexp.MustCompile(`20[0-9-]{8}T[0-9:]{8}Z`)
)

// stable takes out what differs from run to run: ports, durations, times.
func (g *golden) stable(text string) string {
	for i, meta := range g.cluster.Metas() {
		text = strings.ReplaceAll(text, meta, fmt.Sprintf("<meta%d>", i+1))
	}
	for i := range 3 {
		text = strings.ReplaceAll(text, g.cluster.Node(i).Addr(), fmt.Sprintf("<node%d>", i+1))
	}
	text = strings.ReplaceAll(text, g.dir, "<dir>")
	text = cursor.ReplaceAllString(text, "<cursor>")
	text = elapsed.ReplaceAllString(text, "${1}T$2")
	text = hour.ReplaceAllString(text, " <hour>")
	return clock.ReplaceAllString(text, "<time>")
}

// Random bytes survive the way through a script, the server, the printed form,
// and a script again.
func TestPrintedValuesCanBePastedBack(t *testing.T) {
	cluster := fakekv.Start(t, fakekv.Options{})
	cluster.CreateTable("temp", 8)
	for _, form := range []render.ByteForm{render.Quoted, render.Hex, render.Base64, render.EscapeAll} {
		var out bytes.Buffer
		s := &command.Session{
			Metas: cluster.Metas(), Table: "temp", Timeout: 10 * time.Second,
			Printer: &render.Printer{Out: &out, Err: os.Stderr, Format: render.Table, Quiet: true, Bytes: form},
		}
		value := make([]byte, 256)
		for i := range value {
			value[i] = byte(i)
		}
		first := string(form.Append(nil, value))
		if status := repl.Script(context.Background(), s, repl.Options{Name: "t"}, strings.NewReader("set h s "+first+"\nget h s\n")); status != 0 {
			t.Fatalf("%s: exit %d: %s", form, status, out.String())
		}
		printed := strings.TrimPrefix(strings.TrimSuffix(out.String(), "\n"), "OK\n")
		if printed != first {
			t.Errorf("%s: printed %s, typed %s", form, printed, first)
		}
		s.Close()
	}
}
