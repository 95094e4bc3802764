package base

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/apache/thrift/lib/go/thrift"
)

// RPCAddress is where a server listens: an IPv4 address and a port.
//
//	63            32 31    16 15   2 1 0
//	+---------------+--------+------+---+
//	| IPv4          | port   | 0    |knd|   one i64; kind 1 = IPv4, all 0 = none
//	+---------------+--------+------+---+
type RPCAddress struct{ raw int64 }

const (
	kindMask = 3
	kindIPv4 = 1
)

// NewRPCAddress packs an IPv4 address and a port; zero if ip is not IPv4.
func NewRPCAddress(ip net.IP, port uint16) RPCAddress {
	a, _ := netip.AddrFromSlice(ip)
	return RPCAddressOf(netip.AddrPortFrom(a, port))
}

// RPCAddressOf packs an address; zero if ap is not IPv4 (or IPv4 mapped).
func RPCAddressOf(ap netip.AddrPort) RPCAddress {
	ip := ap.Addr().Unmap()
	if !ip.Is4() {
		return RPCAddress{}
	}
	b := ip.As4()
	raw := uint64(binary.BigEndian.Uint32(b[:]))<<32 | uint64(ap.Port())<<16 | kindIPv4
	return RPCAddress{raw: int64(raw)}
}

// ParseRPCAddress reads "127.0.0.1:34801". Names are not resolved: the wire has
// room for a number only.
func ParseRPCAddress(s string) (RPCAddress, error) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return RPCAddress{}, fmt.Errorf("rpc address: %w", err)
	}
	a := RPCAddressOf(ap)
	if a.IsZero() {
		return RPCAddress{}, fmt.Errorf("rpc address %q is not IPv4", s)
	}
	return a, nil
}

// RPCAddressFromRaw takes the packed form as it stands.
func RPCAddressFromRaw(raw int64) RPCAddress { return RPCAddress{raw: raw} }

// Raw gives the packed form; 0 for a nil address.
func (a *RPCAddress) Raw() int64 {
	if a == nil {
		return 0
	}
	return a.raw
}

// IsZero reports that there is no address.
func (a *RPCAddress) IsZero() bool { return a.Raw() == 0 }

// AddrPort unpacks the address; the zero AddrPort if it is not IPv4.
func (a *RPCAddress) AddrPort() netip.AddrPort {
	raw := uint64(a.Raw())
	if raw&kindMask != kindIPv4 {
		return netip.AddrPort{}
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(raw>>32))
	return netip.AddrPortFrom(netip.AddrFrom4(b), uint16(raw>>16))
}

// HostPort gives the same address as a HostPort, nil for the zero address:
// hp fields of kind 0 must be left out, not written.
func (a *RPCAddress) HostPort() *HostPort {
	ap := a.AddrPort()
	if !ap.IsValid() {
		return nil
	}
	return &HostPort{Host: ap.Addr().String(), Port: ap.Port(), Kind: HostPortSingle}
}

func (a *RPCAddress) Read(ctx context.Context, p thrift.TProtocol) (err error) {
	a.raw, err = p.ReadI64(ctx)
	return err
}

func (a *RPCAddress) Write(ctx context.Context, p thrift.TProtocol) error {
	return p.WriteI64(ctx, a.Raw())
}

func (a *RPCAddress) Equals(o *RPCAddress) bool { return a.Raw() == o.Raw() }

// String gives "ip:port", or "" for the zero address.
func (a *RPCAddress) String() string {
	if a.IsZero() {
		return ""
	}
	if ap := a.AddrPort(); ap.IsValid() {
		return ap.String()
	}
	return fmt.Sprintf("invalid address %#x", uint64(a.Raw()))
}
