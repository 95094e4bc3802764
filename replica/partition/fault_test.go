package partition

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine/mem"
	"github.com/arionkv/arion/replica/record"
)

// Thousands of increments are in flight while leaders change: each is answered
// once, every acknowledged one counts, and none counts twice.
func TestAnswersExactlyOnce(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	c.tune = func(o *Options) { o.QueueOps = 1 << 20 }
	c.openAll(0)
	c.put(0, "warm", "1")

	const rounds, perRound = 5, 1000
	var acked, unknown, refused, twice atomic.Int64
	var wg sync.WaitGroup
	args := incrArgs("n")
	for range rounds {
		var leader *node
		var p *Partition
		eventually(t, "a write", func() bool {
			leader, p = c.leader(0)
			_, err := do(p, command.Incr, args)
			switch {
			case err == nil:
				acked.Add(1)
			case code.Of(err).Class() == code.ClassUnknownOutcome:
				unknown.Add(1)
			}
			return err == nil
		})
		for range perRound {
			wg.Add(1)
			var answered atomic.Bool
			p.Write(command.Incr, args, func(_ apply.Result, err error) {
				if answered.Swap(true) {
					twice.Add(1)
					return
				}
				defer wg.Done()
				switch {
				case err == nil:
					acked.Add(1)
				case code.Of(err).Class() == code.ClassUnknownOutcome:
					unknown.Add(1)
				default:
					refused.Add(1)
				}
			})
		}
		if rand.IntN(2) == 0 {
			_ = p.TransferLeader(context.Background(), int64((leader.number+1)%3+1))
		} else {
			c.isolate(leader, true)
			eventually(t, "another leader", func() bool {
				for _, n := range c.nodes {
					if _, _, leads := n.partition(0).Leader(); leads && n != leader {
						return true
					}
				}
				return false
			})
			c.isolate(leader, false)
		}
	}
	wg.Wait()
	require.Zero(t, twice.Load())
	require.GreaterOrEqual(t, acked.Load()+unknown.Load()+refused.Load(), int64(rounds*(perRound+1)))
	var total int64
	eventually(t, "final value", func() bool {
		_, p := c.leader(0)
		v, err := get(p, "n")
		total, _ = strconv.ParseInt(v, 10, 64)
		return err == nil
	})
	require.GreaterOrEqual(t, total, acked.Load())
	require.LessOrEqual(t, total, acked.Load()+unknown.Load())
	t.Logf("acknowledged %d, unknown %d, refused %d, total %d", acked.Load(), unknown.Load(), refused.Load(), total)
}

// A full queue answers busy at once, and everything is answered in the end.
func TestQueueIsBounded(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	c.tune = func(o *Options) { o.QueueOps, o.Window, o.EntryOps = 100, 1, 1 }
	c.openAll(0)
	c.put(0, "warm", "1")
	leader, p := c.leader(0)
	c.isolate(leader, true)
	codes := make(chan code.Code, 200)
	start := time.Now()
	for range 200 {
		p.Write(command.Put, putArgs("k", "v"), func(_ apply.Result, err error) { codes <- code.Of(err) })
	}
	busy := 0
	for len(codes) > 0 {
		if <-codes == code.Busy {
			busy++
		}
	}
	require.Greater(t, busy, 50, "after %v", time.Since(start))
	// Leadership is lost without a quorum: what was queued can go elsewhere,
	// what was proposed is unknown.
	rest := map[code.Code]int{}
	for range 200 - busy {
		select {
		case k := <-codes:
			rest[k]++
		case <-time.After(patience):
			t.Fatal("writes without an answer")
		}
	}
	require.Positive(t, rest[code.InvalidState]+rest[code.Timeout], rest)
	require.Zero(t, rest[code.OK]+rest[code.Unknown], rest)
}

// While the network misbehaves and leaders are moved and restarted, no two
// replicas hold a lease at once, and no read after a barrier misses a write that
// was acknowledged before.
func TestLeasesExcludeEachOther(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	// The writer must not sit out the outcomes that are lost.
	c.tune = func(o *Options) { o.ProposalTimeout, o.LimboTimeout = 500*time.Millisecond, 200*time.Millisecond }
	c.openAll(0)
	c.put(0, "k", "0")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	spawn := func(f func()) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for !isClosed(stop) {
				f()
			}
		}()
	}
	var acked, reads, overlaps, stale, leased atomic.Int64
	var next int64
	spawn(func() { // one writer: values only grow
		for _, n := range c.nodes {
			p := n.partition(0)
			if p == nil {
				continue
			}
			next++
			if _, err := do(p, command.Put, putArgs("k", strconv.FormatInt(next, 10))); err == nil {
				acked.Store(next)
			}
		}
		time.Sleep(time.Millisecond)
	})
	for _, n := range c.nodes {
		spawn(func() {
			p := n.partition(0)
			if p == nil {
				return
			}
			floor := acked.Load()
			if v, err := get(p, "k"); err == nil {
				reads.Add(1)
				if got, _ := strconv.ParseInt(v, 10, 64); got < floor {
					stale.Add(1)
				}
			}
			time.Sleep(100 * time.Microsecond)
		})
	}
	spawn(func() { // sampler
		var valid []*Partition
		for _, n := range c.nodes {
			if p := n.partition(0); p != nil && p.LeaseValid() {
				valid = append(valid, p)
			}
		}
		if len(valid) > 0 {
			leased.Add(1)
		}
		if len(valid) > 1 && valid[0].LeaseValid() { // the first outlived the look at the second
			overlaps.Add(1)
		}
		time.Sleep(50 * time.Microsecond)
	})
	c.torment(6 * time.Second)
	close(stop)
	wg.Wait()
	t.Logf("writes %d, reads %d, samples under a lease %d", acked.Load(), reads.Load(), leased.Load())
	require.Zero(t, overlaps.Load(), "two leases at once")
	require.Zero(t, stale.Load(), "stale reads")
	require.Positive(t, reads.Load())
	require.Positive(t, leased.Load())
}

// torment cuts and slows links, moves leaders and restarts nodes for a while. It
// prefers the leader, whom it hurts most.
func (c *cluster) torment(d time.Duration) {
	ticks := func(from, to int) time.Duration { return time.Duration(from+rand.IntN(to-from)) * testTick }
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(ticks(2, 8)) {
		n := c.nodes[rand.IntN(3)]
		if rand.IntN(4) > 0 {
			n, _ = c.leader(0)
		}
		switch rand.IntN(10) {
		case 0, 1, 2, 3:
			c.isolate(n, true)
			time.Sleep(ticks(4, 16))
			c.isolate(n, false)
		case 4: // one direction only
			c.mu.Lock()
			c.cut[[2]int{n.number, (n.number + 1) % 3}] = true
			c.mu.Unlock()
			time.Sleep(ticks(4, 16))
			c.isolate(n, false)
		case 5, 6: // messages arrive, but late
			c.mu.Lock()
			c.late[n.number] = ticks(1, 8)
			c.mu.Unlock()
			time.Sleep(ticks(8, 16))
			c.mu.Lock()
			c.late[n.number] = 0
			c.mu.Unlock()
		case 7, 8:
			if p := n.partition(0); p != nil {
				_ = p.ChangeMember(context.Background(), arion.MemberOp_TRANSFER_LEADER, int64(rand.IntN(3)+1), 0, 0)
			}
		case 9: // restart without handing over
			n.kill()
			n.start()
			n.open(0)
		}
	}
}

// A lease read asks nobody and allocates nothing.
func TestLeaseReadIsFree(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	c.openAll(0)
	c.put(0, "k", "v")
	_, p := c.leader(0)
	name := key.Append(nil, []byte("k"), nil)
	eventually(t, "lease", func() bool { _, _ = get(p, "k"); return p.LeaseValid() })
	calls := 0
	done := func(err error) { calls++ }
	inline := 0
	allocs := testing.AllocsPerRun(200, func() {
		if !p.LeaseValid() {
			return
		}
		before := calls
		p.ReadBarrier(done)
		inline += calls - before
	})
	require.LessOrEqual(t, allocs, 0.5) // a renewal may run beside
	require.Positive(t, inline)
	h, err := p.Acquire()
	require.NoError(t, err)
	defer h.Release()
	stored, found, err := h.Get(name, nil)
	require.NoError(t, err)
	require.True(t, found)
	_, value, err := record.Decode(stored)
	require.NoError(t, err)
	require.Equal(t, "v", string(value))
}

func TestReadIndexOnly(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	c.tune = func(o *Options) { o.ReadIndexOnly = true }
	c.openAll(0)
	c.put(0, "k", "v")
	leader, p := c.leader(0)
	v, err := get(p, "k")
	require.NoError(t, err)
	require.Equal(t, "v", v)
	require.False(t, p.LeaseValid())

	c.isolate(leader, true)
	_, err = get(p, "k")
	require.Error(t, err, "a leader without a quorum must not answer")
	_, err = get(c.nodes[(leader.number+1)%3].partition(0), "k")
	_ = err // it may have become leader by now, or refuse: both are right
}

// Closing answers what is queued and in flight.
func TestCloseAnswersEverything(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	c.openAll(0)
	c.put(0, "warm", "1")
	leader, p := c.leader(0)
	var open atomic.Int64
	for range 3000 {
		open.Add(1)
		p.Write(command.Put, putArgs("k", "v"), func(apply.Result, error) { open.Add(-1) })
	}
	for range 10 {
		open.Add(1)
		p.ReadBarrier(func(error) { open.Add(-1) })
	}
	leader.stop()
	require.Zero(t, open.Load())
	_, err := do(p, command.Put, putArgs("k", "v"))
	require.Equal(t, code.InvalidState, code.Of(err))
	_, err = get(p, "k")
	require.Error(t, err)
	require.NoError(t, p.Close(), "twice")
}
