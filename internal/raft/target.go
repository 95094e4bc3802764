package raft

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Target names a member of a raft group inside raft's own membership. It is
// written into the log and cannot change while the member lives, which is why
// it must not be an address. dragonboat accepts only the text form of a UUID
// there, so a target is one:
//
//	6e6f6465-0000-8000-hhhh-hhhhhhhhhhhh   node, h = its 64-bit id
//	61646472-0000-8000-hhhh-hhhhhhhhhhhh   address, h = hash of "host:port"
//	└ "node" or "addr"
type Target string

const (
	nodePrefix    = "6e6f6465-0000-8000-"
	addressPrefix = "61646472-0000-8000-"
)

// NodeTarget is the target of the node with this id.
func NodeTarget(nodeID int64) Target { return makeTarget(nodePrefix, uint64(nodeID)) }

// AddressTarget is the target of whoever listens on addr. Meta servers use it:
// their addresses are configuration and the same on all of them.
func AddressTarget(addr string) Target {
	sum := sha256.Sum256([]byte(addr))
	return makeTarget(addressPrefix, binary.BigEndian.Uint64(sum[:]))
}

func makeTarget(prefix string, v uint64) Target {
	return Target(fmt.Sprintf("%s%04x-%012x", prefix, v>>48, v&(1<<48-1)))
}

// NodeID returns the node id of a target made by NodeTarget.
func (t Target) NodeID() (int64, bool) {
	rest, ok := strings.CutPrefix(string(t), nodePrefix)
	if !ok || len(rest) != 17 || rest[4] != '-' {
		return 0, false
	}
	v, err := strconv.ParseUint(rest[:4]+rest[5:], 16, 64)
	return int64(v), err == nil
}

// ParseTarget reads how people and plans write a member: "n" followed by the
// hex node id, a literal "host:port", or a target itself.
func ParseTarget(s string) (Target, error) {
	if strings.HasPrefix(s, nodePrefix) || strings.HasPrefix(s, addressPrefix) {
		return Target(s), nil
	}
	if hex, ok := strings.CutPrefix(s, "n"); ok {
		if v, err := strconv.ParseUint(hex, 16, 64); err == nil {
			return NodeTarget(int64(v)), nil
		}
	}
	if validAddress(s) {
		return AddressTarget(s), nil
	}
	return "", fmt.Errorf("raft member %q is neither n<hex node id> nor host:port", s)
}

// validAddress accepts host:port with a port that can be dialled.
func validAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
