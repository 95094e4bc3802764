package chaos

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/test/cluster"
)

// A mutant is this store with a mistake in it. The sources are replaced while the
// compiler reads them (go build -overlay): no trace of it is in the product.
type mutant struct {
	name  string
	edits []edit
	// test is who must notice, and verdict what it must say.
	test, verdict string
}

// edit replaces text that occurs exactly once in a file.
type edit struct{ file, old, new string }

const (
	underCuts  = "TestLinearizableUnderCuts"
	underKills = "TestLinearizableUnderKills"

	notLinear = "not linearizable"
	disagree  = "replicas disagree"
)

var brokenBuilds = []mutant{{
	name: "lease margin negative",
	edits: []edit{{
		"internal/raft/host.go", "leaseMarginTicks = 3\n", "leaseMarginTicks = -30\n",
	}},
	test: underCuts, verdict: notLinear,
}, {
	name: "leader reads without a lease",
	edits: []edit{{
		"replica/partition/partition.go",
		"\tage, ok := p.leaseAge(now)\n",
		"\tif p.leadership.get().mine {\n\t\treturn true\n\t}\n\tage, ok := p.leaseAge(now)\n",
	}},
	test: underCuts, verdict: notLinear,
}, {
	name: "followers read",
	edits: []edit{{
		"replica/partition/partition.go",
		"\tage, ok := p.leaseAge(now)\n",
		"\tif !p.leadership.get().mine {\n\t\treturn true\n\t}\n\tage, ok := p.leaseAge(now)\n",
	}},
	test: underCuts, verdict: notLinear,
}, {
	name: "acknowledges before commit",
	edits: []edit{{
		"replica/partition/proposer.go",
		"\tf.state = state\n",
		"\tf.state = state\n\tif len(f.writes) == 1 && f.writes[0].kind == command.Put && f.claim() {\n\t\tf.writes[0].done(&rrdb.UpdateResponse{}, nil)\n\t}\n",
	}, {
		"replica/partition/proposer.go",
		"\t\"github.com/arionkv/arion/idl/code\"\n",
		"\t\"github.com/arionkv/arion/idl/code\"\n\t\"github.com/arionkv/arion/idl/rrdb\"\n",
	}},
	test: underCuts, verdict: notLinear,
}, {
	name: "unknown outcomes called refusals",
	edits: []edit{{
		"replica/partition/proposer.go", "\tf.fail(errOutcome)\n", "\tf.fail(errNotLeader)\n",
	}},
	test: underCuts, verdict: notLinear,
}, {
	name: "apply by the wall clock",
	edits: []edit{{
		"replica/apply/apply.go",
		"nowSec: record.SecondsAt(stamp)",
		"nowSec: record.SecondsAt(uint64(time.Now().UnixMilli()))",
	}, {
		"replica/apply/apply.go", "\t\"math\"\n", "\t\"math\"\n\t\"time\"\n",
	}},
	test: underCuts, verdict: disagree,
}, {
	name: "applies again after a restart",
	edits: []edit{{
		"replica/partition/machine.go", "\treturn m.applier.State().AppliedIndex, nil\n",
		"\tlast := m.applier.State().AppliedIndex\n\treturn last - min(last, 5), nil\n",
	}, {
		"replica/apply/apply.go", "\tif index <= a.state.AppliedIndex {\n", "\tif index == 0 {\n",
	}},
	// The raft log, which knows better, ends the process.
	test: underKills, verdict: "ended while starting",
}, {
	name: "row cache keeps what a write replaces",
	edits: []edit{{
		"replica/engine/rowcache/engine.go", "\tif e.used.Load() {\n\t\te.takeOut(b)\n", "\tif false {\n\t\te.takeOut(b)\n",
	}},
	test: underCuts, verdict: notLinear,
}, {
	name: "client repeats increments",
	edits: []edit{{
		"client/call.go",
		"\tbarred := maybe && (c.op.once || policy.NoRepeatAfterUnknown)\n",
		"\tbarred := false && maybe && policy.NoRepeatAfterUnknown\n",
	}},
	test: underKills, verdict: notLinear,
}}

// attempts is how often a mutant may get away: its mistake shows only when a
// fault comes at the right moment.
const attempts = 4

// TestMutantsFit notices, at every run, sources that have moved away under the mutants.
func TestMutantsFit(t *testing.T) {
	for _, m := range brokenBuilds {
		m.overlay(t)
	}
}

// TestMutantsAreCaught shows that the checks can fail: each broken build must be
// found out by the test named.
func TestMutantsAreCaught(t *testing.T) {
	if !*mutants {
		t.Skip("builds the store many times; run it with make mutants")
	}
	for _, m := range brokenBuilds {
		t.Run(m.name, func(t *testing.T) {
			overlay := m.overlay(t)
			program := ""
			if m.test == underKills {
				var err error
				program, err = cluster.Build("arion-mutant", overlay)
				require.NoError(t, err)
			}
			checker := m.buildChecker(t, overlay)
			for attempt := range attempts {
				if m.caught(t, checker, program) {
					t.Logf("caught at attempt %d", attempt+1)
					return
				}
			}
			t.Errorf("got away %d times: the checker is blind for it", attempts)
		})
	}
}

// overlay writes the changed sources and the list of them that go build reads.
func (m mutant) overlay(t *testing.T) string {
	dir, root := t.TempDir(), cluster.Root()
	replace := map[string]string{}
	for _, e := range m.edits {
		path := filepath.Join(root, e.file)
		from := path
		if changed, ok := replace[path]; ok {
			from = changed
		}
		text, err := os.ReadFile(from)
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(text), e.old), "%q must occur once in %s: adapt the mutant", e.old, e.file)
		to := filepath.Join(dir, strings.ReplaceAll(e.file, "/", "_"))
		require.NoError(t, os.WriteFile(to, []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o644))
		replace[path] = to
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	path := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(path, list, 0o644))
	return path
}

// buildChecker builds these tests with the mistake in the servers of the process.
func (m mutant) buildChecker(t *testing.T, overlay string) string {
	path := filepath.Join(cluster.Root(), ".build", "test", "chaos-mutant.test")
	cmd := exec.Command("go", "test", "-c", "-trimpath", "-tags", "grocksdb_no_link", "-overlay", overlay, "-o", path, "./test/chaos")
	cmd.Dir = cluster.Root()
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

func (m mutant) caught(t *testing.T, checker, program string) bool {
	cmd := exec.Command(checker, "-test.run", "^"+m.test+"$", "-test.v", "-test.timeout", "10m", "-chaos.time", "30s")
	cmd.Env = append(os.Environ(), "ARION_BIN="+program)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	if !strings.Contains(string(out), m.verdict) {
		t.Logf("failed, but for another reason:\n%s", tail(string(out), 4000))
		return false
	}
	return true
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
