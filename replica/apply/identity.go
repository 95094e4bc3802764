package apply

import (
	"fmt"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/rrdb"
)

// Identity is what replies say about who answers.
type Identity struct {
	TableID, PartitionIndex int32
	// Server is the "ip:port" clients use for this node.
	Server string
}

func (id Identity) String() string { return fmt.Sprintf("%d.%d", id.TableID, id.PartitionIndex) }

// notLogged is the index in replies to requests refused without a log entry.
const notLogged = -1

func (id Identity) updateResponse(s code.Status, index int64) *rrdb.UpdateResponse {
	return &rrdb.UpdateResponse{
		Error: int32(s), AppID: id.TableID, PartitionIndex: id.PartitionIndex, Decree: index, Server: id.Server,
	}
}

func (id Identity) multiRemoveResponse(s code.Status, count int, index int64) *rrdb.MultiRemoveResponse {
	return &rrdb.MultiRemoveResponse{
		Error: int32(s), Count: int64(count),
		AppID: id.TableID, PartitionIndex: id.PartitionIndex, Decree: index, Server: id.Server,
	}
}

func (id Identity) incrResponse(s code.Status, value, index int64) *rrdb.IncrResponse {
	return &rrdb.IncrResponse{
		Error: int32(s), NewValue_: value,
		AppID: id.TableID, PartitionIndex: id.PartitionIndex, Decree: index, Server: id.Server,
	}
}

func (id Identity) checkAndSetResponse(o outcome, index int64) *rrdb.CheckAndSetResponse {
	return &rrdb.CheckAndSetResponse{
		Error: int32(o.status), CheckValueReturned: o.returned, CheckValueExist: o.exist, CheckValue: o.value,
		AppID: id.TableID, PartitionIndex: id.PartitionIndex, Decree: index, Server: id.Server,
	}
}

func (id Identity) checkAndMutateResponse(o outcome, index int64) *rrdb.CheckAndMutateResponse {
	return &rrdb.CheckAndMutateResponse{
		Error: int32(o.status), CheckValueReturned: o.returned, CheckValueExist: o.exist, CheckValue: o.value,
		AppID: id.TableID, PartitionIndex: id.PartitionIndex, Decree: index, Server: id.Server,
	}
}
