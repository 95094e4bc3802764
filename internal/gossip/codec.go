package gossip

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/internal/cursor"
)

// Every message begins with a kind byte whose upper half is the format version (0 so far) and is refused if unknown.
const (
	kindEndpoint = 0x01 // metadata of a member
	kindDelta    = 0x02 // some reports of one node
	kindState    = 0x03 // all reports of all nodes that the sender knows of
)

// Limits on what is believed from the network.
const (
	maxText         = 255     // bytes of a text in an endpoint
	maxReports      = 1 << 16 // reports of one node: far beyond what one machine can host
	maxOrigins      = 2048    // nodes in one state
	maxStateReports = 1 << 18 // reports in one state of all nodes
	minReportBytes  = 9       // of an encoded report: every field takes one
)

var errMalformed = errors.New("gossip: malformed message")

// appendEndpoint writes
//
//	┌──────┬─────────┬──────┬────────┬──────────────────────────────────────┐
//	│ 0x01 │ role u8 │ id v │ boot v │ 5 × (length u8, text): rpc, raft,    │
//	│      │         │      │        │ gossip address, version, zone        │
//	└──────┴─────────┴──────┴────────┴──────────────────────────────────────┘
//
// where v is an unsigned varint.
func appendEndpoint(dst []byte, e *arion.NodeEndpoint) []byte {
	dst = append(dst, kindEndpoint, byte(e.Role))
	dst = binary.AppendUvarint(dst, uint64(e.NodeID))
	dst = binary.AppendUvarint(dst, uint64(e.Boot))
	for _, s := range []string{e.RPCAddress, e.RaftAddress, e.GossipAddress, e.Version, e.Zone} {
		s = s[:min(len(s), maxText)]
		dst = append(dst, byte(len(s)))
		dst = append(dst, s...)
	}
	return dst
}

func decodeEndpoint(b []byte) (*arion.NodeEndpoint, error) {
	d := newDecoder(b)
	d.kind(kindEndpoint)
	e := &arion.NodeEndpoint{Role: arion.NodeRole(d.Byte()), NodeID: d.int(), Boot: d.int()}
	e.RPCAddress, e.RaftAddress, e.GossipAddress = d.text(), d.text(), d.text()
	e.Version, e.Zone = d.text(), d.text()
	if e.NodeID <= 0 {
		d.Fail("node id")
	}
	return e, d.Finish()
}

// delta is the news about one replica.
type delta struct {
	node, boot int64
	seq        uint64
	report     *arion.ReplicaReport
}

// packDelta encodes as many of the reports as fit in a packet and says how many that were; always at least one.
//
//	┌──────┬──────┬───────┬───────┬────────────────────┐
//	│ 0x02 │ id v │ boot v│ seq v │ reports to the end │
//	└──────┴──────┴───────┴───────┴────────────────────┘
func packDelta(node, boot int64, seq uint64, reports []*arion.ReplicaReport) ([]byte, int) {
	const room = packetSize - 200 // for memberlist's label, encryption and compound headers
	b := appendDeltaHeader(nil, node, boot, seq)
	for i, r := range reports {
		if b = appendReport(b, r); len(b) > room {
			return b, i + 1
		}
	}
	return b, len(reports)
}

func appendDeltaHeader(dst []byte, node, boot int64, seq uint64) []byte {
	dst = append(dst, kindDelta)
	dst = binary.AppendUvarint(dst, uint64(node))
	dst = binary.AppendUvarint(dst, uint64(boot))
	return binary.AppendUvarint(dst, seq)
}

func (n delta) encode() []byte {
	return appendReport(appendDeltaHeader(nil, n.node, n.boot, n.seq), n.report)
}

func decodeDelta(b []byte) ([]delta, error) {
	d := newDecoder(b)
	d.kind(kindDelta)
	node, boot, seq := d.int(), d.int(), d.Uint()
	var out []delta
	for d.Len() > 0 && len(out) < packetSize {
		out = append(out, delta{node, boot, seq, d.report()})
	}
	return out, d.Finish()
}

// origin is all that one node reported, as of its sequence number.
type origin struct {
	node, boot int64
	seq        uint64
	reports    []*arion.ReplicaReport
}

// encodeState writes the kind, the number of origins, and each: id, boot, seq, number of reports, reports.
func encodeState(origins []origin) []byte {
	b := []byte{kindState}
	b = binary.AppendUvarint(b, uint64(len(origins)))
	for _, o := range origins {
		b = binary.AppendUvarint(b, uint64(o.node))
		b = binary.AppendUvarint(b, uint64(o.boot))
		b = binary.AppendUvarint(b, o.seq)
		b = binary.AppendUvarint(b, uint64(len(o.reports)))
		for _, r := range o.reports {
			b = appendReport(b, r)
		}
	}
	return b
}

func decodeState(b []byte) ([]origin, error) {
	d := newDecoder(b)
	d.kind(kindState)
	var out []origin
	total := 0
	for n := d.count(4, maxOrigins); n > 0 && d.OK(); n-- {
		o := origin{node: d.int(), boot: d.int(), seq: d.Uint()}
		m := d.count(minReportBytes, maxReports)
		if total += m; total > maxStateReports {
			d.Fail("too many reports")
		}
		for ; m > 0 && d.OK(); m-- {
			o.reports = append(o.reports, d.report())
		}
		out = append(out, o)
	}
	return out, d.Finish()
}

// appendReport writes the fields that gossip carries. Members and error texts go with SYNC only.
func appendReport(b []byte, r *arion.ReplicaReport) []byte {
	flags := byte(0)
	if r.LeaseValid {
		flags = 1
	}
	b = append(b, byte(r.State), flags)
	for _, v := range []int64{int64(r.TableID), int64(r.PartitionIndex), r.ReplicaID, r.Term, r.LeaderReplicaID, r.AppliedIndex, r.SizeBytes} {
		b = binary.AppendUvarint(b, uint64(max(v, 0)))
	}
	return b
}

// decoder reads messages.
type decoder struct{ cursor.Cursor }

func newDecoder(b []byte) decoder { return decoder{cursor.New(b, errMalformed)} }

func (d *decoder) kind(want byte) {
	if d.Byte() != want {
		d.Fail("kind or version")
	}
}

func (d *decoder) int() int64 {
	v := d.Uint()
	if v > math.MaxInt64 {
		d.Fail("number out of range")
		return 0
	}
	return int64(v)
}

func (d *decoder) int32() int32 {
	v := d.Uint()
	if v > math.MaxInt32 {
		d.Fail("number out of range")
		return 0
	}
	return int32(v)
}

func (d *decoder) text() string { return d.Text(int(d.Byte())) }

// count reads a number of elements of at least width bytes each.
func (d *decoder) count(width, limit int) int {
	n := d.Count(width)
	if n > limit {
		d.Fail("count")
		return 0
	}
	return n
}

func (d *decoder) report() *arion.ReplicaReport {
	r := &arion.ReplicaReport{State: arion.ReplicaState(d.Byte()), LeaseValid: d.Byte()&1 != 0}
	r.TableID, r.PartitionIndex, r.ReplicaID = d.int32(), d.int32(), d.int()
	r.Term, r.LeaderReplicaID, r.AppliedIndex, r.SizeBytes = d.int(), d.int(), d.int(), d.int()
	return r
}
