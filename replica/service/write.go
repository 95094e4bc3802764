package service

import (
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/replica/command"
)

// write handles one kind of write: checks in the order the protocol gives them,
// then the partition's queue.
func (s *Service) write(kind command.Kind) rpc.Handler {
	return func(req *rpc.Request) {
		c, ok := s.admit(req, true)
		if !ok {
			return
		}
		switch {
		case len(req.Args) > maxWrite:
			req.Fail(code.InvalidData)
			return
		case c.foreign():
			req.Fail(code.ParentPartitionMisused)
			return
		case s.o.Disk.Full():
			req.Fail(code.DiskInsufficient)
			return
		}
		c.replica.Write(kind, req.Args, func(result frame.Message, err error) {
			if err != nil {
				s.fail(&c, err)
				return
			}
			s.finish(&c, result)
		})
	}
}
