package service

import (
	"fmt"
	"time"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/replica/hotkey"
	"github.com/arionkv/arion/replica/load"
)

// detectHotkey answers the admin tools, which know a detection that is started,
// asked about and stopped. Here detection never rests: starting and stopping
// only keep the tools' order, and a question is answered from what is known.
func (s *Service) detectHotkey(req *rpc.Request) {
	arg := admin.NewDetectHotkeyRequest()
	if !req.DecodeOrFail(arg) {
		return
	}
	c, hint, result := s.detect(arg)
	resp := &admin.DetectHotkeyResponse{Err: base.ErrorCodeOf(c)}
	if hint != "" {
		resp.ErrHint = &hint
	}
	if c == code.OK && arg.Action == admin.DetectAction_QUERY {
		resp.HotkeyResult_ = &result
	}
	req.Reply(resp)
}

func (s *Service) detect(arg *admin.DetectHotkeyRequest) (c code.Code, hint, result string) {
	if arg.Pid == nil {
		return code.InvalidParameters, "the partition is missing", ""
	}
	r, ok := s.o.Host.Lookup(arg.Pid.AppID, arg.Pid.PartitionIndex)
	if !ok {
		return code.ObjectNotFound, fmt.Sprintf("partition %d.%d is not on this server", arg.Pid.AppID, arg.Pid.PartitionIndex), ""
	}
	sketch, asked := &r.Load.Reads, &r.Load.DetectReads
	switch arg.Type {
	case admin.HotkeyType_READ:
	case admin.HotkeyType_WRITE:
		sketch, asked = &r.Load.Writes, &r.Load.DetectWrites
	default:
		return code.InvalidParameters, "the type is neither READ nor WRITE", ""
	}
	switch arg.Action {
	case admin.DetectAction_START:
		if !asked.CompareAndSwap(false, true) {
			return code.Busy, "detection is started already: query it, or stop it first", ""
		}
	case admin.DetectAction_STOP:
		asked.Store(false)
	case admin.DetectAction_QUERY:
		hot, found := sketch.Hot(time.Now().Unix())
		if !found {
			return code.Busy, "no hash key stands out in the last seconds", ""
		}
		return code.OK, "", hotkey.Escape(hot.Key)
	default:
		return code.InvalidParameters, "the action is none of START, STOP and QUERY", ""
	}
	return code.OK, "", ""
}

// hottest is the share of the hottest key, 0 while there is too little to say.
func hottest(l *load.Load, writes bool) float64 {
	sketch := &l.Reads
	if writes {
		sketch = &l.Writes
	}
	if hot, ok := sketch.Hot(time.Now().Unix()); ok {
		return hot.Share
	}
	return 0
}
