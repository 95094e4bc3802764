package throttle

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	ms := time.Millisecond
	for text, want := range map[string]Rule{
		"":                                {},
		"1000*delay*100":                  {Delay: Limit{1000, 100 * ms}},
		"1K*reject*0":                     {Reject: Limit{1000, 0}},
		"10000*delay*100,20000*reject*50": {Delay: Limit{10000, 100 * ms}, Reject: Limit{20000, 50 * ms}},
		"2M*reject*1,1M*delay*2":          {Delay: Limit{1e6, 2 * ms}, Reject: Limit{2e6, ms}},
	} {
		got, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{
		"1000", "1000*delay", "1000*delay*", "x*delay*1", "1*delay*x", "1*stop*1", "-1*delay*1", "1*delay*-1", "0*reject*1",
		"1*delay*1,2*delay*2", "1*delay*1,", ",", "1*delay*60001", "99999999999999999999*delay*1", "9999999999999999M*delay*1", "K*delay*1",
		"1*delay*1,2*reject*1,3*delay*1", "1 *delay*1", "+1*delay*1",
	} {
		_, err := Parse(text)
		require.Error(t, err, text)
	}
}

func TestParseRead(t *testing.T) {
	got, err := ParseRead("10M")
	require.NoError(t, err)
	require.Equal(t, Rule{Reject: Limit{PerSec: 10 << 20}}, got)
	_, err = ParseRead("1M*delay*10")
	require.Error(t, err)
	_, err = ParseRead("1M*delay*10,2M*reject*10")
	require.NoError(t, err)
}

// load sends three times the rate for ten seconds of fake time, from callers that
// each wait for their answer, over two nodes that serve 3 and 1 of 4 partitions.
func load(t *testing.T, rules Rules, rate, callers int, do func(*Table) Pass) (accepted, refused int64) {
	t.Helper()
	var a, r atomic.Int64
	synctest.Test(t, func(t *testing.T) {
		nodes := []*Keeper{NewKeeper(), NewKeeper()}
		for i, k := range nodes {
			k.Table(1).SetShares([]float64{.75, .25}[i], 1)
			k.Table(1).Update(rules)
		}
		end := time.Now().Add(10 * time.Second)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				rest := time.Duration(callers) * time.Second / time.Duration(3*rate)
				time.Sleep(rest * time.Duration(i) / time.Duration(callers))
				for time.Now().Before(end) {
					node := nodes[0]
					if i%4 == 3 {
						node = nodes[1]
					}
					done := make(chan struct{})
					p := do(node.Table(1))
					p.Hold(func() {
						if time.Now().Before(end) {
							a.Add(1)
						}
						close(done)
					}, func() { r.Add(1); close(done) })
					<-done
					time.Sleep(rest)
				}
			}()
		}
		wg.Wait()
		for _, k := range nodes {
			k.Close()
		}
	})
	return a.Load(), r.Load()
}

func TestRates(t *testing.T) {
	write := func(t *Table) Pass { return t.Write(100) }
	for _, rate := range []int{50, 400, 2000} {
		for _, callers := range []int{16, 256} {
			want := float64(10 * rate)
			for _, c := range []struct {
				name  string
				rules Rules
				do    func(*Table) Pass
			}{
				{"delay", Rules{Write: rule(t, "%d*delay*100", rate)}, write},
				{"reject", Rules{Write: rule(t, "%d*reject*10", rate)}, write},
				{"both", Rules{Write: rule(t, "10*delay*1,%d*reject*1", rate)}, write},
				{"bytes delayed", Rules{WriteBytes: rule(t, "%d*delay*1", rate*100)}, write},
				{"bytes rejected", Rules{WriteBytes: rule(t, "%d*reject*1", rate*100)}, write},
				{"reads", Rules{Read: rule(t, "%d*delay*1", rate)}, func(t *Table) Pass { return t.Read(false) }},
				{"bytes of reads", Rules{ReadBytes: rule(t, "%d*reject*1", rate*100)}, func(t *Table) Pass {
					p := t.Read(false)
					if !p.refused {
						p.Size(100)
					}
					return p
				}},
			} {
				t.Run(fmt.Sprintf("%s %d by %d", c.name, rate, callers), func(t *testing.T) {
					got, refused := load(t, c.rules, rate, callers, c.do)
					require.InDelta(t, want, float64(got), want/10, "refused %d", refused)
				})
			}
		}
	}
}

func rule(t *testing.T, format string, args ...any) Rule {
	t.Helper()
	r, err := Parse(fmt.Sprintf(format, args...))
	require.NoError(t, err)
	return r
}

func TestChangeLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKeeper()
		defer k.Close()
		table := k.Table(1)
		table.Update(Rules{Write: rule(t, "10*delay*100")})
		var passed atomic.Int64
		for range 40 {
			p := table.Write(1)
			p.Hold(func() { passed.Add(1) }, func() { t.Error("refused") })
		}
		synctest.Wait()
		require.EqualValues(t, 3, passed.Load(), "a quarter of a second")
		require.Equal(t, 37, k.Waiting())
		table.Update(Rules{Read: rule(t, "1*reject*1")})
		synctest.Wait()
		require.EqualValues(t, 40, passed.Load(), "the rule is gone")
		p := table.Write(1)
		require.True(t, p.Free())
	})
}

func TestTooLongAWaitIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKeeper()
		defer k.Close()
		table := k.Table(1)
		table.Update(Rules{Write: rule(t, "10*delay*1")})
		refused := 0
		for range 100 {
			p := table.Write(1)
			if p.refused {
				refused++
			}
		}
		require.InDelta(t, 100-10*(MaxHold+delaySlack).Seconds(), refused, 2)
		require.EqualValues(t, refused, table.Counts.Write.Rejected.Load())
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKeeper()
		table := k.Table(1)
		table.Update(Rules{Write: rule(t, "1*reject*60000")})
		answered := 0
		for range maxHeldPerTable + 10 {
			p := table.Write(1)
			if p.Free() {
				continue
			}
			p.Hold(func() { t.Error("accepted") }, func() { answered++ })
		}
		require.Equal(t, maxHeldPerTable, k.Waiting())
		require.Equal(t, 9, answered, "no place: answered at once")
		k.Close()
		require.Equal(t, maxHeldPerTable+9, answered, "closing answers the rest")
	})
}

func TestRefusedBytesGiveTheRequestBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKeeper()
		defer k.Close()
		table := k.Table(1)
		table.Update(Rules{Write: rule(t, "1000*reject*0"), WriteBytes: rule(t, "10*reject*0")})
		for range 1000 {
			table.Write(100)
		}
		require.Less(t, table.gates[gateWrite].Load().reject.paid.Load(), k.now()+int64(10*time.Millisecond), "only what was accepted is charged")
	})
}

func TestBackupHasItsOwnGate(t *testing.T) {
	k := NewKeeper()
	defer k.Close()
	table := k.Table(1)
	table.Update(Rules{Backup: rule(t, "1*reject*0")})
	for range 10 {
		p := table.Read(false)
		require.True(t, p.Free())
	}
	refused := 0
	for range 10 {
		if p := table.Read(true); !p.Free() {
			refused++
		}
	}
	require.GreaterOrEqual(t, refused, 8)
}

func TestForget(t *testing.T) {
	k := NewKeeper()
	defer k.Close()
	first := k.Table(1)
	first.Update(Rules{Write: rule(t, "1*reject*0")})
	k.Forget(func(int32) bool { return false })
	require.NotSame(t, first, k.Table(1))
	p := first.Write(1)
	require.True(t, p.Free())
}

func TestSharesAreSane(t *testing.T) {
	k := NewKeeper()
	defer k.Close()
	table := k.Table(1)
	for _, v := range []float64{0, -1, 2, math.NaN(), math.Inf(1)} {
		table.SetShares(v, v)
		require.Equal(t, 1.0, table.share(leaderShare))
	}
}

func BenchmarkUnlimited(b *testing.B) {
	k := NewKeeper()
	defer k.Close()
	table := k.Table(1)
	b.ReportAllocs()
	for b.Loop() {
		p := table.Write(100)
		if !p.Free() {
			b.Fatal("held")
		}
	}
}

func BenchmarkLimited(b *testing.B) {
	k := NewKeeper()
	defer k.Close()
	table := k.Table(1)
	table.Update(Rules{Write: Rule{Reject: Limit{PerSec: 1 << 40}}})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			table.Write(100)
		}
	})
}
