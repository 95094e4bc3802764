// Package linear records what concurrent clients saw and decides whether a store
// that does one thing at a time could have shown it to them.
//
// All operations of the model concern one hash key, which is the unit of
// atomicity, so histories are checked per hash key. A call whose outcome is
// unknown has no end: it may take effect at any time after its begin, or never. A
// call that was refused did nothing, and is believed: if it did something after
// all, somebody reads a value that nobody wrote.
package linear

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// Kind is the kind of an operation.
type Kind uint8

// The operations.
const (
	Get Kind = iota
	Put
	Remove
	Incr
	CheckAndSet
	MultiPut
	MultiGet
)

var kindNames = [...]string{"get", "put", "remove", "incr", "check_and_set", "multi_put", "multi_get"}

func (k Kind) String() string { return kindNames[k] }

// Cells is the number of sort keys under each hash key of the model. The last
// one is a counter: only incr writes it.
const Cells = 4

// Counter is the cell of the counter.
const Counter = Cells - 1

// Row is the content of a hash key: a value per cell, "" = absent. Values that
// are written are never empty, and never equal unless they are the counter's.
type Row [Cells]string

// Input is what was asked for.
type Input struct {
	Kind Kind
	Hash string
	Cell int
	// Value is what put and check_and_set write.
	Value string
	// Expect is what check_and_set wants to find, "" = absent.
	Expect string
	By     int64 // incr
	// Row is what multi_put writes; "" leaves a cell alone.
	Row Row
}

// Output is what came of it.
type Output struct {
	// Unknown: no answer, or one that says that nobody knows.
	Unknown bool
	Value   string // get; check_and_set: what it found; "" = absent
	Number  int64  // incr
	Passed  bool   // check_and_set
	Row     Row    // multi_get
}

// History gathers operations. Safe for concurrent use.
type History struct {
	start time.Time

	mu  sync.Mutex
	ops []porcupine.Operation
}

// NewHistory begins a history.
func NewHistory() *History { return &History{start: time.Now()} }

// Call is an operation that has begun.
type Call struct {
	h      *History
	client int
	input  Input
	begin  int64
}

// Begin notes that client asks for something. Call it right before.
func (h *History) Begin(client int, in Input) *Call {
	return &Call{h: h, client: client, input: in, begin: int64(time.Since(h.start))}
}

// End notes the answer. Call it right after. Calls that did nothing, which are
// refused ones and reads without an answer, are not ended.
func (c *Call) End(out Output) {
	end := int64(time.Since(c.h.start))
	if out.Unknown {
		end = math.MaxInt64
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	c.h.ops = append(c.h.ops, porcupine.Operation{
		ClientId: c.client, Input: c.input, Call: c.begin, Output: out, Return: end,
	})
}

// Len is the number of operations.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}

// Unknown is the number of operations without a known outcome.
func (h *History) Unknown() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, op := range h.ops {
		if op.Output.(Output).Unknown {
			n++
		}
	}
	return n
}

// byHash splits a history.
func (h *History) byHash() map[string][]porcupine.Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	parts := map[string][]porcupine.Operation{}
	for _, op := range h.ops {
		hash := op.Input.(Input).Hash
		parts[hash] = append(parts[hash], op)
	}
	return parts
}

// describe prints one operation on a line.
func describe(op porcupine.Operation) string {
	in, out := op.Input.(Input), op.Output.(Output)
	end := "never ended"
	if op.Return != math.MaxInt64 {
		end = time.Duration(op.Return).Round(time.Microsecond).String()
	}
	return fmt.Sprintf("%14v %14s  client %2d  %s", time.Duration(op.Call).Round(time.Microsecond), end, op.ClientId, operation(in, out))
}

func operation(in Input, out Output) string {
	var ask, answer string
	switch in.Kind {
	case Get:
		ask, answer = fmt.Sprintf("get %d", in.Cell), value(out.Value)
	case Put:
		ask, answer = fmt.Sprintf("put %d %s", in.Cell, in.Value), "ok"
	case Remove:
		ask, answer = fmt.Sprintf("remove %d", in.Cell), "ok"
	case Incr:
		ask, answer = fmt.Sprintf("incr by %d", in.By), fmt.Sprint(out.Number)
	case CheckAndSet:
		ask = fmt.Sprintf("check_and_set %d if %s to %s", in.Cell, value(in.Expect), in.Value)
		answer = fmt.Sprintf("passed=%t, found %s", out.Passed, value(out.Value))
	case MultiPut:
		ask, answer = "multi_put "+row(in.Row), "ok"
	case MultiGet:
		ask, answer = "multi_get", row(out.Row)
	}
	if out.Unknown {
		answer = "unknown"
	}
	return ask + " -> " + answer
}

func value(v string) string {
	if v == "" {
		return "(none)"
	}
	return v
}

func row(r Row) string {
	var cells []string
	for i, v := range r {
		if v != "" {
			cells = append(cells, fmt.Sprintf("%d=%s", i, v))
		}
	}
	return "{" + strings.Join(cells, " ") + "}"
}

// Describe prints operations in the order of their begins.
func Describe(ops []porcupine.Operation) string {
	ops = append([]porcupine.Operation(nil), ops...)
	sort.Slice(ops, func(i, j int) bool { return ops[i].Call < ops[j].Call })
	var b strings.Builder
	for _, op := range ops {
		b.WriteString(describe(op))
		b.WriteByte('\n')
	}
	return b.String()
}
