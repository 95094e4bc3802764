package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/placement"
	"github.com/arionkv/arion/meta/reconcile"
)

// addOperations enters the commands by which operators run the cluster: docs/operations.md tells when to use which.
func (s *Service) addOperations() {
	for _, c := range []leaderCommand{
		{"node.list", "", "replica servers with what they carry", s.nodeList},
		{"node.drain", "ADDR [leaders]", "move everything off a node before it goes, or with `leaders` only its leaders before it restarts", s.nodeDrain},
		{"node.resume", "ADDR", "take a drained node back into service", s.nodeResume},
		{"node.drain-status", "[ADDR]", "how far drains are", s.drainStatus},
		{"node.forget", "ADDR|ID", "forget a node that is gone for good and holds nothing", s.nodeForget},
		{"setting", "[NAME [VALUE|default]]", "show or change cluster settings", s.setting},
		{"repair.status", "", "partitions that are not as they should be, and what is done about it", s.repairStatus},
		{"partition.recover", "all|TABLE|TABLE.PARTITION [yes]", "form partitions anew that lost their majority for good, from the best replica left; may lose writes", s.recover},
		{"balance.plan", "", "what level lively would move, without moving it", s.balancePlan},
	} {
		s.addLeaderCommand(c)
	}
	s.addMetaCommands()
}

var errArguments = errors.New("wrong arguments, see help")

// lines formats rows in columns.
func lines(rows [][]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}

func (s *Service) nodeList(_ context.Context, state *catalog.State, _ []string) (string, error) {
	rows := [][]string{{"address", "id", "alive", "state", "zone", "replicas", "leaders", "copies", "away"}}
	for _, n := range reconcile.Nodes(state, s.o.Tracker) {
		away := "-"
		if n.AwaySinceUnixSec != 0 {
			away = s.since(n.AwaySinceUnixSec).String()
		}
		rows = append(rows, []string{n.RPCAddress, fmt.Sprintf("%016x", n.ID), fmt.Sprint(n.Alive), n.State.String(), orDash(n.Zone),
			fmt.Sprint(n.Replicas), fmt.Sprint(n.Leaders), fmt.Sprint(n.Copies), away})
	}
	return lines(rows), nil
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (s *Service) nodeDrain(ctx context.Context, state *catalog.State, args []string) (string, error) {
	to := catalog.NodeDraining
	switch {
	case len(args) == 2 && args[1] == "leaders":
		to = catalog.NodeRelieved
	case len(args) != 1:
		return "", errArguments
	}
	return s.setNodeState(ctx, state, args[0], to)
}

func (s *Service) nodeResume(ctx context.Context, state *catalog.State, args []string) (string, error) {
	if len(args) != 1 {
		return "", errArguments
	}
	return s.setNodeState(ctx, state, args[0], catalog.NodeActive)
}

func (s *Service) setNodeState(ctx context.Context, state *catalog.State, name string, to catalog.NodeState) (string, error) {
	n, err := nodeNamed(state, name)
	if err != nil {
		return "", err
	}
	if _, err := s.commit(ctx, &catalog.SetNodeState{NodeID: n.ID, State: to}); err != nil {
		return "", err
	}
	text := fmt.Sprintf("%s is %s", n.RPCAddress, to)
	if to != catalog.NodeActive && state.Settings.Level <= catalog.LevelFreezed {
		text += fmt.Sprintf("; the meta level is %s: nothing moves before it is steady or lively", state.Settings.Level)
	}
	return text, nil
}

// drainStatus ends each line with a word that scripts can wait for: drained, relieved, moving or stuck.
func (s *Service) drainStatus(_ context.Context, state *catalog.State, args []string) (string, error) {
	only := int64(0)
	if len(args) > 0 {
		n, err := nodeNamed(state, args[0])
		if err != nil {
			return "", err
		}
		only = n.ID
	}
	var rows [][]string
	for _, n := range reconcile.Nodes(state, s.o.Tracker) {
		if only == n.ID || only == 0 && n.State != catalog.NodeActive {
			rows = append(rows, []string{n.RPCAddress, n.State.String(), fmt.Sprintf("leaders=%d", n.Leaders),
				fmt.Sprintf("replicas=%d", n.Replicas), fmt.Sprintf("copies=%d", n.Copies), fmt.Sprintf("stuck=%d", stuck(n)), progress(n)})
		}
	}
	if len(rows) == 0 {
		return "no node is being drained", nil
	}
	return lines(rows), nil
}

// stuck counts what has nowhere to go.
func stuck(n reconcile.NodeStatus) int {
	if n.State == catalog.NodeRelieved {
		return n.Rooted
	}
	return n.Stuck
}

func progress(n reconcile.NodeStatus) string {
	switch {
	case n.State == catalog.NodeActive:
		return "active"
	case n.State == catalog.NodeRelieved && n.Leaders == 0:
		return "relieved"
	case n.State == catalog.NodeDraining && n.Leaders == 0 && n.Replicas == 0:
		return "drained"
	case n.State == catalog.NodeRelieved && n.Leaders == n.Rooted,
		n.State == catalog.NodeDraining && n.Leaders <= n.Rooted && n.Stuck == n.Replicas:
		return "stuck" // no other node can take what is left
	}
	return "moving"
}

func (s *Service) nodeForget(ctx context.Context, state *catalog.State, args []string) (string, error) {
	if len(args) != 1 {
		return "", errArguments
	}
	n, err := nodeNamed(state, args[0])
	if err != nil {
		return "", err
	}
	if s.o.Tracker.Alive(n.ID) && n.State != catalog.NodeReplaced {
		return "", fmt.Errorf("%s is alive: stop it first", n.RPCAddress)
	}
	if _, err := s.commit(ctx, &catalog.ForgetNode{NodeID: n.ID}); err != nil {
		return "", err
	}
	return n.RPCAddress + " is forgotten", nil
}

func (s *Service) setting(ctx context.Context, state *catalog.State, args []string) (string, error) {
	if len(args) == 2 {
		cmd, err := reconcile.SetOption(args[0], args[1])
		if err != nil {
			return "", err
		}
		if _, err := s.commit(ctx, cmd); err != nil {
			return "", err
		}
		state = s.o.Group.State()
	}
	var rows [][]string
	for _, o := range reconcile.AllOptions() {
		if len(args) == 0 || args[0] == o.Name {
			rows = append(rows, []string{o.Name, o.Text(s.o.Knobs.With(state)), o.Help})
		}
	}
	if len(rows) == 0 {
		return "", fmt.Errorf("there is no setting %q", args[0])
	}
	return lines(rows), nil
}

func (s *Service) repairStatus(_ context.Context, state *catalog.State, _ []string) (string, error) {
	troubles := reconcile.Troubles(state, s.o.Tracker, s.o.Knobs.With(state), s.o.Now().Unix())
	if len(troubles) == 0 {
		return "every partition has all of its replicas at work", nil
	}
	rows := [][]string{{fmt.Sprintf("%d partitions are not as they should be; the meta level is %s", len(troubles), state.Settings.Level)}}
	for _, t := range troubles[:min(len(troubles), maxShown)] {
		rows = append(rows, []string{fmt.Sprintf("%d.%d", t.TableID, t.Partition), t.Text})
	}
	return lines(rows), nil
}

// maxShown bounds a text for people.
const maxShown = 200

func (s *Service) balancePlan(_ context.Context, state *catalog.State, _ []string) (string, error) {
	replicas, leaders := reconcile.Balance(state, s.o.Tracker)
	rows := [][]string{{fmt.Sprintf("%d replicas and %d leaders would move; the meta level is %s", len(replicas), len(leaders), state.Settings.Level)}}
	rows = append(rows, moveRows(state, "replica", replicas)...)
	rows = append(rows, moveRows(state, "leader", leaders)...)
	return lines(rows), nil
}

func moveRows(state *catalog.State, what string, moves []placement.Move) [][]string {
	var rows [][]string
	for _, m := range moves[:min(len(moves), maxShown)] {
		rows = append(rows, []string{what, fmt.Sprintf("%d.%d", m.Table, m.Index), state.Node(m.From).RPCAddress, "->", state.Node(m.To).RPCAddress})
	}
	return rows
}
