package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/test/cluster"
)

// soakTime is how long damaged frames are sent: seconds in every test run, as
// long as ARION_SOAK says in a soak (`make soak` sets 10m).
func soakTime(t *testing.T) time.Duration {
	text := os.Getenv("ARION_SOAK")
	if text == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err, "ARION_SOAK")
	return d
}

// TestDamagedFrames sends mutations of real frames to every server of a cluster
// and then checks that the servers still answer, and hold on to nothing: the
// cluster runs in this process, so its goroutines and memory are visible.
func TestDamagedFrames(t *testing.T) {
	exchanges, err := LoadExchanges("testdata/exchanges.jsonl")
	require.NoError(t, err)
	c := cluster.Start(t, cluster.Options{})
	p := &player{top: t, t: t, c: c, conns: map[string]*Conn{}, contexts: map[int64]int64{}, tables: map[int32]int32{}}
	for i := range exchanges[:22] { // the tables, and a record
		p.play(&exchanges[i])
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	d := damager{rand: rand.New(rand.NewPCG(seed, 0)), exchanges: exchanges}
	d.run(t, c, time.Second) // warm up: pools and caches fill
	before := settle()
	rounds := d.run(t, c, soakTime(t))
	after := settle()
	t.Logf("%d connections, goroutines %d -> %d, live heap %d -> %d KB",
		rounds, before.goroutines, after.goroutines, before.heap>>10, after.heap>>10)

	get, err := p.conn(p.target(&exchanges[21])).Send(p.adapt(&exchanges[21]), patience)
	require.NoError(t, err)
	require.Equal(t, "ERR_OK", get.Error, "the record is served as before")
	require.Equal(t, "ERR_OK", p.query("temp").Err.Errno)
	require.Less(t, after.goroutines, before.goroutines+50, "goroutines are left behind")
	require.Less(t, after.heap, before.heap+32<<20, "memory is left behind")
}

type footprint struct {
	goroutines int
	heap       uint64
}

// settle measures once the closed connections have been noticed.
func settle() footprint {
	var f footprint
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		last := f.goroutines
		f.goroutines = runtime.NumGoroutine()
		if f.goroutines == last {
			break
		}
		time.Sleep(500 * time.Millisecond) // between two looks
	}
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.heap = m.HeapAlloc
	return f
}

// damager makes bad frames out of good ones.
type damager struct {
	rand      *rand.Rand
	exchanges []Exchange
}

// run talks nonsense to one server after another and returns how often.
func (d *damager) run(t *testing.T, c *cluster.Cluster, long time.Duration) (rounds int) {
	t.Helper()
	for deadline := time.Now().Add(long); time.Now().Before(deadline); rounds++ {
		for _, name := range c.Names() {
			require.NoError(t, d.talk(c.Addr(name)), name)
		}
	}
	return rounds
}

// talk sends up to eight damaged frames over one connection and reads for a
// moment, so that replies and closes both happen.
func (d *damager) talk(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return fmt.Errorf("the server does not accept: %w", err)
	}
	defer conn.Close()
	for range 1 + d.rand.IntN(8) {
		if _, err := conn.Write(d.frame()); err != nil {
			return nil // closed by the server, as it should
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
	_, _ = conn.Read(make([]byte, 4096))
	return nil
}

func (d *damager) frame() []byte {
	b := bytes.Clone(d.exchanges[d.rand.IntN(len(d.exchanges))].RequestBytes())
	if h, _, err := frame.ParseRequest(b); err == nil && destructive(h.Name) {
		return b[:d.rand.IntN(len(b))]
	}
	switch d.rand.IntN(7) {
	case 0: // cut short
		return b[:d.rand.IntN(len(b)+1)]
	case 1: // a length that lies
		if len(b) > 20 {
			binary.BigEndian.PutUint32(b[16:], d.rand.Uint32())
		}
	case 2: // bits flipped behind the header
		for range 1 + d.rand.IntN(8) {
			if len(b) > 48 {
				b[48+d.rand.IntN(len(b)-48)] ^= 1 << d.rand.IntN(8)
			}
		}
	case 3: // bits flipped anywhere
		b[d.rand.IntN(len(b))] ^= byte(d.rand.Uint32())
	case 4: // a big number somewhere: a length, a count, a type
		if i := d.rand.IntN(len(b)); i+4 <= len(b) {
			binary.BigEndian.PutUint32(b[i:], 0x7fffffff-d.rand.Uint32N(3))
		}
	case 5: // noise
		for i := range b {
			b[i] = byte(d.rand.Uint32())
		}
	}
	return b
}

// destructive calls could, with a bit flipped in a table's name, do what they say.
func destructive(name string) bool {
	switch name {
	case frame.RPCDropApp, frame.RPCCreateApp, frame.RPCRecallApp, frame.RPCRenameApp, frame.RPCUpdateAppEnv:
		return true
	}
	return false
}
