package client_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/test/fakekv"
)

func eventually(t *testing.T, ok func() bool, what string) {
	t.Helper()
	require.Eventually(t, ok, 10*time.Second, 5*time.Millisecond, what)
}

// What a server refuses without having acted is repeated for every call.
func TestRefusalsAreRepeated(t *testing.T) {
	for _, name := range []string{"ERR_BUSY", "ERR_INVALID_STATE", "ERR_OBJECT_NOT_FOUND", "ERR_INACTIVE_STATE",
		"ERR_NOT_ENOUGH_MEMBER", "ERR_SPLITTING", "ERR_PARENT_PARTITION_MISUSED"} {
		t.Run(name, func(t *testing.T) {
			c, tab := setup(t)
			rule := c.Script(fakekv.Match{RPC: "INCR"}, 3, fakekv.Action{Error: name})
			n, err := tab.Incr(background(t), b("h"), b("s"), 1)
			require.NoError(t, err)
			require.EqualValues(t, 1, n)
			require.Equal(t, 3, rule.Hits())
		})
	}
}

func TestPermanentErrors(t *testing.T) {
	for _, tc := range []struct {
		name string
		want error
	}{
		{"ERR_INVALID_DATA", client.ErrTooLarge},
		{"ERR_INVALID_PARAMETERS", client.ErrInvalidArgument},
		{"ERR_ACL_DENY", client.ErrDenied},
		{"ERR_OPERATION_DISABLED", client.ErrDisabled},
		{"ERR_DISK_INSUFFICIENT", client.ErrDiskFull},
		{"ERR_HANDLER_NOT_FOUND", client.ErrNotSupported},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, tab := setup(t)
			c.Script(fakekv.Match{RPC: "PUT"}, 0, fakekv.Action{Error: tc.name})
			err := tab.Set(background(t), b("h"), b("s"), b("v"))
			require.ErrorIs(t, err, tc.want)
			require.Equal(t, 1, c.Count("PUT"))
			var e *client.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.name, e.Code.String())
			require.Equal(t, "set", e.Op)
			require.Equal(t, "temp", e.Table)
			require.Equal(t, c.Node(c.Leader("temp", int(e.Partition))).Addr(), e.Node)
			require.False(t, client.IsUnknownOutcome(err))
		})
	}
}

// After an answer was lost, an idempotent call is repeated and one that is not
// says that it does not know.
func TestUnknownOutcome(t *testing.T) {
	ways := map[string]fakekv.Action{
		"connection cut, applied":     {Disconnect: true, Apply: true},
		"connection cut, not applied": {Disconnect: true},
		"server unsure":               {Error: "ERR_TIMEOUT", Apply: true},
		"unknown error name":          {Error: "ERR_NEVER_HEARD_OF", Apply: true},
	}
	calls := map[string]func(context.Context, *client.Table) error{
		"INCR": func(ctx context.Context, t *client.Table) error {
			_, err := t.Incr(ctx, b("h"), b("n"), 1)
			return err
		},
		"CHECK_AND_SET": func(ctx context.Context, t *client.Table) error {
			_, err := t.CheckAndSet(ctx, b("h"), client.Check{SortKey: b("s")}, client.Put{SortKey: b("s"), Value: b("v")})
			return err
		},
		"CHECK_AND_MUTATE": func(ctx context.Context, t *client.Table) error {
			_, err := t.CheckAndMutate(ctx, b("h"), client.Check{SortKey: b("s")}, []client.Mutation{client.DeleteMutation(b("s"))})
			return err
		},
	}
	for way, action := range ways {
		for rpc, call := range calls {
			t.Run(rpc+"/"+way, func(t *testing.T) {
				c, tab := setup(t)
				c.Script(fakekv.Match{RPC: rpc}, 1, action)
				err := call(background(t), tab)
				require.Error(t, err)
				require.True(t, client.IsUnknownOutcome(err), "%v", err)
				require.False(t, client.IsRetryable(err))
				require.Equal(t, 1, c.Count(rpc), "never repeated")
			})
		}
		t.Run("PUT/"+way, func(t *testing.T) {
			c, tab := setup(t)
			c.Script(fakekv.Match{RPC: "PUT"}, 1, action)
			require.NoError(t, tab.Set(background(t), b("h"), b("s"), b("v")))
			require.Equal(t, 2, c.Count("PUT"))
		})
		t.Run("PUT without repeating/"+way, func(t *testing.T) {
			c, tab := setup(t, client.WithRetry(client.RetryPolicy{NoRepeatAfterUnknown: true}))
			c.Script(fakekv.Match{RPC: "PUT"}, 1, action)
			require.True(t, client.IsUnknownOutcome(tab.Set(background(t), b("h"), b("s"), b("v"))))
			require.Equal(t, 1, c.Count("PUT"))
		})
	}
}

func TestTimeouts(t *testing.T) {
	c, tab := setup(t)
	c.Script(fakekv.Match{}, 0, fakekv.Action{Silence: true}).Remove()
	_, err := tab.Exist(background(t), b("h"), b("s"))
	require.NoError(t, err)
	for _, rpc := range []string{"GET", "PUT", "INCR"} {
		c.Script(fakekv.Match{RPC: rpc}, 0, fakekv.Action{Silence: true, Apply: true})
	}
	short := func() context.Context {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	start := time.Now()
	_, err = tab.Get(short(), b("h"), b("s"))
	require.ErrorIs(t, err, client.ErrTimeout)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.False(t, client.IsUnknownOutcome(err), "a read changes nothing")
	require.True(t, client.IsRetryable(err))
	err = tab.Set(short(), b("h"), b("s"), b("v"))
	require.ErrorIs(t, err, client.ErrTimeout)
	require.True(t, client.IsUnknownOutcome(err))
	_, err = tab.IncrAsync(short(), b("h"), b("n"), 1).Wait(context.Background())
	require.ErrorIs(t, err, client.ErrTimeout)
	require.True(t, client.IsUnknownOutcome(err))
	promptly(t, start, 5*time.Second)
}

func TestLeaderMoves(t *testing.T) {
	c, tab := setup(t)
	ctx := background(t)
	for i := range 20 {
		require.NoError(t, tab.Set(ctx, b("h"), b("s"), b(fmt.Sprint(i))))
		for p := range 8 {
			c.MoveLeader("temp", p)
		}
		v, err := tab.Get(ctx, b("h"), b("s"))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i), string(v))
	}
}

// Nobody leads for a while, as in an election; calls wait it out.
func TestElection(t *testing.T) {
	c, tab := setup(t)
	ctx := background(t)
	_, err := tab.Incr(ctx, b("h"), b("s"), 1)
	require.NoError(t, err)
	for p := range 8 {
		c.SetLeader("temp", p, -1)
	}
	d := tab.IncrAsync(ctx, b("h"), b("s"), 1)
	time.AfterFunc(200*time.Millisecond, func() {
		for p := range 8 {
			c.SetLeader("temp", p, 1)
		}
	})
	n, err := d.Wait(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
}

func TestNoLeaderEndsInUnavailable(t *testing.T) {
	c, tab := setup(t, client.WithRetry(client.RetryPolicy{MaxAttempts: 3}))
	for p := range 8 {
		c.SetLeader("temp", p, -1)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // it waits for a leader that long
	defer cancel()
	_, err := tab.Get(ctx, b("h"), b("s"))
	require.ErrorIs(t, err, client.ErrUnavailable)
}

func TestSplit(t *testing.T) {
	c, tab := setup(t)
	ctx := background(t)
	for i := range 100 {
		require.NoError(t, tab.Set(ctx, b(fmt.Sprint("h", i)), b("s"), b("v")))
	}
	c.Split("temp")
	var keys []client.Key
	for i := range 100 {
		_, err := tab.Get(ctx, b(fmt.Sprint("h", i)), b("s"))
		require.NoError(t, err)
		keys = append(keys, client.Key{HashKey: b(fmt.Sprint("h", i)), SortKey: b("s")})
	}
	c.Split("temp")
	got, err := tab.BatchGet(ctx, keys)
	require.NoError(t, err)
	for _, g := range got {
		require.NoError(t, g.Err)
	}
}

// However many calls find the routing stale, the meta servers are asked once.
func TestRefreshIsSingleFlight(t *testing.T) {
	c, tab := setup(t)
	const query = "QUERY_PARTITION_CONFIG_BY_INDEX"
	ctx := background(t)
	c.Script(fakekv.Match{RPC: query}, 0, fakekv.Action{Delay: 20 * time.Millisecond})
	var ds []*client.Deferred[bool]
	for i := range 1000 {
		ds = append(ds, tab.ExistAsync(ctx, b(fmt.Sprint(i)), b("s")))
	}
	_, err := client.GatherValues(ds...).Wait(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, c.Count(query))
	for p := range 8 {
		c.MoveLeader("temp", p)
	}
	ds = ds[:0]
	for i := range 1000 {
		ds = append(ds, tab.ExistAsync(ctx, b(fmt.Sprint(i)), b("s")))
	}
	_, err = client.GatherValues(ds...).Wait(ctx)
	require.NoError(t, err)
	require.LessOrEqual(t, c.Count(query), 4)
}

// The great test: thousands of calls outstanding while servers are killed, paused
// and restarted. Each is answered exactly once, and afterwards all is well soon.
func TestManyCallsThroughFaults(t *testing.T) {
	const calls = 10000
	c, tab := setup(t, client.WithMaxInFlight(calls, 1<<30, client.Block))
	ctx := background(t)
	var answers [calls]atomic.Int32
	var wg sync.WaitGroup
	outstanding := func() {
		for i := range calls {
			wg.Add(1)
			key := b(fmt.Sprint("h", i))
			count := func(err error) {
				answers[i].Add(1)
				wg.Done()
			}
			if i%2 == 0 {
				tab.SetAsync(ctx, key, b("s"), key).AddBoth(func(v struct{}, err error) (struct{}, error) { count(err); return v, err })
			} else {
				tab.GetAsync(ctx, key, b("s")).AddBoth(func(v []byte, err error) ([]byte, error) { count(err); return v, err })
			}
		}
	}
	for p := range 3 { // so that much is under way when the faults strike
		c.Script(fakekv.Match{Node: c.Node(p)}, 3000, fakekv.Action{Delay: 100 * time.Millisecond})
	}
	outstanding()
	c.Node(0).Stop()
	c.Node(1).Pause()
	c.Node(2).DropConnections()
	time.Sleep(300 * time.Millisecond)
	require.NoError(t, c.Node(0).Start())
	c.Node(1).Resume()
	recovered := time.Now()
	wg.Wait()
	for i := range answers {
		require.EqualValues(t, 1, answers[i].Load(), "call %d", i)
	}
	promptly(t, recovered, 10*time.Second)
	for i := range 100 {
		start := time.Now()
		require.NoError(t, tab.Set(ctx, b(fmt.Sprint(i)), b("s"), b("v")))
		promptly(t, start, 2*time.Second)
	}
	eventually(t, func() bool { n, bytes := tab.Client().InFlight(); return n == 0 && bytes == 0 }, "nothing in flight")
}

// A server that vanishes without a reset is noticed within 2 s.
func TestVanishedServerIsNoticed(t *testing.T) {
	c, tab := setup(t)
	ctx := background(t)
	require.NoError(t, tab.Set(ctx, b("h"), b("s"), b("v")))
	for i := range 3 {
		c.Node(i).Pause()
	}
	start := time.Now()
	_, err := tab.Incr(ctx, b("h"), b("n"), 1)
	require.True(t, client.IsUnknownOutcome(err), "%v", err)
	promptly(t, start, 2*time.Second)
	// A read finds the server again as soon as it is back.
	d := tab.GetAsync(ctx, b("h"), b("s"))
	for i := range 3 {
		c.Node(i).Resume()
	}
	start = time.Now()
	_, err = d.Wait(ctx)
	require.NoError(t, err)
	promptly(t, start, 2*time.Second)
}

// While a server says nothing, calls go to the leader that took its place, without
// waiting until its connection is given up. A call that must not run twice waits
// for its own answer.
func TestSilentServerIsLeft(t *testing.T) {
	c, tab := setup(t, client.WithKeepalive(50*time.Millisecond, time.Hour))
	ctx := background(t)
	require.NoError(t, tab.Set(ctx, b("h"), b("s"), b("v")))
	for p := range 8 {
		c.SetLeader("temp", p, 0)
	}
	require.NoError(t, tab.Set(ctx, b("h"), b("s"), b("v")))
	old := c.Node(0)
	old.Pause()
	set := tab.SetAsync(ctx, b("h"), b("s"), b("w"))
	incr := tab.IncrAsync(ctx, b("h"), b("n"), 1)
	for p := range 8 {
		c.SetLeader("temp", p, 1)
	}
	_, err := set.Wait(ctx)
	require.NoError(t, err)
	v, err := tab.Get(ctx, b("h"), b("s"))
	require.NoError(t, err)
	require.Equal(t, "w", string(v))
	_, err = incr.Wait(ctx)
	require.True(t, client.IsUnknownOutcome(err), "an increment on the same connection is not repeated: %v", err)
	old.Resume()
}

// A slow call on a living server is not taken for a vanished server.
func TestSlowCallIsNotADeadServer(t *testing.T) {
	c, tab := setup(t, client.WithKeepalive(30*time.Millisecond, 60*time.Millisecond))
	c.Script(fakekv.Match{RPC: "INCR"}, 1, fakekv.Action{Delay: 500 * time.Millisecond})
	n, err := tab.Incr(background(t), b("h"), b("s"), 1)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Positive(t, c.Count("RPC_ARION_PING")+1)
}

func TestBreaker(t *testing.T) {
	var h events
	c, tab := setup(t, client.WithHooks(&h), client.WithBreaker(2, 50*time.Millisecond, 100*time.Millisecond))
	ctx := background(t)
	require.NoError(t, tab.Set(ctx, b("h"), b("s"), b("v")))
	for i := range 3 {
		c.Node(i).Stop()
	}
	ctx2, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	_, err := tab.Get(ctx2, b("h"), b("s"))
	require.Error(t, err)
	eventually(t, func() bool { return h.opened.Load() > 0 }, "breaker opens")
	dials := h.dials.Load()
	require.Less(t, dials, int64(30), "the breaker saves dialling")
	for i := range 3 {
		require.NoError(t, c.Node(i).Start())
	}
	_, err = tab.Get(ctx, b("h"), b("s"))
	require.NoError(t, err)
	eventually(t, func() bool { return h.closed.Load() > 0 }, "breaker closes")
}

type events struct {
	opened, closed, dials, hedges, retries atomic.Int64
	mu                                     sync.Mutex
	calls                                  []client.CallEvent
}

func (e *events) OnBreaker(_ string, open bool) {
	if open {
		e.opened.Add(1)
	} else {
		e.closed.Add(1)
	}
}
func (e *events) OnConnect(string, time.Duration, error) { e.dials.Add(1) }
func (e *events) OnDisconnect(string, error)             {}
func (e *events) OnHedge(string, int32, string)          { e.hedges.Add(1) }
func (e *events) OnRetry(client.RetryEvent)              { e.retries.Add(1) }
func (e *events) OnRoute(string, time.Duration, error)   {}
func (e *events) OnCall(ev client.CallEvent) {
	e.mu.Lock()
	e.calls = append(e.calls, ev)
	e.mu.Unlock()
}
func (e *events) Log(client.Level, string, ...any) {}

func TestHooks(t *testing.T) {
	var h events
	c, tab := setup(t, client.WithHooks(&h), client.WithLogger(&h))
	c.Script(fakekv.Match{RPC: "GET"}, 2, fakekv.Action{Error: "ERR_BUSY"})
	_, err := tab.Get(background(t), b("h"), b("s"))
	require.ErrorIs(t, err, client.ErrNotFound)
	require.EqualValues(t, 2, h.retries.Load())
	require.Len(t, h.calls, 1)
	ev := h.calls[0]
	require.Equal(t, "get", ev.Op)
	require.Equal(t, 3, ev.Attempts)
	require.Equal(t, c.Node(c.Leader("temp", int(ev.Partition))).Addr(), ev.Node)
	require.Zero(t, ev.Index, "a read")
	require.NoError(t, tab.Set(background(t), b("h"), b("s"), b("v")))
	require.Positive(t, h.calls[1].Index)
}

func TestHedgedReads(t *testing.T) {
	var h events
	c, tab := setup(t, client.WithHooks(&h), client.WithHedgedReads(20*time.Millisecond))
	ctx := background(t)
	require.NoError(t, tab.Set(ctx, b("h"), b("s"), b("v")))
	require.Zero(t, h.hedges.Load())
	var leader int
	for p := range 8 { // one slow node leads everything
		c.SetLeader("temp", p, leader)
	}
	require.NoError(t, tab.Set(ctx, b("h"), b("s"), b("v")))
	slow := make(chan struct{})
	c.Script(fakekv.Match{RPC: "GET", Node: c.Node(leader)}, 0, fakekv.Action{Hold: slow})
	start := time.Now()
	v, err := tab.Get(ctx, b("h"), b("s"))
	require.NoError(t, err)
	require.Equal(t, "v", string(v))
	promptly(t, start, 5*time.Second)
	require.EqualValues(t, 1, h.hedges.Load())
	// A follower that refuses does not spoil the leader's answer.
	c.Script(fakekv.Match{RPC: "GET", Node: c.Node(1)}, 0, fakekv.Action{Error: "ERR_INVALID_STATE"})
	c.Script(fakekv.Match{RPC: "GET", Node: c.Node(2)}, 0, fakekv.Action{Error: "ERR_INVALID_STATE"})
	d := tab.GetAsync(ctx, b("h"), b("s"))
	eventually(t, func() bool { return h.hedges.Load() == 2 }, "second hedge")
	close(slow)
	_, err = d.Wait(ctx)
	require.NoError(t, err)
	// Writes are never hedged.
	c.Script(fakekv.Match{RPC: "PUT"}, 1, fakekv.Action{Delay: 100 * time.Millisecond})
	require.NoError(t, tab.Set(ctx, b("h"), b("s"), b("v")))
	require.EqualValues(t, 2, h.hedges.Load())
}

func TestOverload(t *testing.T) {
	c, tab := setup(t, client.WithMaxInFlight(10, 1<<20, client.FailFast))
	ctx := background(t)
	hold := make(chan struct{})
	c.Script(fakekv.Match{RPC: "GET"}, 0, fakekv.Action{Hold: hold})
	var ds []*client.Deferred[[]byte]
	for range 10 {
		ds = append(ds, tab.GetAsync(ctx, b("h"), b("s")))
	}
	_, err := tab.Get(ctx, b("h"), b("s"))
	require.ErrorIs(t, err, client.ErrOverloaded)
	close(hold)
	for _, d := range ds {
		_, err := d.Wait(ctx)
		require.ErrorIs(t, err, client.ErrNotFound)
	}
	_, err = tab.Get(ctx, b("h"), b("s"))
	require.ErrorIs(t, err, client.ErrNotFound)
}

func TestBlockWhenFull(t *testing.T) {
	c, tab := setup(t, client.WithMaxInFlight(10, 1<<20, client.Block))
	ctx := background(t)
	hold := make(chan struct{})
	c.Script(fakekv.Match{RPC: "GET"}, 10, fakekv.Action{Hold: hold})
	for range 10 {
		tab.GetAsync(ctx, b("h"), b("s"))
	}
	short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
	defer cancel()
	err := tab.Set(short, b("h"), b("s"), b("v"))
	require.Error(t, err)
	require.False(t, client.IsUnknownOutcome(err))
	require.Zero(t, c.Count("PUT"))
	done := make(chan error)
	go func() { done <- tab.Set(ctx, b("h"), b("s"), b("v")) }()
	select {
	case err := <-done:
		t.Fatalf("went through while full: %v", err)
	case <-time.After(30 * time.Millisecond):
	}
	close(hold)
	require.NoError(t, <-done)
}

// Chains issue calls from callbacks while producers keep the client full.
func TestCallbacksMakeCallsWhileFull(t *testing.T) {
	for _, workers := range []int{0, 1, 4} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			if workers == 0 {
				t.Skip("callbacks on the reader must not block, and blocking is what Block does")
			}
			_, tab := setup(t, client.WithMaxInFlight(8, 1<<20, client.Block), client.WithCallbackWorkers(workers))
			ctx := background(t)
			var wg sync.WaitGroup
			for g := range 16 {
				wg.Add(1)
				go func() {
					defer wg.Done()
					var ds []*client.Deferred[[]byte]
					for i := range 50 {
						key := b(fmt.Sprint(g, ".", i))
						d := client.ThenAsync(tab.SetAsync(ctx, key, b("s"), key), func(struct{}) *client.Deferred[[]byte] {
							return tab.GetAsync(ctx, key, b("s"))
						})
						ds = append(ds, d)
					}
					for _, d := range ds {
						_, err := d.Wait(ctx)
						require.NoError(t, err)
					}
				}()
			}
			wg.Wait()
		})
	}
}

// What has not left this process is taken back.
func TestCancelBeforeSending(t *testing.T) {
	c, tab := setup(t)
	ctx := background(t)
	hold := make(chan struct{})
	c.Script(fakekv.Match{RPC: "QUERY_PARTITION_CONFIG_BY_INDEX"}, 0, fakekv.Action{Hold: hold})
	d := tab.IncrAsync(ctx, b("h"), b("s"), 1)
	d.Cancel()
	_, err := d.Wait(ctx)
	require.ErrorIs(t, err, client.ErrCanceled)
	require.False(t, client.IsUnknownOutcome(err))
	close(hold)
	_, err = tab.Get(ctx, b("h"), b("s"))
	require.ErrorIs(t, err, client.ErrNotFound)
	require.Zero(t, c.Count("INCR"))
}

func TestCancelAfterSending(t *testing.T) {
	c, tab := setup(t)
	ctx, cancel := context.WithCancel(background(t))
	hold := make(chan struct{})
	c.Script(fakekv.Match{RPC: "INCR"}, 0, fakekv.Action{Hold: hold})
	d := tab.IncrAsync(ctx, b("h"), b("s"), 1)
	eventually(t, func() bool { return c.Count("INCR") == 1 }, "sent")
	cancel()
	_, err := d.Wait(background(t))
	require.ErrorIs(t, err, client.ErrCanceled)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, client.IsUnknownOutcome(err))
	close(hold)
	eventually(t, func() bool { return c.Applied("INCR") == 1 }, "the server carries it out")
}

// Close answers everything, wherever it stands.
func TestCloseFailsWhatWaits(t *testing.T) {
	c := fakekv.Start(t, fakekv.Options{})
	c.CreateTable("temp", 8)
	c.CreateTable("other", 8)
	cl, err := client.Open(background(t), c.Metas())
	require.NoError(t, err)
	ctx := background(t)
	tab := cl.Table("temp")
	require.NoError(t, tab.Set(ctx, b("h"), b("s"), b("v")))
	c.Script(fakekv.Match{RPC: "GET"}, 0, fakekv.Action{Silence: true})
	c.Script(fakekv.Match{RPC: "TTL"}, 0, fakekv.Action{Error: "ERR_BUSY"})
	c.Script(fakekv.Match{RPC: "QUERY_PARTITION_CONFIG_BY_INDEX"}, 0, fakekv.Action{Silence: true})
	var ds []*client.Deferred[[]byte]
	for range 100 {
		ds = append(ds, tab.GetAsync(ctx, b("h"), b("s")))            // sent
		ds = append(ds, cl.Table("other").GetAsync(ctx, b("h"), nil)) // waits for routing
	}
	busy := tab.ExistAsync(ctx, b("h"), b("s")) // waits to be repeated
	next := tab.Scan(b("h"), client.Range{}, client.ScanOptions{}).NextAsync()
	_, _ = next.Wait(ctx)
	require.NoError(t, cl.Close())
	for _, d := range ds {
		_, err := d.Wait(ctx)
		require.ErrorIs(t, err, client.ErrClosed)
	}
	_, err = busy.Wait(ctx)
	require.ErrorIs(t, err, client.ErrClosed)
	_, err = tab.Get(ctx, b("h"), b("s"))
	require.ErrorIs(t, err, client.ErrClosed)
	_, err = cl.Table("new").Scan(b("h"), client.Range{}, client.ScanOptions{}).Next(ctx)
	require.ErrorIs(t, err, client.ErrClosed)
	require.NoError(t, cl.Close())
}

func TestOpen(t *testing.T) {
	c := fakekv.Start(t, fakekv.Options{Metas: 3})
	ctx := background(t)
	for _, tc := range []struct {
		name  string
		metas []string
		opts  []client.Option
	}{
		{"none", nil, nil},
		{"no port", []string{"localhost"}, nil},
		{"nonsense", []string{"::::"}, nil},
		{"bad options", c.Metas(), []client.Option{client.WithCallbackWorkers(-1), client.WithMaxInFlight(0, 0, 9)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := client.Open(ctx, tc.metas, tc.opts...)
			require.Error(t, err)
		})
	}
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	_, err := client.Open(short, []string{"127.0.0.1:1"})
	require.ErrorIs(t, err, client.ErrUnavailable)

	// Any living meta server will do.
	c.CreateTable("temp", 8)
	c.Meta(0).Stop()
	c.Meta(1).Pause()
	cl := open(t, c)
	require.NoError(t, cl.Table("temp").Set(ctx, b("h"), b("s"), b("v")))
}

func TestMetaFailover(t *testing.T) {
	c := fakekv.Start(t, fakekv.Options{Metas: 3})
	c.CreateTable("temp", 8)
	cl := open(t, c)
	ctx := background(t)
	for i := range 6 {
		c.Meta(i % 3).Pause()
		c.Meta((i + 1) % 3).Stop()
		start := time.Now()
		_, err := cl.QueryRouting(ctx, "temp")
		require.NoError(t, err)
		promptly(t, start, 3*time.Second)
		c.Meta(i % 3).Resume()
		require.NoError(t, c.Meta((i+1)%3).Start())
	}
}

// A burst leaves no memory behind: neither goroutines nor calls.
func TestMemoryAfterABurst(t *testing.T) {
	_, tab := setup(t)
	ctx := background(t)
	require.NoError(t, tab.Set(ctx, b("h"), b("s"), b("v")))
	before := runtime.NumGoroutine()
	for range 3 {
		var ds []*client.Deferred[[]byte]
		for range 5000 {
			ds = append(ds, tab.GetAsync(ctx, b("h"), b("s")))
		}
		_, err := client.GatherValues(ds...).Wait(ctx)
		require.NoError(t, err)
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), before+16, "goroutines do not grow with calls")
	n, bytes := tab.Client().InFlight()
	require.Zero(t, n)
	require.Zero(t, bytes)
}

func TestErrorText(t *testing.T) {
	e := &client.Error{Op: "set", Table: "users", TableID: 2, Partition: 7, Node: "10.0.0.3:34801",
		Code: code.Busy, Kind: client.ErrBusy, Attempts: 3}
	require.Equal(t, "set users/2.7 on 10.0.0.3:34801: server busy: ERR_BUSY (3 attempts)", e.Error())
	e.Unknown = true
	require.Contains(t, fmt.Errorf("save: %w", e).Error(), "(outcome unknown)")
	require.True(t, client.IsUnknownOutcome(fmt.Errorf("save: %w", e)))
}

// A meta server that does not lead names the one that does, which need not be in
// the list given.
func TestReferral(t *testing.T) {
	c := fakekv.Start(t, fakekv.Options{Metas: 2})
	c.CreateTable("temp", 8)
	leader, err := base.ParseRPCAddress(c.Meta(1).Addr())
	require.NoError(t, err)
	rule := c.Script(fakekv.Match{RPC: "QUERY_PARTITION_CONFIG_BY_INDEX", Node: c.Meta(0)}, 0, fakekv.Action{Reply: &admin.QueryCfgResponse{
		Err:        &base.ErrorCode{Errno: "ERR_FORWARD_TO_OTHERS"},
		Partitions: []*admin.PartitionConfiguration{{Pid: &base.Gpid{}, Primary: &leader}},
	}})
	cl, err := client.Open(background(t), c.Metas()[:1])
	require.NoError(t, err)
	defer cl.Close()
	require.NoError(t, cl.Table("temp").Set(background(t), b("h"), b("s"), b("v")))
	require.Equal(t, 1, rule.Hits())
	_, err = cl.QueryRouting(background(t), "temp")
	require.NoError(t, err)
	require.Equal(t, 1, rule.Hits(), "the leader is asked first from then on")
}

// While a split is under way the new half answers through its parent.
func TestChildThatIsNotReady(t *testing.T) {
	c, tab := setup(t)
	ctx := background(t)
	q, err := tab.Client().QueryRouting(ctx, "temp")
	require.NoError(t, err)
	for i := range 8 {
		p := *q.Partitions[i]
		p.Pid = &base.Gpid{AppID: q.AppID, PartitionIndex: int32(i + 8)}
		p.Ballot, p.Primary, p.Secondaries = -1, &base.RPCAddress{}, nil
		q.Partitions = append(q.Partitions, &p)
	}
	q.PartitionCount = 16
	c.Script(fakekv.Match{RPC: "QUERY_PARTITION_CONFIG_BY_INDEX"}, 0, fakekv.Action{Reply: q})
	other := open(t, c).Table("temp")
	for i := range 50 {
		require.NoError(t, other.Set(ctx, b(fmt.Sprint(i)), b("s"), b("v")))
	}
	require.Equal(t, 50, c.Count("PUT"))
	scanners, err := other.UnorderedScanners(ctx, 1, client.ScanOptions{})
	require.NoError(t, err)
	n := 0
	for _, err := range scanners[0].Rows(ctx) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 50, n)
}

// Routing that makes no sense is refused, not believed.
func TestHostileRouting(t *testing.T) {
	addr, _ := base.ParseRPCAddress("127.0.0.1:1")
	ok := &base.ErrorCode{Errno: "ERR_OK"}
	for name, q := range map[string]*admin.QueryCfgResponse{
		"no partitions":    {Err: ok, AppID: 1, PartitionCount: 8, IsStateful: true},
		"negative count":   {Err: ok, AppID: 1, PartitionCount: -8, Partitions: []*admin.PartitionConfiguration{{Pid: &base.Gpid{}, Primary: &addr}}},
		"enormous count":   {Err: ok, AppID: 1, PartitionCount: 1 << 30, Partitions: []*admin.PartitionConfiguration{{Pid: &base.Gpid{}, Primary: &addr}}},
		"index too large":  {Err: ok, AppID: 1, PartitionCount: 8, Partitions: []*admin.PartitionConfiguration{{Pid: &base.Gpid{PartitionIndex: 8}, Primary: &addr}}},
		"index negative":   {Err: ok, AppID: 1, PartitionCount: 8, Partitions: []*admin.PartitionConfiguration{{Pid: &base.Gpid{PartitionIndex: -1}, Primary: &addr}}},
		"refers to itself": {Err: &base.ErrorCode{Errno: "ERR_FORWARD_TO_OTHERS"}, Partitions: []*admin.PartitionConfiguration{{Pid: &base.Gpid{}, Primary: &addr}}},
	} {
		t.Run(name, func(t *testing.T) {
			c, tab := setup(t)
			c.Script(fakekv.Match{RPC: "QUERY_PARTITION_CONFIG_BY_INDEX"}, 0, fakekv.Action{Reply: q})
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			_, err := tab.Get(ctx, b("h"), b("s"))
			require.Error(t, err)
		})
	}
}

// promptly notes how long something took against what is promised. Only a hang
// fails: a busy machine must not decide a test.
func promptly(t *testing.T, start time.Time, promise time.Duration) {
	t.Helper()
	took := time.Since(start)
	if took > promise {
		t.Logf("took %v, promised %v", took, promise)
	}
	require.Less(t, took, time.Minute, "hangs")
}
