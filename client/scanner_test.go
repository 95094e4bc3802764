package client_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/test/fakekv"
)

// fill stores n records under one hash key, s0000 and so on.
func fill(c *fakekv.Cluster, hash string, n int) (want []string) {
	for i := range n {
		sort := fmt.Sprintf("s%04d", i)
		c.Put("temp", b(hash), b(sort), b("v"+sort))
		want = append(want, sort)
	}
	return want
}

// same compares without printing thousands of keys.
func same(t *testing.T, want, got []string) {
	t.Helper()
	count := map[string]int{}
	for _, k := range want {
		count[k]++
	}
	for _, k := range got {
		count[k]--
	}
	lost, doubled := []string{}, []string{}
	for k, n := range count {
		if n > 0 {
			lost = append(lost, k)
		} else if n < 0 {
			doubled = append(doubled, k)
		}
	}
	if len(lost)+len(doubled) > 0 {
		t.Fatalf("%d lost such as %.5q, %d twice such as %.5q", len(lost), lost[:min(5, len(lost))], len(doubled), doubled[:min(5, len(doubled))])
	}
	for i := range want {
		if want[i] != got[i] {
			t.Fatalf("record %d: got %q, want %q", i, got[i], want[i])
		}
	}
}

func collect(t *testing.T, s *client.Scanner) (got []string) {
	t.Helper()
	for row, err := range s.Rows(background(t)) {
		require.NoError(t, err)
		got = append(got, string(row.SortKey))
	}
	return got
}

func TestScan(t *testing.T) {
	c, tab := setup(t)
	want := fill(c, "h", 950)
	fill(c, "i", 10)
	fill(c, "g", 10)
	for _, size := range []int{0, 1, 7, 949, 950, 951} {
		got := collect(t, tab.Scan(b("h"), client.Range{}, client.ScanOptions{PageSize: size}))
		same(t, want, got)
	}
	require.Equal(t, want[10:20], collect(t, tab.Scan(b("h"), client.Range{Start: b("s0010"), Stop: b("s0020")}, client.ScanOptions{PageSize: 3})))
	require.Equal(t, want[11:21], collect(t, tab.Scan(b("h"), client.Range{Start: b("s0010"), StartExclusive: true, Stop: b("s0020"), StopInclusive: true}, client.ScanOptions{PageSize: 3})))
	require.Equal(t, []string{"s0123"}, collect(t, tab.Scan(b("h"), client.Range{Filter: client.Filter{Type: client.MatchPostfix, Pattern: b("123")}}, client.ScanOptions{PageSize: 10})),
		"most pages are empty")
	require.Empty(t, collect(t, tab.Scan(b("h"), client.Range{Start: b("t")}, client.ScanOptions{})))
	require.Empty(t, collect(t, tab.Scan(b("none"), client.Range{}, client.ScanOptions{})))
	require.Zero(t, c.OpenScans(), "scans that ended leave nothing")

	s := tab.Scan(b("h"), client.Range{}, client.ScanOptions{NoValue: true})
	row, err := s.Next(background(t))
	require.NoError(t, err)
	require.Equal(t, "h", string(row.HashKey))
	require.Empty(t, row.Value)
}

func TestScanCloseFreesTheServer(t *testing.T) {
	for _, prefetch := range []bool{false, true} {
		t.Run(fmt.Sprint("prefetch=", prefetch), func(t *testing.T) {
			c, tab := setup(t)
			fill(c, "h", 100)
			s := tab.Scan(b("h"), client.Range{}, client.ScanOptions{PageSize: 10, NoPrefetch: !prefetch})
			_, err := s.Next(background(t))
			require.NoError(t, err)
			require.NoError(t, s.Close())
			require.NoError(t, s.Close())
			eventually(t, func() bool { return c.OpenScans() == 0 }, "context freed")
			_, err = s.Next(background(t))
			require.ErrorIs(t, err, client.ErrScannerClosed)
		})
	}
}

func TestPrefetch(t *testing.T) {
	c, tab := setup(t)
	fill(c, "h", 30)
	s := tab.Scan(b("h"), client.Range{}, client.ScanOptions{PageSize: 10})
	defer s.Close()
	_, err := s.Next(background(t))
	require.NoError(t, err)
	eventually(t, func() bool { return c.Count("SCAN") == 1 }, "the second page is asked for")
	s2 := tab.Scan(b("h"), client.Range{}, client.ScanOptions{PageSize: 10, NoPrefetch: true})
	defer s2.Close()
	_, err = s2.Next(background(t))
	require.NoError(t, err)
	time.Sleep(20 * time.Millisecond)
	require.Equal(t, 1, c.Count("SCAN"))
}

func TestScanAsync(t *testing.T) {
	c, tab := setup(t)
	want := fill(c, "h", 25)
	s := tab.Scan(b("h"), client.Range{}, client.ScanOptions{PageSize: 10})
	var ds []*client.Deferred[client.Row]
	for range 26 { // all asked for before any has come
		ds = append(ds, s.NextAsync())
	}
	for i, sort := range want {
		row, err := ds[i].Wait(background(t))
		require.NoError(t, err)
		require.Equal(t, sort, string(row.SortKey))
	}
	_, err := ds[25].Wait(background(t))
	require.ErrorIs(t, err, io.EOF)

	s = tab.Scan(b("h"), client.Range{}, client.ScanOptions{PageSize: 10})
	sizes := []int{}
	for {
		rows, err := s.NextPageAsync().Wait(background(t))
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		sizes = append(sizes, len(rows))
	}
	require.Equal(t, []int{10, 10, 5}, sizes)
}

// A row that nobody took because its caller left is not lost.
func TestCancelledNextLosesNothing(t *testing.T) {
	c, tab := setup(t)
	want := fill(c, "h", 50)
	s := tab.Scan(b("h"), client.Range{}, client.ScanOptions{PageSize: 3})
	c.Script(fakekv.Match{RPC: "SCAN"}, 0, fakekv.Action{Delay: 2 * time.Millisecond})
	var got []string
	for {
		ctx, cancel := context.WithTimeout(background(t), time.Duration(rand.IntN(3000))*time.Microsecond)
		row, err := s.Next(ctx)
		cancel()
		if err == io.EOF {
			break
		}
		if err == nil {
			got = append(got, string(row.SortKey))
		}
	}
	same(t, want, got)
}

func unordered(t *testing.T, c *fakekv.Cluster, n int) (want []string) {
	for i := range n {
		hash, sort := fmt.Sprint("h", i%97), fmt.Sprintf("s%05d", i)
		c.Put("temp", b(hash), b(sort), b("v"))
		want = append(want, hash+"/"+sort)
	}
	sort.Strings(want)
	return want
}

func TestUnorderedScanners(t *testing.T) {
	c, tab := setup(t)
	want := unordered(t, c, 2000)
	for _, split := range []int{1, 3, 8, 100} {
		scanners, err := tab.UnorderedScanners(background(t), split, client.ScanOptions{PageSize: 50})
		require.NoError(t, err)
		require.Len(t, scanners, min(split, 8))
		var mu sync.Mutex
		var got []string
		var wg sync.WaitGroup
		for _, s := range scanners {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for row, err := range s.Rows(background(t)) {
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					got = append(got, string(row.HashKey)+"/"+string(row.SortKey))
					mu.Unlock()
				}
			}()
		}
		wg.Wait()
		sort.Strings(got)
		same(t, want, got)
	}
}

// Rows that serve again stay as they are until the scanner is asked for more,
// whatever it fetches meanwhile.
func TestScanReuse(t *testing.T) {
	c, tab := setup(t)
	want := unordered(t, c, 1000)
	value := func(key string) string { return strings.Repeat(key, len(key)%5*1000) } // pages with memory of their own, and without
	for _, k := range want {
		hash, sort, _ := strings.Cut(k, "/")
		c.Put("temp", b(hash), b(sort), b(value(k)))
	}
	for _, limit := range []int{0, 1, 7} {
		scanners, err := tab.UnorderedScanners(background(t), 1, client.ScanOptions{PageSize: 20, Reuse: true})
		require.NoError(t, err)
		s := scanners[0]
		var got []string
		for {
			rows, err := s.NextPageOf(background(t), limit)
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			eventually(t, s.Resting, "pages fetched ahead")
			for _, r := range rows {
				k := string(r.HashKey) + "/" + string(r.SortKey)
				got = append(got, k)
				if string(r.Value) != value(k) {
					t.Fatalf("value of %s is damaged: %.50q", k, r.Value)
				}
			}
		}
		_, err = s.Next(background(t))
		require.ErrorIs(t, err, io.EOF)
		sort.Strings(got)
		same(t, want, got)
	}
}

// Through everything that can happen to a scan, each record comes exactly once.
func TestScanThroughFaults(t *testing.T) {
	faults := map[string]func(c *fakekv.Cluster, i int){
		"contexts forgotten": func(c *fakekv.Cluster, i int) { c.ForgetScans() },
		"leaders move": func(c *fakekv.Cluster, i int) {
			for p := range 8 {
				c.MoveLeader("temp", p)
			}
		},
		"connections cut": func(c *fakekv.Cluster, i int) { c.Node(i % 3).DropConnections() },
		"answers lost": func(c *fakekv.Cluster, i int) {
			c.Script(fakekv.Match{RPC: "SCAN"}, 1, fakekv.Action{Disconnect: true, Apply: true})
		},
		"busy": func(c *fakekv.Cluster, i int) {
			c.Script(fakekv.Match{RPC: "SCAN"}, 1, fakekv.Action{Error: "ERR_BUSY"})
		},
		"restart": func(c *fakekv.Cluster, i int) { c.Node(i % 3).Stop(); _ = c.Node(i % 3).Start() },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			c, tab := setup(t)
			want := unordered(t, c, 1000)
			scanners, err := tab.UnorderedScanners(background(t), 1, client.ScanOptions{PageSize: 20})
			require.NoError(t, err)
			var got []string
			for row, err := range scanners[0].Rows(background(t)) {
				require.NoError(t, err)
				got = append(got, string(row.HashKey)+"/"+string(row.SortKey))
				if len(got)%50 == 0 {
					fault(c, len(got)/50)
				}
			}
			sort.Strings(got)
			same(t, want, got)

			ordered := fill(c, "ordered", 300)
			s := tab.Scan(b("ordered"), client.Range{}, client.ScanOptions{PageSize: 20})
			var keys []string
			for row, err := range s.Rows(background(t)) {
				require.NoError(t, err)
				keys = append(keys, string(row.SortKey))
				if len(keys)%30 == 0 {
					fault(c, len(keys)/30)
				}
			}
			require.Equal(t, ordered, keys)
		})
	}
}

// Partitions split under a scan, once or twice, at any point.
func TestScanThroughSplits(t *testing.T) {
	for _, at := range [][]int{{0}, {1}, {250}, {999}, {100, 600}, {0, 0}, {300, 300}, {999, 999}} {
		for _, prefetch := range []bool{false, true} {
			t.Run(fmt.Sprint(at, prefetch), func(t *testing.T) {
				c, tab := setup(t)
				want := unordered(t, c, 1000)
				scanners, err := tab.UnorderedScanners(background(t), 3, client.ScanOptions{PageSize: 20, NoPrefetch: !prefetch})
				require.NoError(t, err)
				var got []string
				splits := at
				for _, s := range scanners {
					for {
						for len(splits) > 0 && len(got) >= splits[0] {
							c.Split("temp")
							splits = splits[1:]
						}
						row, err := s.Next(background(t))
						if err == io.EOF {
							break
						}
						require.NoError(t, err)
						got = append(got, string(row.HashKey)+"/"+string(row.SortKey))
					}
				}
				sort.Strings(got)
				same(t, want, got)
			})
		}
	}
}

func TestCursor(t *testing.T) {
	c, tab := setup(t)
	want := unordered(t, c, 500)
	scanners, err := tab.UnorderedScanners(background(t), 1, client.ScanOptions{PageSize: 30})
	require.NoError(t, err)
	s := scanners[0]
	var got []string
	for i := 0; ; i++ {
		if i%17 == 0 { // a new process each time
			cursor := s.Cursor()
			require.NoError(t, s.Close())
			s, err = open(t, c).Table("temp").ResumeScan(cursor)
			require.NoError(t, err)
		}
		if i == 200 {
			c.Split("temp")
		}
		row, err := s.Next(background(t))
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		got = append(got, string(row.HashKey)+"/"+string(row.SortKey))
	}
	sort.Strings(got)
	same(t, want, got)
	end, err := tab.ResumeScan(s.Cursor())
	require.NoError(t, err)
	_, err = end.Next(background(t))
	require.ErrorIs(t, err, io.EOF)

	ordered := fill(c, "o", 100)
	o := tab.Scan(b("o"), client.Range{Start: b("s0010"), Stop: b("s0090")}, client.ScanOptions{PageSize: 7})
	for range 25 {
		_, err := o.Next(background(t))
		require.NoError(t, err)
	}
	rest, err := tab.ResumeScan(o.Cursor())
	require.NoError(t, err)
	require.Equal(t, ordered[35:90], collect(t, rest))
}

func TestBadCursors(t *testing.T) {
	c, tab := setup(t)
	other := open(t, c).Table("other").Scan(b("h"), client.Range{}, client.ScanOptions{}).Cursor()
	for _, cursor := range []client.Cursor{"", "!", "e30", "bnVsbA", other} {
		_, err := tab.ResumeScan(cursor)
		require.ErrorIs(t, err, client.ErrInvalidArgument, "%q", cursor)
	}
}

func FuzzCursor(f *testing.F) {
	tab := (&client.Client{}).TableForTest("temp")
	seed, err := base64.RawURLEncoding.DecodeString(string(tab.Scan(b("h"), client.Range{}, client.ScanOptions{}).Cursor()))
	require.NoError(f, err)
	f.Add(seed)
	f.Fuzz(func(t *testing.T, inside []byte) {
		sc, err := tab.ResumeScan(client.Cursor(base64.RawURLEncoding.EncodeToString(inside)))
		if err != nil {
			return
		}
		again, err := tab.ResumeScan(sc.Cursor())
		require.NoError(t, err)
		require.Equal(t, sc.Cursor(), again.Cursor())
	})
}

// An error is not the end: the next call goes on from the same place.
func TestScanErrorIsNotTheEnd(t *testing.T) {
	c, tab := setup(t)
	want := fill(c, "h", 50)
	s := tab.Scan(b("h"), client.Range{}, client.ScanOptions{PageSize: 10, NoPrefetch: true})
	var got []string
	for range 15 {
		row, err := s.Next(background(t))
		require.NoError(t, err)
		got = append(got, string(row.SortKey))
	}
	r1 := c.Script(fakekv.Match{RPC: "SCAN"}, 0, fakekv.Action{Error: "ERR_ACL_DENY"})
	r2 := c.Script(fakekv.Match{RPC: "GET_SCANNER"}, 0, fakekv.Action{Error: "ERR_ACL_DENY"})
	for err := error(nil); err == nil; {
		var row client.Row
		if row, err = s.Next(background(t)); err == nil {
			got = append(got, string(row.SortKey))
		} else {
			require.ErrorIs(t, err, client.ErrDenied)
		}
	}
	r1.Remove()
	r2.Remove()
	require.Equal(t, want, append(got, collect(t, s)...))
}
