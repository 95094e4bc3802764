package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var errTest = errors.New("test")

func TestChain(t *testing.T) {
	add := func(n int) func(int) (int, error) { return func(v int) (int, error) { return v + n, nil } }
	fail := func(int) (int, error) { return 0, errTest }
	heal := func(error) (int, error) { return 100, nil }
	for _, tc := range []struct {
		name  string
		build func(*Deferred[int])
		want  int
		err   error
	}{
		{"nothing", func(*Deferred[int]) {}, 1, nil},
		{"values", func(d *Deferred[int]) { d.AddCallback(add(1)).AddCallback(add(10)) }, 12, nil},
		{"errors skip callbacks", func(d *Deferred[int]) { d.AddCallback(fail).AddCallback(add(1)) }, 0, errTest},
		{"values skip errbacks", func(d *Deferred[int]) { d.AddErrback(heal).AddCallback(add(1)) }, 2, nil},
		{"healed", func(d *Deferred[int]) { d.AddCallback(fail).AddErrback(heal).AddCallback(add(1)) }, 101, nil},
		{"both sees values", func(d *Deferred[int]) { d.AddBoth(func(v int, err error) (int, error) { return -v, err }) }, -1, nil},
		{"both sees errors", func(d *Deferred[int]) {
			d.AddCallback(fail).AddBoth(func(v int, err error) (int, error) { return 7, nil })
		}, 7, nil},
		{"chained", func(d *Deferred[int]) {
			d.Chain(func(v int) *Deferred[int] { return Succeed(v + 5) }).AddCallback(add(1))
		}, 7, nil},
		{"chained failure", func(d *Deferred[int]) { d.Chain(func(int) *Deferred[int] { return Fail[int](errTest) }) }, 0, errTest},
	} {
		for _, order := range []string{"before", "after", "split"} {
			t.Run(tc.name+"/"+order, func(t *testing.T) {
				d, fire := NewDeferred[int]()
				if order == "after" {
					fire(1, nil)
				}
				tc.build(d)
				fire(1, nil)
				fire(2, errTest) // does not count
				v, err := d.Wait(context.Background())
				require.Equal(t, tc.want, v)
				require.Equal(t, tc.err, err)
				<-d.Done()
				v, err = d.Result()
				require.Equal(t, tc.want, v)
				require.Equal(t, tc.err, err)
			})
		}
	}
}

func TestPanicBecomesError(t *testing.T) {
	for name, build := range map[string]func(*Deferred[int]) *Deferred[int]{
		"callback": func(d *Deferred[int]) *Deferred[int] { return d.AddCallback(func(int) (int, error) { panic(errTest) }) },
		"chain":    func(d *Deferred[int]) *Deferred[int] { return d.Chain(func(int) *Deferred[int] { panic(errTest) }) },
		"then":     func(d *Deferred[int]) *Deferred[int] { return Then(d, func(int) (int, error) { panic(errTest) }) },
		"then async": func(d *Deferred[int]) *Deferred[int] {
			return ThenAsync(d, func(int) *Deferred[int] { panic(errTest) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := build(Succeed(1)).Wait(context.Background())
			var p *PanicError
			require.ErrorAs(t, err, &p)
			require.ErrorIs(t, err, errTest)
			require.NotEmpty(t, p.Stack)
		})
	}
	_, err := Succeed(1).AddCallback(func(int) (int, error) { panic("x") }).AddErrback(func(err error) (int, error) { return 9, nil }).Result()
	require.NoError(t, err)
}

func TestNilChain(t *testing.T) {
	_, err := Succeed(1).Chain(func(int) *Deferred[int] { return nil }).Result()
	require.Error(t, err)
	_, err = ThenAsync(Succeed(1), func(int) *Deferred[int] { return nil }).Result()
	require.Error(t, err)
}

func TestWaitLeavesTheCallAlone(t *testing.T) {
	d, fire := NewDeferred[int]()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err := d.Wait(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = d.Result()
	require.ErrorIs(t, err, ErrPending)
	fire(3, nil)
	v, err := d.Wait(context.Background())
	require.NoError(t, err)
	require.Equal(t, 3, v)
}

func TestCancel(t *testing.T) {
	d, fire := NewDeferred[int]()
	d.Cancel()
	fire(1, nil)
	_, err := d.Wait(context.Background())
	require.ErrorIs(t, err, ErrCanceled)

	// A chained Deferred is cancelled in the place of the one that waits for it.
	inner, fireInner := NewDeferred[int]()
	outer := Succeed(1).Chain(func(int) *Deferred[int] { return inner })
	_, err = outer.Result()
	require.ErrorIs(t, err, ErrPending)
	outer.Cancel()
	fireInner(5, nil)
	_, err = outer.Wait(context.Background())
	require.ErrorIs(t, err, ErrCanceled)

	// Downstream cancels upstream.
	up, _ := NewDeferred[int]()
	Then(up, func(v int) (string, error) { return strconv.Itoa(v), nil }).Cancel()
	_, err = up.Result()
	require.ErrorIs(t, err, ErrCanceled)

	done := Succeed(1)
	done.Cancel()
	_, err = done.Result()
	require.NoError(t, err)
}

func TestThen(t *testing.T) {
	d, fire := NewDeferred[int]()
	s := Then(d, func(v int) (string, error) { return strconv.Itoa(v), nil })
	l := ThenAsync(s, func(v string) *Deferred[[]string] { return Succeed([]string{v, v}) })
	fire(4, nil)
	got, err := l.Wait(context.Background())
	require.NoError(t, err)
	require.Equal(t, []string{"4", "4"}, got)
	v, _ := d.Result()
	require.Equal(t, 4, v, "the result of the first stays")

	_, err = Then(Fail[int](errTest), func(int) (string, error) { t.Error("called"); return "", nil }).Result()
	require.ErrorIs(t, err, errTest)
}

func TestGather(t *testing.T) {
	ctx := context.Background()
	make3 := func() (ds []*Deferred[int], fire []func(int, error)) {
		for range 3 {
			d, f := NewDeferred[int]()
			ds, fire = append(ds, d), append(fire, f)
		}
		return ds, fire
	}
	ds, fire := make3()
	all := Gather(ds...)
	fire[2](3, nil)
	fire[0](0, errTest)
	_, err := all.Result()
	require.ErrorIs(t, err, ErrPending)
	fire[1](2, nil)
	out, err := all.Wait(ctx)
	require.NoError(t, err)
	require.Equal(t, []Outcome[int]{{0, errTest}, {2, nil}, {3, nil}}, out)

	ds, fire = make3()
	values := GatherValues(ds...)
	fire[1](2, nil)
	fire[0](0, errTest)
	_, err = values.Result()
	require.ErrorIs(t, err, errTest, "the first error counts at once")

	ds, fire = make3()
	first := GatherFirst(ds...)
	fire[1](0, errTest)
	fire[2](3, nil)
	v, err := first.Result()
	require.NoError(t, err)
	require.Equal(t, 3, v)

	ds, fire = make3()
	first = GatherFirst(ds...)
	for i, f := range fire {
		f(0, fmt.Errorf("%d: %w", i, errTest))
	}
	_, err = first.Result()
	require.ErrorIs(t, err, errTest)
	require.ErrorContains(t, err, "2: test")

	ds, _ = make3()
	all = Gather(ds...)
	all.Cancel()
	out, err = all.Wait(ctx)
	require.NoError(t, err)
	for _, o := range out {
		require.ErrorIs(t, o.Err, ErrCanceled)
	}
	none, err := GatherValues[int]().Result()
	require.NoError(t, err)
	require.Empty(t, none)
	_, err = GatherFirst[int]().Result()
	require.Error(t, err)
}

// Callbacks race with the firing; each runs once and in order.
func TestEachCallbackOnce(t *testing.T) {
	e := newExecutor(4)
	defer e.close()
	for range 2000 {
		d := &Deferred[int]{exec: e}
		var ran [8]atomic.Int32
		var order atomic.Int32
		var wg sync.WaitGroup
		wg.Add(2)
		go func() { defer wg.Done(); d.fire(0, nil) }()
		go func() {
			defer wg.Done()
			for i := range ran {
				d.AddCallback(func(v int) (int, error) {
					ran[i].Add(1)
					if order.Add(1) != int32(i+1) {
						t.Error("out of order")
					}
					return v + 1, nil
				})
			}
		}()
		wg.Wait()
		v, err := d.Wait(context.Background())
		require.NoError(t, err)
		require.Equal(t, len(ran), v)
		for i := range ran {
			require.EqualValues(t, 1, ran[i].Load())
		}
	}
}

func TestManyWaiters(t *testing.T) {
	for range 200 {
		d, fire := NewDeferred[int]()
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				ctx := context.Background()
				if i%2 == 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, time.Duration(i)*time.Microsecond)
					defer cancel()
				}
				v, err := d.Wait(ctx)
				if err == nil && v != 7 {
					t.Errorf("got %d", v)
				}
			}()
		}
		fire(7, nil)
		wg.Wait()
	}
}

func TestExpiry(t *testing.T) {
	now := time.Now().Unix() - 1451606400
	for _, tc := range []struct {
		ttl  time.Duration
		want int64
		ok   bool
	}{
		{0, 0, true}, {NoTTL, 0, true}, {-2, 0, false}, {time.Second, now + 1, true}, {time.Millisecond, now + 1, true},
		{100 * 365 * 24 * time.Hour, now + 100*365*24*3600, true},
		{200 * 365 * 24 * time.Hour, 0, false},
	} {
		got, ok := expiry(tc.ttl)
		require.Equal(t, tc.ok, ok, "%v", tc.ttl)
		require.InDelta(t, tc.want, int64(uint32(got)), 1, "%v", tc.ttl)
	}
}
