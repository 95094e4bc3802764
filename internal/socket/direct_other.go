//go:build !unix

package socket

import "net"

// Direct needs system calls that this platform lacks: it is never usable.
type Direct struct{}

func NewReader(net.Conn) *Direct { return new(Direct) }

func NewWriter(net.Conn) *Direct { return new(Direct) }

func (*Direct) Usable() bool { return false }

func (*Direct) Do([]byte) int { return 0 }
