package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/test/cluster"
)

// runArion runs the program, and gives what it says.
func runArion(t *testing.T, args ...string) (string, error) {
	out, err := exec.Command(cluster.Binary(t), args...).CombinedOutput()
	return string(out), err
}

// TestMetasRecovered: two of three meta servers lose their disks for good. What
// docs/operations.md says brings the third back to work with all tables and data,
// and then others beside it.
func TestMetasRecovered(t *testing.T) {
	onlyLong(t)
	p := cluster.StartProcesses(t, cluster.ProcessOptions{Metas: 3})
	c := cluster.Connect(t, p.Metas())
	ledger := NewLedger(makeTable(t, c, "kept", partitions), 8)
	loadUntil(t, ledger, 300, nil)
	v := View{System: p, Admin: admin.New(c)}
	require.NoError(t, p.Kill(p.MetaNames()...))
	for _, lost := range []string{"meta2", "meta3"} {
		require.NoError(t, os.RemoveAll(filepath.Join(p.Dir, lost)))
	}

	settings := filepath.Join(p.Dir, "meta1.toml")
	said, err := runArion(t, "meta", "recover", "--config", settings)
	require.NoError(t, err, said)
	require.Contains(t, said, "kept")
	require.Contains(t, said, p.Addr("meta2"))
	said, err = runArion(t, "meta", "recover", "--config", settings, "--yes")
	require.NoError(t, err, said)
	require.NoError(t, p.Restart("meta1"))
	said, err = runArion(t, "meta", "recover", "--config", settings, "--yes")
	require.Error(t, err, "a server that runs is left alone")
	require.Contains(t, said, "in use by process")

	alone := []string{p.Addr("meta1")}
	ledger.table = cluster.Connect(t, alone).Table("kept")
	require.NoError(t, ledger.Verify(context.Background()))
	loadUntil(t, ledger, 100, nil)
	v.Admin = admin.New(cluster.Connect(t, alone))
	more := makeTable(t, cluster.Connect(t, alone), "more", partitions)
	require.NoError(t, more.Set(context.Background(), []byte("h"), []byte("s"), []byte("v")))

	for _, name := range []string{"meta2", "meta3"} {
		joins(t, filepath.Join(p.Dir, name+".toml"))
		cluster.Eventually(t, patience, "a place for "+name, func() error { return v.command("meta.add", "the place of", p.Addr(name)) })
		require.NoError(t, p.Restart(name))
		cluster.Eventually(t, patience, name+" to vote", func() error {
			text, err := v.Admin.RemoteCommand(context.Background(), alone[0], "meta.list")
			for _, line := range strings.Split(text, "\n") {
				if strings.Contains(line, p.Addr(name)) && strings.Contains(line, "voting") {
					return nil
				}
			}
			return fmt.Errorf("%s %w", text, err)
		})
	}
	// The survivor may go now.
	require.NoError(t, p.Kill("meta1"))
	others := cluster.Connect(t, []string{p.Addr("meta2"), p.Addr("meta3")})
	cluster.Eventually(t, patience, "another leader of the metas", func() error {
		_, err := admin.New(others).RemoteCommand(context.Background(), p.Addr("meta3"), "meta.list")
		if err == nil {
			_, err = admin.New(others).ListTables(context.Background(), admin.StatusAvailable)
		}
		return err
	})
	makeTable(t, others, "last", 2)
	ledger.table = others.Table("kept")
	require.NoError(t, ledger.Verify(context.Background()))
	agreed(t, View{System: p, Admin: admin.New(others)})
}

// joins makes a meta server join a running group at its next start.
func joins(t *testing.T, settings string) {
	text, err := os.ReadFile(settings)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(settings, []byte(strings.Replace(string(text), "[meta]\n", "[meta]\njoin = true\n", 1)), 0o644))
}

// command runs a command of the metas and looks for a text in the answer.
func (v View) command(name, want string, args ...string) error {
	var text string
	var err error
	for _, meta := range v.Metas() {
		if text, err = v.Admin.RemoteCommand(context.Background(), meta, name, args...); err == nil {
			break
		}
	}
	if err != nil || !strings.Contains(text, want) {
		return fmt.Errorf("%s %v says %q, %w", name, args, text, err)
	}
	return nil
}

// TestTwoOfThreeLost: the partitions refuse writes with a code that says so, the
// shell names the remedy, and the remedy of docs/operations.md works.
func TestTwoOfThreeLost(t *testing.T) {
	onlyLong(t)
	p := cluster.StartProcesses(t, cluster.ProcessOptions{})
	c := cluster.Connect(t, p.Metas())
	table := makeTable(t, c, "third", partitions)
	ledger := NewLedger(table, 8)
	loadUntil(t, ledger, 300, nil)
	v := View{System: p, Admin: admin.New(c)}
	agreed(t, v) // the last replica has applied everything: nothing may be lost

	gone := []string{"replica1", "replica2"}
	require.NoError(t, p.Kill(gone...))
	for _, name := range gone {
		require.NoError(t, os.RemoveAll(filepath.Join(p.Dir, name)))
	}
	last := View{System: without{without{p, "replica1"}, "replica2"}, Admin: v.Admin}
	cluster.Eventually(t, patience, "partitions without leaders", func() error {
		if n := len(last.Leaders(context.Background())); n > 0 {
			return fmt.Errorf("%d have leaders", n)
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	err := table.Set(ctx, []byte("h"), []byte("s"), []byte("v"))
	require.Error(t, err)
	t.Logf("a client is told: %v", err)
	cluster.Eventually(t, patience, "the doctor to name the remedy", func() error {
		said, _ := runArion(t, "--meta", p.Metas()[0], "doctor")
		if !strings.Contains(said, "partition recover") {
			return fmt.Errorf("it says %s", said)
		}
		t.Logf("the doctor says:\n%s", said)
		return nil
	})
	cluster.Eventually(t, patience, "a plan", func() error { return v.command("partition.recover", "would be formed anew", "all") })
	cluster.Eventually(t, patience, "recovery", func() error { return v.command("partition.recover", "is formed anew", "all", "yes") })
	require.NoError(t, ledger.Verify(context.Background()))
	loadUntil(t, ledger, 100, nil)

	// The lost ones come back with new disks, and repair does the rest.
	require.NoError(t, p.StartAll())
	cluster.Eventually(t, patience, "all replicas", func() error { return v.Whole(context.Background(), partitions, copies) })
	require.NoError(t, ledger.Verify(context.Background()))
	agreed(t, v)
}
