package shell_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/shell/command"
	"github.com/arionkv/arion/shell/profile"
	"github.com/arionkv/arion/shell/render"
	"github.com/arionkv/arion/shell/repl"
	"github.com/arionkv/arion/test/fakekv"
)

// a stage is a session on a fake cluster with what the examples work on.
type stage struct {
	cluster *fakekv.Cluster
	session *command.Session
	out     bytes.Buffer
}

func newStage(t *testing.T) *stage {
	cluster := fakekv.Start(t, fakekv.Options{})
	cluster.CreateTable("temp", 8)
	return newStageOn(t, cluster)
}

func newStageOn(t *testing.T, cluster *fakekv.Cluster) *stage {
	t.Chdir(t.TempDir())
	st := &stage{cluster: cluster}
	st.session = &command.Session{
		Metas: st.cluster.Metas(), Table: "temp", Timeout: 5 * time.Second, Version: "arion test",
		Printer:  &render.Printer{Out: &st.out, Err: &st.out, Format: render.Table},
		Profiles: profile.Store{Path: filepath.Join(t.TempDir(), "profiles.json")},
	}
	t.Cleanup(st.session.Close)
	return st
}

func (st *stage) run(t *testing.T, script string) int {
	st.out.Reset()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return repl.Script(ctx, st.session, repl.Options{Name: "example", KeepGoing: true}, strings.NewReader(script))
}

// here puts the addresses of the fake cluster for those of the examples.
func (st *stage) here(example string) string {
	for i := range 3 {
		example = strings.ReplaceAll(example, "127.0.0.1:3480"+string(rune('1'+i)), st.cluster.Node(i).Addr())
	}
	for _, meta := range []string{"127.0.0.1:34601", "10.0.0.5:34601"} {
		example = strings.ReplaceAll(example, meta, st.cluster.Metas()[0])
	}
	return strings.ReplaceAll(example, "/tmp/", "")
}

// scenery is what examples need to be there before.
var scenery = map[string]string{
	"copy_data":      "create copy -p 4",
	"import":         "set a b c; export temp.jsonl; export temp.bin",
	"ctx use":        "ctx add local 127.0.0.1:34601; ctx add prod 127.0.0.1:34601",
	"ctx remove":     "ctx add local 127.0.0.1:34601; ctx add prod 127.0.0.1:34601",
	"cc":             "ctx add local 127.0.0.1:34601",
	"table recall":   "create users; create users2; create users3; drop users3",
	"table rename":   "create users; create accounts",
	"table drop":     "create users",
	"partition lead": "create other",
	"incr":           "set user1 visits 1",
}

// Every verb has two or three examples, and all of them run: none is a mistake,
// whatever the fake server makes of it.
func TestExamplesRun(t *testing.T) {
	command.Each(func(group, name, use, short, example string) {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			lines := strings.Split(example, "\n")
			require.GreaterOrEqual(t, len(lines), 2, "examples of %s", name)
			require.NotEmpty(t, short)
			for _, line := range lines {
				if name == "top" && !strings.Contains(line, "-n") {
					continue // it ends with Ctrl-C
				}
				if name == "check_and_mutate" && strings.Contains(line, "#") {
					line += "\nset a b\nok"
				}
				st := newStage(t)
				require.NoError(t, os.WriteFile("people.csv", []byte("id,name\nu1,Ada\n"), 0o600))
				require.NoError(t, os.WriteFile("ada.jpg", []byte{0xff, 0xd8}, 0o600))
				if before := scenery[name]; before != "" {
					require.Zero(t, st.run(t, st.here(before)), st.out.String())
				}
				status := st.run(t, st.here(line))
				require.NotEqual(t, command.ExitUsage, status, "%s\n%s", line, st.out.String())
				require.NotContains(t, st.out.String(), "panic")
			}
		})
	})
}

// What a fake server answers to changes; a dry run must send none of it.
var changing = []string{
	"RPC_CM_CREATE_APP", "RPC_CM_DROP_APP", "RPC_CM_RECALL_APP", "RPC_CM_RENAME_APP", "RPC_CM_UPDATE_APP_ENV", "RPC_CM_SET_MAX_REPLICA_COUNT",
	"RPC_CM_PROPOSE_BALANCER", "RPC_CM_START_PARTITION_SPLIT", "RPC_CM_CONTROL_PARTITION_SPLIT", "RPC_CM_START_MANUAL_COMPACT",
	"RPC_CM_SET_ATOMIC_IDEMPOTENT", "RPC_RRDB_RRDB_REMOVE", "RPC_RRDB_RRDB_MULTI_REMOVE",
}

func TestDryRunSendsNothing(t *testing.T) {
	command.Each(func(group, name, use, short, example string) {
		for _, line := range strings.Split(example, "\n") {
			if !strings.Contains(line, "--dry-run") || name == "cluster settings" { // the fake meta server has none
				continue
			}
			st := newStage(t)
			if before := scenery[name]; before != "" {
				st.run(t, st.here(before))
			}
			before := map[string]int{}
			for _, rpc := range changing {
				before[rpc] = st.cluster.Count(rpc)
			}
			st.run(t, st.here(line))
			require.Regexp(t, `dry run: would|"dry_run":true`, st.out.String(), line)
			for _, rpc := range changing {
				require.Equal(t, before[rpc], st.cluster.Count(rpc), "%s sent %s", line, rpc)
			}
		}
	})
}

// At the prompt administration is read-only until enable, and what destroys asks
// for the name.
func TestPromptIsReadOnly(t *testing.T) {
	st := newStage(t)
	var answers []string
	st.session.Interactive = true
	run := func(line string) int { return st.runInteractive(t, line, answers) }
	require.Equal(t, command.ExitRefused, run("create users"))
	require.Contains(t, st.out.String(), "READ_ONLY")
	require.Zero(t, run("create users --yes"))
	require.Equal(t, command.ExitRefused, run("drop users"))
	require.Zero(t, run("enable"))
	answers = []string{"user"}
	require.Equal(t, command.ExitRefused, run("drop users"))
	require.Contains(t, st.out.String(), "NOT_CONFIRMED")
	require.Zero(t, st.cluster.Count("RPC_CM_DROP_APP"))
	answers = []string{"users"}
	require.Zero(t, run("drop users"), st.out.String())
	require.Zero(t, run("disable"))
	require.Equal(t, command.ExitRefused, run("set_app_envs default_ttl 5"))
	require.Zero(t, run("set a b c"), "records are no administration")
}

func (st *stage) runInteractive(t *testing.T, line string, answers []string) int {
	st.out.Reset()
	words := wordsOf(t, line)
	st.session.More = func(string) (string, error) {
		next := answers[0]
		answers = answers[1:]
		return next, nil
	}
	return st.session.Run(context.Background(), words)
}
