package cluster

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Ports given to servers lie below the ephemeral ones, which the kernel hands out
// to connections. Each rpc port brings a raft and a gossip port along, see
// config.RaftAddress.
const (
	firstPort = 21100
	lastPort  = 31999
)

var derived = [...]int{0, 10000, 20000}

// Ports finds n consecutive rpc ports that are free together with those derived
// from them. They stay reserved against other test processes until the test ends.
func Ports(t testing.TB, n int) int {
	t.Helper()
	span := lastPort - firstPort
	for try, p := 0, os.Getpid()*61%span; try < span; try, p = try+n, (p+n)%span {
		first := firstPort + p
		if first+n <= lastPort && reserveAll(t, first, n) {
			return first
		}
	}
	t.Fatalf("no %d free ports", n)
	return 0
}

func reserveAll(t testing.TB, first, n int) bool {
	var locks []*os.File
	for p := first; p < first+n; p++ {
		for _, d := range derived {
			if lock := reserve(p - d); lock != nil && free(p-d) {
				locks = append(locks, lock)
				continue
			}
			closeAll(locks)
			return false
		}
	}
	t.Cleanup(func() { closeAll(locks) })
	return true
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// reserve locks a file that stands for the port. The lock ends with the process.
func reserve(port int) *os.File {
	dir := filepath.Join(os.TempDir(), "arion-test-ports")
	if os.MkdirAll(dir, 0o777) != nil {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(port)), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		f.Close()
		return nil
	}
	return f
}

func free(port int) bool {
	l, err := net.Listen("tcp", address(port))
	if err != nil {
		return false
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", address(port))
	if err != nil {
		return false
	}
	u.Close()
	return true
}
