package catalog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// TestCatalog runs the scripts of testdata: one command per directive, the state's picture after it.
func TestCatalog(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := New()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "show" {
				return show(s)
			}
			c := parse(t, d)
			again, err := Decode(Encode(c)) // what the log would carry
			require.NoError(t, err)
			var r Result
			s, r = s.Apply(s.Index+1, again)
			restored, err := Restore(s.Snapshot())
			require.NoError(t, err)
			require.Equal(t, s, restored)
			return showResult(r)
		})
	})
}

func parse(t *testing.T, d *datadriven.TestData) Command {
	arg := func(name string) string {
		for _, a := range d.CmdArgs {
			if a.Key == name && len(a.Vals) > 0 {
				return strings.Join(a.Vals, ",")
			}
		}
		return ""
	}
	num := func(name string) int64 {
		if arg(name) == "" {
			return 0
		}
		v, err := strconv.ParseInt(arg(name), 10, 64)
		require.NoError(t, err)
		return v
	}
	table, part := int32(num("table")), int32(num("part"))
	switch d.Cmd {
	case "node":
		return &RegisterNode{Node{ID: num("id"), Boot: num("boot"), RPCAddress: arg("addr")}}
	case "create":
		c := &CreateTable{Name: arg("name"), PartitionCount: int32(num("parts")), ReplicaCount: int32(num("replicas")),
			SuccessIfExist: d.HasArg("if-exists"), NowUnixSec: num("now")}
		for i := int32(0); i < c.PartitionCount && i <= MaxPartitions; i++ {
			var nodes []int64
			for j := int32(0); j < c.ReplicaCount; j++ {
				nodes = append(nodes, int64((i+j)%3+1))
			}
			c.Placement = append(c.Placement, nodes)
		}
		return c
	case "ready":
		return &TableReady{table}
	case "abandon":
		return &AbandonTable{table}
	case "drop":
		return &DropTable{arg("name"), d.HasArg("if-exists"), num("now"), num("reserve")}
	case "recall":
		return &RecallTable{table, arg("name"), num("now")}
	case "rename":
		return &RenameTable{arg("from"), arg("to")}
	case "purge":
		return &PurgeTables{num("now")}
	case "env":
		c := &UpdateEnvs{Name: arg("name"), Op: EnvOp(num("op")), Prefix: arg("prefix")}
		for _, line := range strings.Fields(d.Input) {
			k, v, isSet := strings.Cut(line, "=")
			c.Keys = append(c.Keys, k)
			if isSet {
				c.Values = append(c.Values, v)
			}
		}
		return c
	case "level":
		return &SetLevel{Level(num("to"))}
	case "cluster":
		return &NameCluster{arg("name")}
	case "lead":
		return &ConfirmLeaders{[]LeaderEvent{{table, part, num("term"), num("replica")}}}
	case "add":
		return &AddReplica{table, part, num("node"), num("replaces"), Reason(num("why"))}
	case "promote":
		return &PromoteReplica{table, part, num("replica")}
	case "remove":
		return &RemoveReplica{table, part, num("replica")}
	case "retire":
		return &RetireReplica{table, part, num("replica")}
	case "restore":
		return &RestoreReplica{table, part, num("replica")}
	case "reform":
		return &ReformPartition{table, part, num("replica"), num("term")}
	case "meta":
		return &RecordMeta{uint64(num("place")), num("node"), arg("addr")}
	case "add-meta":
		return &AddMeta{arg("addr")}
	case "set-meta":
		return &SetMeta{uint64(num("place")), MetaState(num("to"))}
	case "state":
		return &SetNodeState{num("id"), NodeState(num("to"))}
	case "away":
		return &NoteAway{num("id"), num("since")}
	case "forget":
		return &ForgetNode{num("id")}
	case "option":
		return &SetOption{arg("name"), num("value")}
	case "count":
		return &SetReplicaCount{arg("name"), int32(num("to"))}
	case "counted":
		return &ReplicaCountDone{table}
	case "split":
		return &StartSplit{arg("name"), int32(num("to"))}
	case "control":
		op := map[string]SplitControl{"pause": PauseSplit, "restart": RestartSplit, "cancel": CancelSplit, "other": 9}[arg("op")]
		return &ControlSplit{arg("name"), op, int32(num("part")), int32(num("old"))}
	case "settle":
		return &SettleSplit{table}
	case "cut":
		return &CutPartition{table, part}
	case "retry":
		return &RetryCut{table, part, int32(num("attempt"))}
	case "spawn":
		c := &SpawnChild{TableID: table, Partition: part, Attempt: int32(num("attempt"))}
		for _, f := range strings.Split(arg("replicas"), ",") {
			id, err := strconv.ParseInt(f, 10, 64)
			require.NoError(t, err)
			c.Replicas = append(c.Replicas, id)
		}
		return c
	case "born":
		return &ChildReady{table, part}
	}
	t.Fatalf("unknown directive %s", d.Cmd)
	return nil
}

func showResult(r Result) string {
	out := r.Code.String()
	if r.TableID != 0 {
		out += fmt.Sprintf(" table=%d", r.TableID)
	}
	if r.Value != 0 {
		out += fmt.Sprintf(" value=%d", r.Value)
	}
	if len(r.Keys) > 0 {
		out += fmt.Sprintf(" keys=%v", r.Keys)
	}
	if r.Hint != "" {
		out += ": " + r.Hint
	}
	return out + "\n"
}

func show(s *State) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version=%d cluster=%q level=%s next=%d\n", s.Version, s.Settings.ClusterName, s.Settings.Level, s.Settings.NextTableID)
	for _, n := range s.Nodes() {
		fmt.Fprintf(&b, "node %d boot=%d %s state=%d", n.ID, n.Boot, n.RPCAddress, n.State)
		if n.AwaySinceUnixSec != 0 {
			fmt.Fprintf(&b, " away=%d", n.AwaySinceUnixSec)
		}
		b.WriteByte('\n')
	}
	for _, id := range slices.Sorted(maps.Keys(s.metas)) {
		m := s.metas[id]
		fmt.Fprintf(&b, "meta %d node=%d %s %s\n", id, m.NodeID, m.Address, m.State)
	}
	for _, t := range s.Tables() {
		fmt.Fprintf(&b, "table %d %q status=%d create=%d drop=%d expire=%d envs=%v version=%d\n",
			t.ID, t.Name, t.Status, t.CreateUnixSec, t.DropUnixSec, t.ExpireUnixSec, t.Envs, t.Version)
		for i, p := range t.Partitions {
			fmt.Fprintf(&b, "  %d: term=%d leader=%d next=%d", i, p.Term, p.Leader, p.NextReplicaID)
			for _, r := range p.Replicas {
				fmt.Fprintf(&b, " %d@%d", r.ID, r.NodeID)
				if !r.Voting {
					b.WriteByte('?')
				}
				if r.Leaving {
					b.WriteByte('-')
				}
				if r.Replaces != 0 {
					fmt.Fprintf(&b, "(for %d, %s)", r.Replaces, r.Why)
				}
			}
			if p.Split != SplitNone || p.Base != 0 {
				fmt.Fprintf(&b, " split=%d attempt=%d base=%d", p.Split, p.Attempt, p.Base)
			}
			if t.Unborn(int32(i)) {
				b.WriteString(" unborn")
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// randomCommand draws from a small world, so that commands often hit and often are refused.
func randomCommand(r *rand.Rand) Command {
	name := fmt.Sprintf("t%d", r.Intn(4))
	id, now := int32(r.Intn(6)), int64(r.Intn(1000))
	switch kind(1 + r.Intn(46)) {
	case kindCreateTable:
		return &CreateTable{Name: name, PartitionCount: 2, ReplicaCount: 2, SuccessIfExist: r.Intn(2) == 0,
			Envs: map[string]string{"a": "1", "b": "2"}, NowUnixSec: now, Placement: [][]int64{{1, 2}, {2, int64(r.Intn(4))}}}
	case kindTableReady:
		return &TableReady{id}
	case kindAbandonTable:
		return &AbandonTable{id}
	case kindDropTable:
		return &DropTable{name, r.Intn(2) == 0, now, int64(r.Intn(100))}
	case kindRecallTable:
		return &RecallTable{id, []string{"", "t9"}[r.Intn(2)], now}
	case kindRenameTable:
		return &RenameTable{name, fmt.Sprintf("t%d", r.Intn(6))}
	case kindPurgeTables:
		return &PurgeTables{now}
	case kindUpdateEnvs:
		return &UpdateEnvs{name, EnvOp(r.Intn(4)), []string{"a", "c.d"}, []string{"1", "2"}, "c"}
	case kindSetLevel:
		return &SetLevel{Level(100 * (1 + r.Intn(6)))}
	case kindNameCluster:
		return &NameCluster{"one"}
	case kindConfirmLeaders:
		return &ConfirmLeaders{[]LeaderEvent{{id, 0, now, 1}, {id, 1, now, 2}}}
	case kindAddReplica:
		return &AddReplica{id, int32(r.Intn(3)), int64(r.Intn(5)), int64(r.Intn(3)), Reason(r.Intn(5))}
	case kindPromoteReplica:
		return &PromoteReplica{id, int32(r.Intn(3)), int64(r.Intn(5))}
	case kindRemoveReplica:
		return &RemoveReplica{id, int32(r.Intn(3)), int64(r.Intn(5))}
	case kindRetireReplica:
		return &RetireReplica{id, int32(r.Intn(3)), int64(r.Intn(5))}
	case kindRestoreReplica:
		return &RestoreReplica{id, int32(r.Intn(3)), int64(r.Intn(5))}
	case kindReform:
		return &ReformPartition{id, int32(r.Intn(3)), int64(r.Intn(5)), now}
	case kindAddMeta:
		return &AddMeta{name}
	case kindSetMeta:
		return &SetMeta{uint64(r.Intn(4)), MetaState(r.Intn(5))}
	case kindSetNodeState:
		return &SetNodeState{int64(r.Intn(5)), NodeState(r.Intn(6))}
	case kindNoteAway:
		return &NoteAway{int64(r.Intn(5)), now}
	case kindForgetNode:
		return &ForgetNode{int64(r.Intn(5))}
	case kindSetOption:
		return &SetOption{name, now - 100}
	case kindSetCount:
		return &SetReplicaCount{name, int32(r.Intn(7))}
	case kindCountDone:
		return &ReplicaCountDone{id}
	case kindStartSplit:
		return &StartSplit{name, int32(2 << r.Intn(3))}
	case kindControlSplit:
		return &ControlSplit{name, SplitControl(r.Intn(4)), int32(r.Intn(4) - 1), int32(1 << r.Intn(3))}
	case kindSettleSplit:
		return &SettleSplit{id}
	case kindCutPartition:
		return &CutPartition{id, int32(r.Intn(3))}
	case kindRetryCut:
		return &RetryCut{id, int32(r.Intn(3)), int32(r.Intn(3))}
	case kindSpawnChild:
		return &SpawnChild{id, int32(r.Intn(3)), int32(r.Intn(3)), []int64{1, int64(r.Intn(4))}}
	case kindChildReady:
		return &ChildReady{id, int32(r.Intn(3))}
	}
	if r.Intn(3) == 0 {
		return &RecordMeta{uint64(r.Intn(4)), int64(r.Intn(3)), name}
	}
	n := int64(1 + r.Intn(4))
	return &RegisterNode{Node{ID: n, Boot: int64(r.Intn(5)), RPCAddress: fmt.Sprintf("10.0.0.%d:1", n)}}
}

// TestDeterminism: a second machine that restarts from a snapshot somewhere on the way holds the same bytes, and no
// command reaches into a state that a reader holds.
func TestDeterminism(t *testing.T) {
	for seed := int64(1); seed <= 20; seed++ {
		r := rand.New(rand.NewSource(seed))
		a, b := New(), New()
		for i := uint64(1); i <= 300; i++ {
			c := randomCommand(r)
			decoded, err := Decode(Encode(c))
			require.NoError(t, err)
			before, image := a, a.Snapshot()
			var ra, rb Result
			a, ra = a.Apply(i, c)
			b, rb = b.Apply(i, decoded)
			require.Equal(t, ra, rb, "seed %d, command %d", seed, i)
			require.Equal(t, image, before.Snapshot(), "a state changed in place: seed %d, command %T", seed, c)
			back, err := DecodeResult(EncodeResult(ra))
			require.NoError(t, err)
			require.Equal(t, ra, back)
			if r.Intn(20) == 0 {
				b, err = Restore(b.Snapshot())
				require.NoError(t, err)
			}
			checkInvariants(t, a)
		}
		require.Equal(t, a.Snapshot(), b.Snapshot(), "seed %d", seed)
	}
}

func checkInvariants(t *testing.T, s *State) {
	names := map[string]bool{}
	for _, table := range s.Tables() {
		require.Less(t, table.ID, s.Settings.NextTableID)
		if table.Live() {
			require.False(t, names[table.Name], "two live tables called %s", table.Name)
			names[table.Name] = true
			require.Equal(t, table, s.TableNamed(table.Name))
		}
		for _, p := range table.Partitions {
			nodes, voting, unsettled := map[int64]bool{}, 0, 0
			for _, r := range p.Replicas {
				require.False(t, nodes[r.NodeID], "two replicas of a partition on a node")
				nodes[r.NodeID] = true
				require.Less(t, r.ID, p.NextReplicaID)
				if r.Voting {
					voting++
				}
				if !r.Settled() {
					unsettled++
				}
			}
			require.LessOrEqual(t, unsettled, 1, "one change of a membership at a time")
			require.Positive(t, voting)
		}
	}
}

// TestOldSnapshot: a snapshot of format 1, as the first builds wrote it, still opens.
func TestOldSnapshot(t *testing.T) {
	b, err := hex.DecodeString(oldSnapshot)
	require.NoError(t, err)
	s, err := Restore(b)
	require.NoError(t, err)
	require.Equal(t, "t", s.Table(1).Name)
	require.Equal(t, []Replica{{ID: 1, NodeID: 7, Voting: true}}, s.Table(1).Partitions[0].Replicas)
	require.Equal(t, "a:1", s.Node(7).RPCAddress)
	require.Equal(t, Meta{NodeID: 9}, s.Meta(1))
	b[0] = snapshotFormat + 1
	_, err = Restore(b)
	require.ErrorIs(t, err, ErrMalformed)
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"temp": true, "bad name!": true, "табле": true, "": false, "a\x00b": false, "a\nb": false, "\xff\xfe": false,
		strings.Repeat("x", 255): true, strings.Repeat("x", 256): false, "a\u0085b": false,
	} {
		require.Equal(t, want, ValidName(name), "%q", name)
	}
}

func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewSource(1))
	for range 60 {
		f.Add(Encode(randomCommand(r)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("unmarked error %v", err)
			}
			return
		}
		again, err := Decode(Encode(c))
		if err != nil || !bytes.Equal(Encode(c), Encode(again)) {
			t.Fatalf("no round trip: %v", err)
		}
		New().Apply(1, c)
	})
}

func FuzzRestore(f *testing.F) {
	r := rand.New(rand.NewSource(1))
	s := New()
	for i := uint64(1); i < 100; i++ {
		s, _ = s.Apply(i, randomCommand(r))
		f.Add(s.Snapshot())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := Restore(b); err == nil {
			s.Snapshot()
		}
	})
}

// oldSnapshot was written by the last build of format 1: cluster "c", node 7, table "t" on it, meta 1 is node 9.
const oldSnapshot = "0105040163a00604010201740102020200020000040101020e0101020e01040000010e0203613a31000000000100010112"
