package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/internal/remotecmd"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/raft"
)

// remoteCommand is the RPC that carries a text command; forwarded, it is answered by the leader or not at all.
const remoteCommand = "RPC_CLI_CLI_CALL"

// leaderCommand is a remote command that any meta server takes and the leader carries out. Repeating one must be harmless:
// a forwarded one that is not answered is sent again.
type leaderCommand struct {
	name, args, help string
	run              func(ctx context.Context, state *catalog.State, args []string) (string, error)
}

func (s *Service) registerCommands(mux *rpc.Mux) {
	mux.Handle(remoteCommand, func(req *rpc.Request) { s.acceptCommand(req, s.o.Commands.Call) })
	mux.Handle(remoteCommand+forwarded, s.acceptForwarded)
}

func (s *Service) acceptCommand(req *rpc.Request, call func(name string, args []string) string) {
	q := admin.NewCommand()
	if !req.DecodeOrFail(q) {
		return
	}
	s.background(req, func(context.Context) frame.Message { return &base.String{V: call(q.Cmd, q.Arguments)} })
}

// acceptForwarded answers with an error in the frame if this server does not lead: the asker looks for the leader again.
func (s *Service) acceptForwarded(req *rpc.Request) {
	q := admin.NewCommand()
	if !req.DecodeOrFail(q) {
		return
	}
	c, known := s.leaderCommands[q.Cmd]
	if !known || !s.begin() {
		req.Fail(code.Busy)
		return
	}
	go func() {
		defer s.end()
		ctx, cancel := context.WithTimeout(s.ctx, writeTimeout)
		defer cancel()
		text, err := s.here(ctx, c, q.Arguments)
		if errors.Is(err, raft.ErrNotLeader) {
			req.Fail(code.Busy)
			return
		}
		req.Reply(&base.String{V: commandText(text, err)})
	}()
}

// commandText is what remotecmd makes of a result.
func commandText(text string, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	return text
}

// addLeaderCommand makes a command known to this server, whether it leads or not.
func (s *Service) addLeaderCommand(c leaderCommand) {
	s.leaderCommands[c.name] = c
	s.o.Commands.Add(remotecmd.Command{Name: c.name, Args: c.args, Help: c.help, Run: func(args []string) (string, error) {
		return s.onLeader(c, args)
	}})
}

// onLeader finds the leader, which may be this server, and has the command carried out there.
func (s *Service) onLeader(c leaderCommand, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(s.ctx, writeTimeout)
	defer cancel()
	for {
		changed := s.o.Group.Changed()
		addr, self := s.leaderAddress()
		if self {
			text, err := s.here(ctx, c, args)
			if !errors.Is(err, raft.ErrNotLeader) {
				return text, err
			}
		} else if addr != "" {
			answer := &base.String{}
			err := s.o.Caller.Call(ctx, addr, remoteCommand+forwarded, &admin.Command{Cmd: c.name, Arguments: args}, answer)
			if err == nil {
				return unwrap(answer.V)
			}
		}
		if !pause(ctx, changed) {
			return "", errors.New("no meta server leads")
		}
	}
}

// unwrap undoes commandText, so that the text is not marked twice.
func unwrap(text string) (string, error) {
	if problem, failed := strings.CutPrefix(text, "error: "); failed {
		return "", errors.New(problem)
	}
	return text, nil
}

func (s *Service) here(ctx context.Context, c leaderCommand, args []string) (string, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return "", err
	}
	return c.run(ctx, state, args)
}

// commit proposes a command of an operator and turns a refusal into an error.
func (s *Service) commit(ctx context.Context, c catalog.Command) (catalog.Result, error) {
	r, err := s.o.Group.Propose(ctx, c)
	if err == nil && r.Code != code.OK {
		err = fmt.Errorf("%s: %s", r.Code, r.Hint)
	}
	return r, err
}

// nodeNamed finds a node by its rpc address or its id in hex.
func nodeNamed(state *catalog.State, name string) (*catalog.Node, error) {
	var found *catalog.Node
	for _, n := range state.Nodes() {
		if fmt.Sprintf("%016x", n.ID) == name {
			return n, nil
		}
		if n.RPCAddress == name && (found == nil || n.State != catalog.NodeReplaced) {
			found = n
		}
	}
	if found == nil {
		return nil, fmt.Errorf("no node has the address or id %q; node.list shows them", name)
	}
	return found, nil
}

// since gives the age of a moment in seconds.
func (s *Service) since(unixSec int64) time.Duration {
	return time.Duration(max(0, s.o.Now().Unix()-unixSec)) * time.Second
}
