// Package admin administers the tables of a cluster: typed calls of the meta
// servers, and of single nodes, for programs and for the shell.
//
// Every call takes its time limit from its context, or else from the client's
// meta time-out. A call that changes something and may not be repeated is not
// repeated after its outcome became unknown; client.IsUnknownOutcome tells.
package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/arionkv/arion/client"
	wire "github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
)

// What administration can fail with, beside the sentinels of package client.
var (
	// ErrTableExists: the name is taken.
	ErrTableExists = errors.New("table exists")
	// ErrBusy: the table is being created, dropped, or changed.
	ErrBusy = errors.New("table is busy")
	// ErrFrozen: the cluster's function level forbids changes, mostly because too
	// few nodes are alive.
	ErrFrozen = errors.New("cluster is frozen")
	// ErrState: the thing is not in the state that the call needs.
	ErrState = errors.New("wrong state")
	// ErrNotReady: no meta server leads, or the leader is recovering.
	ErrNotReady = errors.New("meta servers not ready")
)

// Error is a failed call.
type Error struct {
	Op     string // "create-table"
	Target string // the table or node
	Code   code.Code
	Hint   string // the server's words, if any
	// Unknown is set if the change may have been made nevertheless.
	Unknown bool
	Kind    error
	Cause   error
}

func (e *Error) Error() string {
	s := e.Op
	if e.Target != "" {
		s += " " + e.Target
	}
	s += ": " + e.Kind.Error()
	if e.Code != code.OK {
		s += ": " + e.Code.String()
	}
	if e.Hint != "" {
		s += ": " + e.Hint
	} else if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	if e.Unknown {
		s += " (outcome unknown)"
	}
	return s
}

// Unwrap gives the sentinel and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// IsUnknownOutcome reports whether err is of a change that may have been made.
func IsUnknownOutcome(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Unknown
}

// Admin administers one cluster.
type Admin struct {
	c   *client.Client
	own bool
}

// New uses a client that is open already. Closing the Admin leaves it open.
func New(c *client.Client) *Admin { return &Admin{c: c} }

// Open is client.Open for administration alone.
func Open(ctx context.Context, metas []string, opts ...client.Option) (*Admin, error) {
	c, err := client.Open(ctx, metas, opts...)
	if err != nil {
		return nil, err
	}
	return &Admin{c: c, own: true}, nil
}

// Close ends what Open began.
func (a *Admin) Close() error {
	if !a.own {
		return nil
	}
	return a.c.Close()
}

// Client gives the client underneath.
func (a *Admin) Client() *client.Client { return a.c }

// call describes one meta call.
type call struct {
	op, target, rpc string
	repeatable      bool
}

// outcomeOf reads the err field of replies.
func outcomeOf(e *base.ErrorCode, hint string) error {
	c, ok := code.Parse(e.String())
	switch {
	case ok && c == code.OK:
		return nil
	case !ok && hint == "":
		hint = e.String()
	}
	return &code.Error{Code: c, Hint: hint}
}

func (a *Admin) meta(ctx context.Context, c call, arg, reply client.Message, outcome func() error) error {
	return c.wrap(a.c.MetaCall(ctx, c.rpc, arg, reply, c.repeatable, outcome))
}

// Meta runs any call of the meta service, for those without a method here.
// outcome reads the error of the reply; see client.Client.MetaCall.
func (a *Admin) Meta(ctx context.Context, rpc string, arg, reply client.Message, repeatable bool, outcome func() error) error {
	return a.meta(ctx, call{op: rpc, rpc: rpc, repeatable: repeatable}, arg, reply, outcome)
}

// Node runs any call of a single node.
func (a *Admin) Node(ctx context.Context, addr, rpc string, arg, reply client.Message) error {
	return call{op: rpc, target: addr}.wrap(a.c.NodeCall(ctx, addr, rpc, arg, reply))
}

func (c call) wrap(err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: c.op, Target: c.target, Kind: kindOf(err), Cause: err}
	var refused *code.Error
	if errors.As(err, &refused) {
		e.Code, e.Hint = refused.Code, refused.Hint
		e.Unknown = !c.repeatable && refused.Code.Class() == code.ClassUnknownOutcome
	}
	return e
}

func kindOf(err error) error {
	switch code.Of(err) {
	case code.AppExist:
		return ErrTableExists
	case code.AppNotExist, code.AppDropped, code.ObjectNotFound:
		return client.ErrTableNotFound
	case code.BusyCreating, code.BusyDropping, code.Busy, code.Splitting:
		return ErrBusy
	case code.StateFreezed:
		return ErrFrozen
	case code.InvalidParameters, code.InvalidData:
		return client.ErrInvalidArgument
	case code.InvalidState, code.InactiveState, code.ChildRegistered, code.ServiceAlreadyRunning:
		return ErrState
	case code.OperationDisabled:
		return client.ErrDisabled
	case code.ACLDeny, code.Unauthenticated:
		return client.ErrDenied
	case code.HandlerNotFound, code.NotImplemented:
		return client.ErrNotSupported
	case code.ServiceNotActive, code.UnderRecovery, code.ForwardToOthers:
		return ErrNotReady
	}
	switch {
	case errors.Is(err, client.ErrClosed):
		return client.ErrClosed
	case errors.Is(err, context.DeadlineExceeded):
		return client.ErrTimeout
	case errors.Is(err, context.Canceled):
		return client.ErrCanceled
	case code.Of(err) != code.Unknown:
		return client.ErrServer
	}
	return client.ErrUnavailable
}

// Node is a replica server as the meta servers see it.
type Node struct {
	Addr  string
	Alive bool
}

// ListNodes lists the replica servers, the living ones first.
func (a *Admin) ListNodes(ctx context.Context) ([]Node, error) {
	reply := wire.NewConfigurationListNodesResponse()
	err := a.meta(ctx, call{op: "list-nodes", rpc: "RPC_CM_LIST_NODES", repeatable: true},
		wire.NewConfigurationListNodesRequest(), reply, func() error { return outcomeOf(reply.Err, "") })
	if err != nil {
		return nil, err
	}
	nodes := make([]Node, 0, len(reply.Infos))
	for _, n := range reply.Infos {
		nodes = append(nodes, Node{Addr: addrOf(n.Node, n.HpNode), Alive: n.Status == wire.NodeStatus_NS_ALIVE})
	}
	return nodes, nil
}

// addrOf prefers the numeric address, which is always there.
func addrOf(a *base.RPCAddress, hp *base.HostPort) string {
	if !a.IsZero() {
		return a.String()
	}
	if hp != nil {
		return hp.String()
	}
	return ""
}

// Fact is a named fact about a cluster.
type Fact struct{ Name, Value string }

// Facts are in the order the server gave them.
type Facts []Fact

// Get gives a fact by name, "" if it is not there.
func (f Facts) Get(name string) string {
	for _, x := range f {
		if x.Name == name {
			return x.Value
		}
	}
	return ""
}

// ClusterInfo reads the facts about the cluster: meta_servers, cluster_name,
// meta_function_level and others.
func (a *Admin) ClusterInfo(ctx context.Context) (Facts, error) {
	reply := wire.NewConfigurationClusterInfoResponse()
	err := a.meta(ctx, call{op: "cluster-info", rpc: "RPC_CM_CLUSTER_INFO", repeatable: true},
		wire.NewConfigurationClusterInfoRequest(), reply, func() error { return outcomeOf(reply.Err, "") })
	if err != nil {
		return nil, err
	}
	facts := make(Facts, 0, len(reply.Keys))
	for i := range min(len(reply.Keys), len(reply.Values)) {
		facts = append(facts, Fact{reply.Keys[i], reply.Values[i]})
	}
	return facts, nil
}

// Level is what the meta servers may do by themselves.
type Level int

// The levels.
const (
	LevelStopped Level = 100   // no client may ask
	LevelBlind   Level = 200   // deaths of nodes are not acted upon
	LevelFrozen  Level = 300   // no changes
	LevelSteady  Level = 400   // repair, but no balancing
	LevelLively  Level = 500   // repair and balancing
	levelRead    Level = 10000 // asks for the present one
)

func (l Level) String() string {
	switch l {
	case LevelStopped:
		return "stopped"
	case LevelBlind:
		return "blind"
	case LevelFrozen:
		return "freezed"
	case LevelSteady:
		return "steady"
	case LevelLively:
		return "lively"
	}
	return fmt.Sprintf("level(%d)", int(l))
}

// ParseLevel reads the name of a level.
func ParseLevel(s string) (Level, error) {
	for _, l := range []Level{LevelStopped, LevelBlind, LevelFrozen, LevelSteady, LevelLively} {
		if l.String() == s {
			return l, nil
		}
	}
	return 0, fmt.Errorf("%w: level %q", client.ErrInvalidArgument, s)
}

// Level reads the function level.
func (a *Admin) Level(ctx context.Context) (Level, error) {
	return a.controlMeta(ctx, "get-level", levelRead)
}

// SetLevel changes the function level and gives the old one.
func (a *Admin) SetLevel(ctx context.Context, l Level) (old Level, err error) {
	return a.controlMeta(ctx, "set-level", l)
}

func (a *Admin) controlMeta(ctx context.Context, op string, l Level) (Level, error) {
	arg := wire.NewConfigurationMetaControlRequest()
	arg.Level = wire.MetaFunctionLevel(l)
	reply := wire.NewConfigurationMetaControlResponse()
	err := a.meta(ctx, call{op: op, rpc: "RPC_CM_CONTROL_META", repeatable: true}, arg, reply,
		func() error { return outcomeOf(reply.Err, "") })
	return Level(reply.OldLevel), err
}

// RemoteCommand runs a command on the server at addr, of either role, and gives
// its text. An unknown command gives a text that says so, not an error.
func (a *Admin) RemoteCommand(ctx context.Context, addr, command string, args ...string) (string, error) {
	arg := wire.NewCommand()
	arg.Cmd, arg.Arguments = command, args
	var reply base.String
	err := a.c.NodeCall(ctx, addr, "RPC_CLI_CLI_CALL", arg, &reply)
	return reply.V, call{op: "remote-command", target: addr}.wrap(err)
}
