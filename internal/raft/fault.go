package raft

import "github.com/lni/dragonboat/v4/raftpb"

// LinkFault is a Fault that looks only at the peer: it may sleep, and what it
// returns false for is lost. to is the peer's raft address.
func LinkFault(pass func(to string) bool) Fault {
	return func(to string, _ *raftpb.Message) bool { return pass(to) }
}
