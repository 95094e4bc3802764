// Package read holds the semantics of the rrdb service's reads.
//
// Every request is bounded three ways: rows examined, bytes returned and time.
// Rows come in pages, one crossing into the engine each, sized by what the
// request can still use; values are not copied where only headers matter.
// Responses own their memory and alias neither pages nor request buffers, but for
// GetReply and RangeReply, which say what they need.
//
// An error returned beside a response means that the engine failed. The
// response says so to the client; the error is for the log and the metrics.
package read

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

// Source is what reads need of an engine.Engine.
type Source interface {
	Get(key, dst []byte) (value []byte, found bool, err error)
	MultiGet(keys [][]byte, p *engine.Page) error
	NewIter(o engine.IterOptions) (engine.Iter, error)
}

// View is the state one request reads.
type View struct {
	Engine Source
	// NowSec decides expiry, in seconds since 2016. Clients compare TTLs with
	// what they wrote, so it is the wall clock, not the partition clock.
	NowSec uint32
	Limits Limits
	// PartitionCount, if positive, says that the table validates hashes: scans
	// that ask for it skip records of other partitions.
	PartitionCount int32
	// HashCount, if positive, is the partition count since the partition's last
	// split. Records that are foreign by it may still be stored; nobody may see
	// them.
	HashCount int32
}

// ErrForeign answers a read that does not belong to the partition since a split,
// or not all of it. There is no response then.
var ErrForeign = errors.New("the hash belongs to another partition since a split")

func (v View) owns(hash uint64, index int32) bool {
	return v.HashCount <= 0 || key.PartitionIndex(hash, v.HashCount) == index
}

// hashOf checks an encoded key, and takes the hash if it matters.
func (v View) hashOf(encoded []byte) (uint64, error) {
	if v.HashCount > 0 {
		return key.HashOf(encoded)
	}
	_, _, err := key.Decode(encoded)
	return 0, err
}

// ownsAll reports whether the records of a hash key, or without one those of the
// sort keys, are all of this partition.
func (v View) ownsAll(index int32, hashKey []byte, sortKeys []*base.Blob) bool {
	if v.HashCount <= 0 {
		return true
	}
	if len(hashKey) > 0 {
		return v.owns(key.Hash(hashKey, nil), index)
	}
	return !slices.ContainsFunc(sortKeys, func(k *base.Blob) bool { return !v.owns(key.Hash(nil, k.Bytes()), index) })
}

// hides is what a walk over a hash key has to leave out: without a hash key, the
// records of other partitions, each by its sort key.
func (v View) hides(index int32, hashKey []byte) func([]byte) bool {
	if v.HashCount <= 0 || len(hashKey) > 0 {
		return nil
	}
	return func(encoded []byte) bool {
		hash, err := key.HashOf(encoded)
		return err == nil && !v.owns(hash, index)
	}
}

// Limits bound one request. They are part of the protocol's behaviour: clients
// learn from the reply that a limit was hit and go on from there.
type Limits struct {
	// Rows is the most records a multi_get returns.
	Rows int
	// Examined is the most records a multi_get looks at in range mode, filtered
	// and expired ones included.
	Examined int
	// Bytes is where multi_get and batch_get stop. The record that crosses the
	// line is still returned, so that every call makes progress.
	Bytes int
	// ScanRows is the largest scan batch and what get_scanner examines at most.
	ScanRows int
	// ScanBytes ends a scan batch early, so that wide records do not make
	// replies of a size that no client expects.
	ScanBytes int
	// Time bounds one range read, 0 = none.
	Time time.Duration
}

// DefaultLimits are those of Pegasus; ScanBytes is our own.
func DefaultLimits() Limits {
	return Limits{
		Rows: 3000, Examined: 3000, Bytes: 30 << 20,
		ScanRows: 1000, ScanBytes: 4 << 20,
		Time: 30 * time.Second,
	}
}

// Reader answers the reads of one partition. It is safe for concurrent use; the
// fields do not change after the first call.
type Reader struct {
	// TableID, PartitionIndex and Server ("ip:port") go into replies.
	TableID, PartitionIndex int32
	Server                  string
	// Contexts holds the partition's open scans.
	Contexts *Contexts
	// Clock measures time limits; nil means time.Now.
	Clock func() time.Time

	pace pace
}

// GetReply is the reply to a get with its parts, for reuse. The zero GetReply is
// ready.
type GetReply struct {
	rrdb.ReadResponse
	value base.Blob
}

// Get answers a get. The value is read into dst, as append would do, and the
// response aliases it; dst may be nil.
func (r *Reader) Get(v View, encoded, dst []byte) (*rrdb.ReadResponse, error) {
	reply := new(GetReply)
	_, err := r.GetInto(v, encoded, dst, reply)
	return &reply.ReadResponse, err
}

// GetInto is Get into a reply that the caller provides. It returns dst with the
// stored bytes appended, which the reply aliases: reuse neither before the other.
func (r *Reader) GetInto(v View, encoded, dst []byte, reply *GetReply) ([]byte, error) {
	reply.ReadResponse = rrdb.ReadResponse{
		AppID: r.TableID, PartitionIndex: r.PartitionIndex, Server: r.Server, Value: &reply.value,
	}
	reply.value.Data = nil
	_, stored, status, err := r.live(v, encoded, dst)
	reply.Error = int32(status)
	if status == code.StatusOK {
		reply.value.Data = stored[len(dst)+record.HeaderLen:]
	}
	return stored, err
}

// TTL answers a ttl: seconds to live, or -1 without expiry. A record that
// expires later than int32 can say shows the wrapped number, as Pegasus does.
func (r *Reader) TTL(v View, encoded []byte) (*rrdb.TTLResponse, error) {
	s := getScratch()
	defer putScratch(s)
	h, stored, status, err := r.live(v, encoded, s.buf[:0])
	s.buf = stored
	resp := &rrdb.TTLResponse{
		Error: int32(status), AppID: r.TableID, PartitionIndex: r.PartitionIndex, Server: r.Server,
	}
	switch {
	case status != code.StatusOK:
	case h.Expire == 0:
		resp.TTLSeconds = -1
	default:
		resp.TTLSeconds = int32(h.Expire - v.NowSec)
	}
	return resp, err
}

// live appends the stored bytes of a record to dst. The status is NotFound for
// an expired one.
func (r *Reader) live(v View, encoded, dst []byte) (record.Header, []byte, code.Status, error) {
	hash, err := v.hashOf(encoded)
	if err != nil {
		return record.Header{}, dst, code.StatusInvalidArgument, nil
	}
	if !v.owns(hash, r.PartitionIndex) {
		return record.Header{}, dst, code.StatusNotFound, ErrForeign
	}
	stored, found, err := v.Engine.Get(encoded, dst)
	if err != nil {
		return record.Header{}, dst, statusOf(err), fmt.Errorf("get %x: %w", encoded, err)
	}
	if !found {
		return record.Header{}, dst, code.StatusNotFound, nil
	}
	h, _, err := decodeRecord(encoded, stored[len(dst):])
	switch {
	case err != nil:
		return h, stored, statusOf(err), err
	case h.ExpiredAt(v.NowSec):
		return h, stored, code.StatusNotFound, nil
	}
	return h, stored, code.StatusOK, nil
}

// decodeRecord is record.Decode with the error an operator needs.
func decodeRecord(encoded, stored []byte) (record.Header, []byte, error) {
	h, value, err := record.Decode(stored)
	if err != nil {
		return h, nil, fmt.Errorf("record %x: %w: %w", encoded, engine.ErrCorruption, err)
	}
	return h, value, nil
}

// statusOf says to a client what an engine's error means.
func statusOf(err error) code.Status {
	switch {
	case err == nil:
		return code.StatusOK
	case errors.Is(err, engine.ErrCorruption):
		return code.StatusCorruption
	case errors.Is(err, engine.ErrClosed):
		return code.StatusShutdownInProgress
	}
	return code.StatusIOError
}

// timer tells when a request has used up its time.
type timer struct {
	clock    func() time.Time
	deadline time.Time
}

func (r *Reader) timer(limit time.Duration) timer {
	t := timer{clock: r.Clock}
	if t.clock == nil {
		t.clock = time.Now
	}
	if limit > 0 {
		t.deadline = t.clock().Add(limit)
	}
	return t
}

func (t timer) late() bool { return !t.deadline.IsZero() && !t.clock().Before(t.deadline) }

// scratch is memory that lives for one request.
type scratch struct {
	page  engine.Page
	picks []int    // rows of page to return
	keys  [][]byte // encoded keys of a lookup
	buf   []byte
	peak  int // most bytes page has held: it never shrinks
}

// filled is called whenever page was.
func (s *scratch) filled() { s.peak = max(s.peak, s.page.Bytes()) }

// maxIdleScratch is the largest scratch kept for the next request: a page and
// some; one huge record must not stay in memory for good.
const maxIdleScratch = 4 * pageBytes

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func getScratch() *scratch { return scratches.Get().(*scratch) }

func putScratch(s *scratch) {
	if s.peak+cap(s.buf) > maxIdleScratch {
		return
	}
	clear(s.keys)
	scratches.Put(s)
}
