package command

import "strconv"

// Kind says what an op does. The numbers are on disk: never renumber or reuse.
//
//	      0  never valid, so that zeroed bytes are not an op
//	 1 –  7  the writes of the rrdb service
//	 8 – 63  free for further client writes
//	64       Noop
//	65       Split
//	66       Sweep
//	67 – 127 free for what a partition tells itself (ingest, ...)
//	128 –    kept free in case one byte is not enough
type Kind uint8

const (
	// Put stores one record; the payload is an rrdb update_request.
	Put Kind = 1
	// Remove deletes one record; the payload is a blob, the encoded key.
	Remove Kind = 2
	// MultiPut stores records of one hash key; rrdb multi_put_request.
	MultiPut Kind = 3
	// MultiRemove deletes records of one hash key; rrdb multi_remove_request.
	MultiRemove Kind = 4
	// Incr adds to a decimal number; rrdb incr_request.
	Incr Kind = 5
	// CheckAndSet is a conditional put; rrdb check_and_set_request.
	CheckAndSet Kind = 6
	// CheckAndMutate is a conditional list of writes; rrdb
	// check_and_mutate_request.
	CheckAndMutate Kind = 7

	// Noop writes nothing. Its entry pushes the partition clock on, so that
	// compactions of an idle partition may drop what has expired. No payload is
	// needed; one is ignored.
	Noop Kind = 64

	// Split hands a part of the partition's hashes to a new partition; the payload
	// is that of Split.AppendTo. It is the only op of its entry: what the new
	// partition begins with is the state below the entry.
	KindSplit Kind = 65

	// Sweep deletes records and changes expiries that the leader has decided on by
	// the table's rules; the payload is that of Sweep.AppendTo. It is the only op
	// of its entry.
	KindSweep Kind = 66
)

var kindNames = map[Kind]string{
	Put: "put", Remove: "remove", MultiPut: "multi_put", MultiRemove: "multi_remove",
	Incr: "incr", CheckAndSet: "check_and_set", CheckAndMutate: "check_and_mutate", Noop: "noop",
	KindSplit: "split", KindSweep: "sweep",
}

// String is the name for logs and metrics.
func (k Kind) String() string {
	if s, ok := kindNames[k]; ok {
		return s
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Idempotent reports whether applying the op twice equals applying it once. A
// caller must not repeat the others after an unknown outcome.
func (k Kind) Idempotent() bool {
	switch k {
	case Put, Remove, MultiPut, MultiRemove, Noop, KindSplit, KindSweep:
		return true
	}
	return false
}

// known is on the path of every op, hence no map.
func (k Kind) known() bool { return k >= Put && k <= CheckAndMutate || k == Noop || k.Alone() }

// Alone reports whether an entry may hold nothing beside the op.
func (k Kind) Alone() bool { return k == KindSplit || k == KindSweep }

// version is the least version of an entry with the op.
func (k Kind) version() byte {
	switch k {
	case KindSplit:
		return 2
	case KindSweep:
		return 3
	}
	return 1
}
