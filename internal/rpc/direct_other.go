//go:build !unix

package rpc

import "net"

// directWriter needs a system call that this platform lacks; the writing
// goroutine does all the work.
type directWriter struct{}

func (directWriter) init(net.Conn) {}

func (directWriter) write([]byte) int { return 0 }
