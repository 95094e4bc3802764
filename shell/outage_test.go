package shell_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/shell/command"
	"github.com/arionkv/arion/shell/repl"
	"github.com/arionkv/arion/test/fakekv"
)

// The cluster dies under a running verb: it ends by itself, with the right status
// and advice, and long work says how to go on.
func TestClusterDiesUnderAVerb(t *testing.T) {
	for _, tc := range []struct {
		line  string
		shows string
	}{
		{"get h1 s", ""},
		{"full_scan", "--cursor"},
		{"scan -d", "--cursor"},
		{"count_data", "--resume"},
		{"export out.jsonl", "--resume"},
		{"import in.jsonl", "--resume"},
		{"copy_data -a copy", ""},
		{"clear_data -f --yes", ""},
		{"table list", ""}, {"table create x", ""}, {"node list -d", ""}, {"doctor", ""}, {"table stat -i 10", ""}, {"data_size", ""},
		{"watch 10ms get h1 s -n 3", ""}, {"remote_command server-info", ""}, {"multi_del_range h1 '' ''", ""},
	} {
		t.Run(strings.Fields(tc.line)[0]+strings.Fields(tc.line + " x")[1], func(t *testing.T) {
			st := newStage(t)
			st.session.Timeout = 400 * time.Millisecond
			var script strings.Builder
			for i := range 50 {
				fmt.Fprintf(&script, "set h%d s v%d\n", i, i)
			}
			require.Zero(t, st.run(t, script.String()+"create copy -p 8\nexport in.jsonl\n"), st.out.String())
			for i := range 3 {
				st.cluster.Node(i).Stop()
			}
			st.cluster.Meta(0).Stop()
			begin := time.Now()
			status := st.run(t, tc.line)
			require.Less(t, time.Since(begin), 15*time.Second)
			require.NotZero(t, status, st.out.String())
			require.Contains(t, []int{command.ExitUnreachable, command.ExitInDoubt, command.ExitFailed}, status, st.out.String())
			require.Contains(t, st.out.String(), "error: ")
			require.Contains(t, st.out.String(), tc.shows)
		})
	}
}

var resumeFile = regexp.MustCompile(`--resume (\S+)`)

// An interrupted export and import go on where they stood: nothing is missing.
func TestResume(t *testing.T) {
	st := newStage(t)
	st.session.Timeout = 500 * time.Millisecond
	var script strings.Builder
	for i := range 400 {
		fmt.Fprintf(&script, "set h%d s v%d\n", i, i)
	}
	require.Zero(t, st.run(t, script.String()), st.out.String())
	busy := st.cluster.Script(fakekv.Match{RPC: "GET_SCANNER", Node: st.cluster.Node(1)}, 0, fakekv.Action{Error: "ERR_BUSY"})
	require.NotZero(t, st.run(t, "export out.csv --lanes 1"))
	match := resumeFile.FindStringSubmatch(st.out.String())
	require.NotNil(t, match, st.out.String())
	busy.Remove()
	require.Zero(t, st.run(t, "export out.csv --resume "+match[1]), st.out.String())
	b, err := os.ReadFile("out.csv")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
		seen[line] = true
	}
	require.Len(t, seen, 400)

	require.Zero(t, st.run(t, "create copy -p 8\nuse copy"))
	busy = st.cluster.Script(fakekv.Match{RPC: "PUT", Node: st.cluster.Node(2)}, 0, fakekv.Action{Error: "ERR_BUSY"})
	require.NotZero(t, st.run(t, "import out.csv -b 50"))
	match = resumeFile.FindStringSubmatch(st.out.String())
	require.NotNil(t, match, st.out.String())
	busy.Remove()
	require.Zero(t, st.run(t, "import out.csv -b 50 --resume "+match[1]), st.out.String())
	require.Zero(t, st.run(t, "count_data -q"))
	require.Contains(t, st.out.String(), "count : 400")
}

// Ctrl-C ends long work with a place to go on from.
func TestInterruptKeepsThePlace(t *testing.T) {
	st := newStage(t)
	require.Zero(t, st.run(t, "set a b c"))
	ctx, interrupt := context.WithCancel(context.Background())
	st.cluster.Script(fakekv.Match{RPC: "GET_SCANNER"}, 0, fakekv.Action{Silence: true})
	before := st.cluster.Count("GET_SCANNER")
	go func() {
		for st.cluster.Count("GET_SCANNER") == before {
			time.Sleep(time.Millisecond)
		}
		interrupt()
	}()
	st.out.Reset()
	status := repl.Script(ctx, st.session, repl.Options{Name: "t"}, strings.NewReader("count_data\n"))
	require.Equal(t, command.ExitInterrupted, status, st.out.String())
	require.Contains(t, st.out.String(), "the same with --resume")
}
