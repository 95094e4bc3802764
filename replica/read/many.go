package read

import (
	"fmt"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

// GetMany answers several gets with one crossing into the engine for many of
// them. It calls answer once for each key, in any order; the reply is valid during
// the call only. The error is for the log.
func (r *Reader) GetMany(v View, keys [][]byte, reply *GetReply, answer func(i int, err error)) {
	s := getScratch()
	defer putScratch(s)
	s.picks = s.picks[:0]
	for i, k := range keys {
		if _, _, err := key.Decode(k); err != nil {
			r.blank(reply, code.StatusInvalidArgument)
			answer(i, nil)
			continue
		}
		s.picks = append(s.picks, i)
	}
	left, chunk := s.picks, r.pace.first()
	for len(left) > 0 {
		n := min(chunk, len(left))
		r.getChunk(v, s, keys, left[:n], reply, answer)
		left = left[n:]
		chunk = r.pace.next(n, s.page.Bytes())
	}
}

// getChunk answers the gets of the keys picked. If the engine fails for any of
// them, each is read by itself: the others are none the worse for it.
func (r *Reader) getChunk(v View, s *scratch, keys [][]byte, picked []int, reply *GetReply, answer func(i int, err error)) {
	s.keys = s.keys[:0]
	for _, i := range picked {
		s.keys = append(s.keys, keys[i])
	}
	err := v.Engine.MultiGet(s.keys, &s.page)
	s.filled()
	for row, i := range picked {
		if err != nil {
			var failure error
			s.buf, failure = r.GetInto(v, keys[i], s.buf[:0], reply)
			answer(i, failure)
			continue
		}
		answer(i, r.fillReply(v, &s.page, row, keys[i], reply))
	}
}

// fillReply turns a row of a multi-get into the reply to a get.
func (r *Reader) fillReply(v View, p *engine.Page, row int, encoded []byte, reply *GetReply) error {
	if !p.Found(row) {
		r.blank(reply, code.StatusNotFound)
		return nil
	}
	h, value, err := record.Decode(p.Value(row))
	switch {
	case err != nil:
		r.blank(reply, code.StatusCorruption)
		return fmt.Errorf("record %x: %w: %w", encoded, engine.ErrCorruption, err)
	case h.ExpiredAt(v.NowSec):
		r.blank(reply, code.StatusNotFound)
	default:
		r.blank(reply, code.StatusOK)
		reply.value.Data = value
	}
	return nil
}

// blank makes a reply without a value.
func (r *Reader) blank(reply *GetReply, status code.Status) {
	reply.ReadResponse = rrdb.ReadResponse{
		Error: int32(status), AppID: r.TableID, PartitionIndex: r.PartitionIndex, Server: r.Server, Value: &reply.value,
	}
	reply.value.Data = nil
}
