package split

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/test/cluster"
)

// oldClient does what the oldest clients do and nothing more: it asks for routing
// once, and again only when a server's error tells that it is stale.
type oldClient struct {
	meta    string
	routing *admin.QueryCfgResponse
	conns   map[string]net.Conn
	queries int
}

func (c *oldClient) call(addr string, h frame.Header, arg, result frame.Message) (string, error) {
	conn := c.conns[addr]
	if conn == nil {
		var err error
		if conn, err = net.DialTimeout("tcp", addr, 5*time.Second); err != nil {
			return "", err
		}
		c.conns[addr] = conn
	}
	name, err := exchange(conn, h, arg, result)
	if err != nil {
		conn.Close()
		delete(c.conns, addr)
	}
	return name, err
}

func exchange(conn net.Conn, h frame.Header, arg, result frame.Message) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return "", err
	}
	if _, err := conn.Write(frame.AppendRequest(nil, &h, arg)); err != nil {
		return "", err
	}
	var b []byte
	for {
		n, need, err := frame.ReplySize(h.Proto, b)
		if err != nil {
			return "", err
		}
		if n > 0 {
			need = n
		}
		if n > 0 && len(b) >= n {
			break
		}
		more := make([]byte, need-len(b))
		if _, err := io.ReadFull(conn, more); err != nil {
			return "", err
		}
		b = append(b, more...)
	}
	reply, body, err := frame.ParseReply(h.Proto, b)
	if err != nil || reply.Error != code.OK.String() {
		return reply.Error, err
	}
	return reply.Error, frame.Decode(body, result)
}

func (c *oldClient) query() error {
	c.queries++
	r := admin.NewQueryCfgResponse()
	name, err := c.call(c.meta, frame.Header{Proto: frame.ProtoTHFT0, Name: "RPC_CM_QUERY_PARTITION_CONFIG_BY_INDEX", Seq: 1},
		&admin.QueryCfgRequest{AppName: "t", PartitionIndices: []int32{}}, r)
	if err != nil || r.Err.Code() != code.OK {
		return fmt.Errorf("query: %s %v %w", name, r.Err, err)
	}
	c.routing = r
	return nil
}

// incr adds one. unknown means that it may have been carried out or not.
func (c *oldClient) incr(name string) (ok, unknown bool) {
	hash := key.Hash([]byte(name), nil)
	index := key.PartitionIndex(hash, c.routing.PartitionCount)
	if c.routing.Partitions[index].Ballot < 0 {
		index -= c.routing.PartitionCount / 2
	}
	p := c.routing.Partitions[index]
	if p.Primary.IsZero() {
		_ = c.query()
		return false, false
	}
	res := rrdb.NewIncrResponse()
	h := frame.Header{Proto: frame.ProtoTHFT0, Name: frame.RPCIncr, Seq: 2, AppID: c.routing.AppID, PartitionIndex: index, PartitionHash: hash}
	answer, err := c.call(p.Primary.String(), h, &rrdb.IncrRequest{Key: base.BlobOf(key.Append(nil, []byte(name), []byte("n"))), Increment: 1}, res)
	switch {
	case err != nil:
		_ = c.query()
		return false, true
	case answer == "ERR_OK":
		return res.Error == 0, false
	case answer == "ERR_TIMEOUT":
		return false, true
	}
	_ = c.query() // it re-queries on whatever else there is
	return false, false
}

// TestOldClients: clients that only ask again when told so count through two
// splits, each acknowledged increment once.
func TestOldClients(t *testing.T) {
	c := cluster.Start(t, cluster.Options{})
	f := setUp(t, c, 4)
	keys := names("n", 24)
	acked, maybe := make([]atomic.Int64, len(keys)), make([]atomic.Int64, len(keys))
	var stop atomic.Bool
	var total atomic.Int64
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			old := &oldClient{meta: c.Metas()[0], conns: map[string]net.Conn{}}
			for old.query() != nil {
			}
			for i := w; !stop.Load(); i += 5 {
				ok, unknown := old.incr(keys[i%len(keys)])
				switch {
				case ok:
					acked[i%len(keys)].Add(1)
					total.Add(1)
				case unknown:
					maybe[i%len(keys)].Add(1)
				default:
					time.Sleep(10 * time.Millisecond) // as their callers do
				}
			}
			for _, conn := range old.conns {
				conn.Close()
			}
			t.Logf("client %d asked for routing %d times, at the end for %d partitions", w, old.queries, old.routing.PartitionCount)
		}()
	}
	for i, count := range []int{8, 16} {
		f.eventually("increments", func() error { return atLeast(&total, int64(2000*(i+1))) })
		require.NoError(t, f.admin.StartSplit(f.ctx, "t", count))
		f.done()
	}
	before := total.Load()
	f.eventually("increments after the splits", func() error { return atLeast(&total, before+2000) })
	stop.Store(true)
	wg.Wait()
	for i, k := range keys {
		v, err := f.table.Get(f.ctx, []byte(k), []byte("n"))
		require.NoError(t, err)
		var n int64
		_, err = fmt.Sscan(string(v), &n)
		require.NoError(t, err)
		require.GreaterOrEqual(t, n, acked[i].Load(), k)
		require.LessOrEqual(t, n, acked[i].Load()+maybe[i].Load(), k)
	}
}

func atLeast(n *atomic.Int64, want int64) error {
	if have := n.Load(); have < want {
		return fmt.Errorf("%d of %d", have, want)
	}
	return nil
}
