package shell_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/shell/command"
	"github.com/arionkv/arion/shell/render"
	"github.com/arionkv/arion/shell/repl"
	"github.com/arionkv/arion/test/fakekv"
)

// Every way to fail has its exit status, code and advice.
func TestFailures(t *testing.T) {
	for _, tc := range []struct {
		name   string
		script string
		spoil  func(*fakekv.Cluster)
		exit   int
		shows  []string
	}{
		{"busy", "get a b", fails("GET", "ERR_BUSY"), command.ExitBusy, []string{"(ERR_BUSY)", "again in a moment"}},
		{"denied", "get a b", fails("GET", "ERR_ACL_DENY"), command.ExitRefused, []string{"(ERR_ACL_DENY)"}},
		{"read not answered", "get a b", silent("GET", false), command.ExitUnreachable, []string{"timeout <ms>"}},
		{"incr not answered", "incr a b", silent("INCR", true), command.ExitInDoubt, []string{"may or may not have been executed", "read the record back"}},
		{"no leader", "get a b", func(c *fakekv.Cluster) {
			for i := range 8 {
				c.SetLeader("temp", i, -1)
			}
		}, command.ExitUnreachable, []string{"app <table> -d"}},
		{"no meta", "ls", func(c *fakekv.Cluster) { c.Meta(0).Stop() }, command.ExitUnreachable, []string{"UNREACHABLE", "--meta"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cluster := fakekv.Start(t, fakekv.Options{})
			cluster.CreateTable("temp", 8)
			tc.spoil(cluster)
			var out bytes.Buffer
			s := &command.Session{
				Metas: cluster.Metas(), Table: "temp", Timeout: 700 * time.Millisecond,
				Printer: &render.Printer{Out: &out, Err: &out, Format: render.Table},
			}
			defer s.Close()
			status := repl.Script(context.Background(), s, repl.Options{Name: "t"}, strings.NewReader(tc.script+"\nversion\n"))
			require.Equal(t, tc.exit, status, out.String())
			for _, text := range append(tc.shows, "error: ", "cause: ", "try: ") {
				require.Contains(t, out.String(), text)
			}
		})
	}
}

func fails(rpc, code string) func(*fakekv.Cluster) {
	return func(c *fakekv.Cluster) { c.Script(fakekv.Match{RPC: rpc}, 0, fakekv.Action{Error: code}) }
}

func silent(rpc string, apply bool) func(*fakekv.Cluster) {
	return func(c *fakekv.Cluster) {
		c.Script(fakekv.Match{RPC: rpc}, 0, fakekv.Action{Silence: true, Apply: apply})
	}
}

func TestInterruptEndsAScript(t *testing.T) {
	cluster := fakekv.Start(t, fakekv.Options{})
	cluster.CreateTable("temp", 8)
	asked := make(chan struct{})
	cluster.Script(fakekv.Match{RPC: "GET"}, 0, fakekv.Action{Silence: true})
	var out bytes.Buffer
	s := &command.Session{
		Metas: cluster.Metas(), Table: "temp", Timeout: time.Minute,
		Printer: &render.Printer{Out: &out, Err: &out, Format: render.Table},
	}
	defer s.Close()
	ctx, interrupt := context.WithCancel(context.Background())
	go func() {
		defer close(asked)
		for cluster.Count("GET") == 0 {
			time.Sleep(time.Millisecond)
		}
		interrupt()
	}()
	status := repl.Script(ctx, s, repl.Options{Name: "t"}, strings.NewReader("get a b\nget a b\n"))
	<-asked
	require.Equal(t, command.ExitInterrupted, status, out.String())
	require.Contains(t, out.String(), "interrupted")
}
