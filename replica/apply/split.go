package apply

import (
	"context"
	"errors"
	"iter"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/replica/command"
)

// Foreign is the result of an op on a hash that belongs to another partition since
// a split. The op has changed nothing; the client is to ask where the hash is now.
var Foreign Result = foreign{}

// foreign has no bytes: there is no response for it, only an error code.
type foreign struct{}

var errForeign = errors.New("a refusal is not a message")

func (foreign) Read(context.Context, thrift.TProtocol) error  { return errForeign }
func (foreign) Write(context.Context, thrift.TProtocol) error { return errForeign }

// News reports whether applying the split would change the state; if not, it was
// applied before or is one of another time.
func (s State) News(c command.Split) bool {
	switch s.HashCount {
	case 0, c.From:
		return true
	case c.To:
		return c.Attempt > s.SplitAttempt
	}
	return false
}

// Child is the state that the partition made by a split begins with, given the
// state of its base. The clock stays: records that expired before it may have been
// purged from some bases and not from others.
func (s State) Child(c command.Split) State {
	s.AppliedIndex, s.Format, s.HashCount, s.SplitAttempt = 0, Format, c.To, 0
	return s
}

// split makes the partition give up the other half of its hashes. From here on ops
// on them are refused, in this entry's order.
func (o *op) split(payload []byte) (Result, error) {
	c, err := command.DecodeSplit(payload)
	if err != nil {
		return nil, err
	}
	if st := &o.Applier.state; st.News(c) {
		st.Format, st.HashCount, st.SplitAttempt = Format, c.To, c.Attempt
	}
	return nil, nil
}

// Owns reports whether a partition with this index owns a hash under count; count
// 0 is no restriction.
func Owns(hash uint64, index, count int32) bool {
	return count <= 0 || key.PartitionIndex(hash, count) == index
}

// ownsKey is for encoded keys that have been checked.
func (o *op) ownsKey(encoded []byte) bool {
	if !o.splits() {
		return true
	}
	hash, err := key.HashOf(encoded)
	return err != nil || Owns(hash, o.PartitionIndex, o.Applier.state.HashCount)
}

// splits reports whether hashes are checked at all.
func (o *op) splits() bool { return o.Applier.state.HashCount > 0 }

// ownsHashKey is for ops on a hash key, if hashes are checked. Without one, each
// sort key has a hash of its own, and the op is of all of them.
func (o *op) ownsHashKey(hashKey []byte, sortKeys iter.Seq[[]byte]) bool {
	count := o.Applier.state.HashCount
	if len(hashKey) > 0 {
		return Owns(key.Hash(hashKey, nil), o.PartitionIndex, count)
	}
	for k := range sortKeys {
		if !Owns(key.Hash(nil, k), o.PartitionIndex, count) {
			return false
		}
	}
	return true
}
