package base

import (
	"context"
	"fmt"

	"github.com/apache/thrift/lib/go/thrift"
)

// Gpid names a partition of a table.
//
//	63            32 31             0
//	+---------------+---------------+
//	| partition     | table id      |   one i64
//	+---------------+---------------+
type Gpid struct{ AppID, PartitionIndex int32 }

// NewGpid makes the zero Gpid, as generated code expects.
func NewGpid() *Gpid { return &Gpid{} }

// Raw packs the id; 0 for a nil Gpid.
func (g *Gpid) Raw() int64 {
	if g == nil {
		return 0
	}
	return int64(g.PartitionIndex)<<32 | int64(uint32(g.AppID))
}

func (g *Gpid) Read(ctx context.Context, p thrift.TProtocol) error {
	v, err := p.ReadI64(ctx)
	if err != nil {
		return err
	}
	g.AppID, g.PartitionIndex = int32(v), int32(v>>32)
	return nil
}

func (g *Gpid) Write(ctx context.Context, p thrift.TProtocol) error {
	return p.WriteI64(ctx, g.Raw())
}

func (g *Gpid) Equals(o *Gpid) bool { return g.Raw() == o.Raw() }

// String gives "table.partition", such as "2.7".
func (g *Gpid) String() string {
	raw := g.Raw()
	return fmt.Sprintf("%d.%d", int32(raw), int32(raw>>32))
}
