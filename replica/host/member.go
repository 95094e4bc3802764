package host

import (
	"context"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/code"
)

// ChangeMember carries out one step of a membership change on the partition that
// this node leads. The meta leader repeats a step until the reports show it.
func (h *Host) ChangeMember(ctx context.Context, req *arion.ChangeMemberRequest) error {
	r, ok := h.Lookup(req.TableID, req.PartitionIndex)
	if !ok {
		return code.Errorf(code.ObjectNotFound, "partition %d.%d is not served here", req.TableID, req.PartitionIndex)
	}
	if err := r.ChangeMember(ctx, req.Op, req.ReplicaID, req.NodeID, req.ConfigIndex); err != nil {
		return err
	}
	h.Poke()
	return nil
}
