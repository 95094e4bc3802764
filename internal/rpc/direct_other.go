//go:build !unix

package rpc

import "net"

// direct needs a system call that this platform lacks; ordinary reads and the writing
// goroutine do all the work.
type direct struct{}

func directReader(net.Conn) *direct { return new(direct) }

func directWriter(net.Conn) *direct { return new(direct) }

func (*direct) usable() bool { return false }

func (*direct) do([]byte) int { return 0 }
