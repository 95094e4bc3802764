package config

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
)

// The other two ports of a node follow from its rpc port, so that one address
// per meta server is enough to reach its raft group and its gossip as well.
// They go down, away from the ephemeral range, where there is room.
const (
	raftPortOffset   = 10000
	gossipPortOffset = 20000
	lowestPort       = 1024
)

// RPCAddress is the address other nodes and clients are told to dial.
func (c *Config) RPCAddress() string { return cmp.Or(c.RPC.Advertise, c.RPC.Listen) }

// RaftListen is the address this node's raft transport binds.
func (c *Config) RaftListen() string {
	return cmp.Or(c.Raft.Listen, shift(c.RPC.Listen, raftPortOffset))
}

// RaftAddress is the raft address this node tells others.
func (c *Config) RaftAddress() string {
	return cmp.Or(c.Raft.Advertise, c.Raft.Listen, shift(c.RPCAddress(), raftPortOffset))
}

// GossipListen is the address this node's gossip binds, UDP and TCP.
func (c *Config) GossipListen() string {
	return cmp.Or(c.Gossip.Listen, shift(c.RPC.Listen, gossipPortOffset))
}

// GossipAddress is the gossip address this node tells others.
func (c *Config) GossipAddress() string {
	return cmp.Or(c.Gossip.Advertise, c.Gossip.Listen, shift(c.RPCAddress(), gossipPortOffset))
}

// RaftAddressOf derives the raft address of the node that serves rpc on
// rpcAddr. It holds only for nodes that do not set their own, which is why
// meta servers must not.
func RaftAddressOf(rpcAddr string) (string, error) { return derive(rpcAddr, raftPortOffset) }

// GossipSeeds are the gossip addresses of the meta servers, without this node's
// own.
func (c *Config) GossipSeeds() ([]string, error) {
	var seeds []string
	for _, meta := range c.Meta.Servers {
		if meta == c.RPCAddress() {
			continue
		}
		seed, err := derive(meta, gossipPortOffset)
		if err != nil {
			return nil, fmt.Errorf("meta.servers: %w", err)
		}
		seeds = append(seeds, seed)
	}
	return seeds, nil
}

// shift is derive for addresses that Validate has seen; a bad one gives "".
func shift(addr string, offset int) string {
	derived, _ := derive(addr, offset)
	return derived
}

func derive(addr string, offset int) (string, error) {
	host, port, err := splitAddress(addr)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(host, strconv.Itoa(derivePort(port, offset))), nil
}

// derivePort moves both ports of a node to the same side, so that the raft
// port of one never meets the gossip port of another in one range.
func derivePort(port, offset int) int {
	if port > gossipPortOffset+lowestPort {
		return port - offset
	}
	return port + offset
}

// splitAddress reads host:port with a numeric port that a server can bind.
func splitAddress(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port", addr)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("%q has no port between 1 and 65535", addr)
	}
	if host == "" {
		return "", 0, fmt.Errorf("%q has no host; 0.0.0.0 listens everywhere", addr)
	}
	return host, port, nil
}
