package linear

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"time"

	"github.com/anishathalye/porcupine"
)

// Model is a store of one hash key.
var Model = porcupine.Model{
	Init: func() any { return Row{} },
	Step: func(state, input, output any) (bool, any) {
		return step(state.(Row), input.(Input), output.(Output))
	},
	DescribeOperation: func(input, output any) string {
		return operation(input.(Input), output.(Output))
	},
	DescribeState: func(state any) string { return row(state.(Row)) },
}

// step carries one operation out and compares what comes of it with what the
// client was told. An unknown answer agrees with everything.
func step(s Row, in Input, out Output) (bool, Row) {
	known := !out.Unknown
	switch in.Kind {
	case Get:
		return !known || s[in.Cell] == out.Value, s
	case MultiGet:
		return !known || s == out.Row, s
	case Put:
		s[in.Cell] = in.Value
	case Remove:
		s[in.Cell] = ""
	case Incr:
		n, _ := strconv.ParseInt(s[in.Cell], 10, 64) // absent counts as 0
		n += in.By
		s[in.Cell] = strconv.FormatInt(n, 10)
		return !known || out.Number == n, s
	case CheckAndSet:
		found, passes := s[in.Cell], s[in.Cell] == in.Expect
		if passes {
			s[in.Cell] = in.Value
		}
		return !known || passes == out.Passed && found == out.Value, s
	case MultiPut:
		for i, v := range in.Row {
			if v != "" {
				s[i] = v
			}
		}
	}
	return true, s
}

// Violation is a hash key whose history no order of its operations explains.
type Violation struct {
	Hash string
	// Undecided: the search ran out of time, so it may be right.
	Undecided bool
	// History is printed, Picture is a file for a browser, "" if it could not be
	// written.
	History, Picture string
}

func (v Violation) Error() string {
	verdict := "not linearizable"
	if v.Undecided {
		verdict = "not decided in time"
	}
	return fmt.Sprintf("hash key %q: %s; picture: %s\n%s", v.Hash, verdict, v.Picture, v.History)
}

// Check judges every hash key, giving each at most patience. Pictures of what is
// wrong go to dir.
func (h *History) Check(patience time.Duration, dir string) []Violation {
	parts := h.byHash()
	hashes := make([]string, 0, len(parts))
	for hash := range parts {
		hashes = append(hashes, hash)
	}
	sort.Strings(hashes)
	var bad []Violation
	for _, hash := range hashes {
		ops := prune(parts[hash])
		result, info := porcupine.CheckOperationsVerbose(Model, ops, patience)
		if result == porcupine.Ok {
			continue
		}
		v := Violation{Hash: hash, Undecided: result == porcupine.Unknown, History: Describe(ops)}
		v.Picture = picture(info, dir, len(bad))
		bad = append(bad, v)
	}
	return bad
}

func picture(info porcupine.LinearizationInfo, dir string, n int) string {
	path := filepath.Join(dir, fmt.Sprintf("violation-%d.html", n))
	f, err := os.Create(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if porcupine.Visualize(Model, info, f) != nil {
		return ""
	}
	return path
}

// prune leaves out writes of unknown outcome whose values nobody ever saw, nor
// asked for in a check_and_set, which may have passed unheard. If an order with such a write explains the history, so does the same order without:
// between it and the next write of the cell nobody looked. Each one left in would
// double the work of the search.
func prune(ops []porcupine.Operation) []porcupine.Operation {
	seen := map[string]bool{}
	for _, op := range ops {
		if in := op.Input.(Input); in.Kind == CheckAndSet {
			seen[in.Expect] = true
		}
		out := op.Output.(Output)
		if out.Unknown {
			continue
		}
		seen[out.Value] = true
		for _, v := range out.Row {
			seen[v] = true
		}
	}
	kept := make([]porcupine.Operation, 0, len(ops))
	for _, op := range ops {
		if !op.Output.(Output).Unknown || mattered(op.Input.(Input), seen) {
			kept = append(kept, op)
		}
	}
	return kept
}

func mattered(in Input, seen map[string]bool) bool {
	switch in.Kind {
	case Get, MultiGet:
		return false
	case Put, CheckAndSet:
		return seen[in.Value]
	case MultiPut:
		for _, v := range in.Row {
			if v != "" && seen[v] {
				return true
			}
		}
		return false
	}
	return true // the effects of remove and incr look like those of others
}
