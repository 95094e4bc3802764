package service

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
)

const (
	resolveTimeout = time.Second
	resolvedFor    = 30 * time.Second // a name that moved is found again after this
)

// resolver turns "host:port" into the packed IPv4 form that the protocol carries. Nodes may advertise names.
type resolver struct {
	mu    sync.Mutex
	names map[string]resolved
}

type resolved struct {
	ip netip.Addr
	at time.Time
}

// address returns the packed form; zero if the name has no IPv4 address.
func (r *resolver) address(text string) *base.RPCAddress {
	if a, err := base.ParseRPCAddress(text); err == nil {
		return &a
	}
	host, portText, err := net.SplitHostPort(text)
	port, err2 := strconv.ParseUint(portText, 10, 16)
	if err != nil || err2 != nil {
		return &base.RPCAddress{}
	}
	a := base.RPCAddressOf(netip.AddrPortFrom(r.lookup(host), uint16(port)))
	return &a
}

func (r *resolver) lookup(host string) netip.Addr {
	r.mu.Lock()
	known, ok := r.names[host]
	r.mu.Unlock()
	if ok && time.Since(known.at) < resolvedFor {
		return known.ip
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil || len(ips) == 0 {
		return known.ip // the last answer beats none
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names == nil || len(r.names) > 4096 {
		r.names = map[string]resolved{}
	}
	r.names[host] = resolved{ips[0], time.Now()}
	return ips[0]
}

// hostPort is the host_port form of an address text, with the name kept; nil if there is none.
func hostPort(text string) *base.HostPort {
	host, portText, err := net.SplitHostPort(text)
	port, err2 := strconv.ParseUint(portText, 10, 16)
	if err != nil || err2 != nil || host == "" {
		return nil
	}
	return &base.HostPort{Host: host, Port: uint16(port), Kind: base.HostPortSingle}
}

// stripHostPorts removes the optional host_port fields, which older clients cannot read. Handlers always fill them.
func stripHostPorts(m frame.Message) {
	switch r := m.(type) {
	case *admin.QueryCfgResponse:
		for _, p := range r.Partitions {
			stripPartition(p)
		}
	case *admin.ConfigurationListNodesResponse:
		for _, n := range r.Infos {
			n.HpNode = nil
		}
	case *admin.DddDiagnoseResponse:
		for _, p := range r.Partitions {
			stripPartition(p.Config)
			for _, n := range p.Dropped {
				n.HpNode = nil
			}
		}
	}
}

func stripPartition(p *admin.PartitionConfiguration) {
	p.HpPrimary, p.HpSecondaries, p.HpLastDrops = nil, nil, nil
}
