package base

import (
	"context"
	"net"
	"strconv"

	"github.com/apache/thrift/lib/go/thrift"
)

// Kinds of a HostPort.
const (
	HostPortNone   int8 = 0
	HostPortSingle int8 = 1
	HostPortGroup  int8 = 2
)

// HostPort is an address whose host may be a name: i32 length, host text, u16
// port, i8 kind. Readers trip over kind 0, so leave such a field out.
type HostPort struct {
	Host string
	Port uint16
	Kind int8
}

// NewHostPort makes the empty HostPort, as generated code expects.
func NewHostPort() *HostPort { return &HostPort{} }

// IsZero reports that there is no address.
func (h *HostPort) IsZero() bool { return h == nil || h.Kind == HostPortNone }

func (h *HostPort) Read(ctx context.Context, p thrift.TProtocol) (err error) {
	if h.Host, err = p.ReadString(ctx); err != nil {
		return err
	}
	port, err := p.ReadI16(ctx)
	if err != nil {
		return err
	}
	h.Port = uint16(port)
	h.Kind, err = p.ReadByte(ctx)
	return err
}

func (h *HostPort) Write(ctx context.Context, p thrift.TProtocol) error {
	v := h.value()
	if err := p.WriteString(ctx, v.Host); err != nil {
		return err
	}
	if err := p.WriteI16(ctx, int16(v.Port)); err != nil {
		return err
	}
	return p.WriteByte(ctx, v.Kind)
}

func (h *HostPort) value() HostPort {
	if h == nil {
		return HostPort{}
	}
	return *h
}

func (h *HostPort) Equals(o *HostPort) bool { return h.value() == o.value() }

// String gives "host:port", or "" for none.
func (h *HostPort) String() string {
	if h.IsZero() {
		return ""
	}
	return net.JoinHostPort(h.Host, strconv.Itoa(int(h.Port)))
}
