package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/test/fakekv"
)

// table gives the examples a table to work on: of a fake cluster, in the place of
// the addresses of a real one.
func table() (*client.Table, func()) {
	cluster, err := fakekv.New(fakekv.Options{})
	if err != nil {
		log.Fatal(err)
	}
	cluster.CreateTable("temp", 8)
	c, err := client.Open(context.Background(), cluster.Metas())
	if err != nil {
		log.Fatal(err)
	}
	return c.Table("temp"), func() { c.Close(); cluster.Close() }
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func Example() {
	cluster, err := fakekv.New(fakekv.Options{})
	check(err)
	defer cluster.Close()
	cluster.CreateTable("temp", 8)

	ctx := context.Background()
	c, err := client.Open(ctx, cluster.Metas()) // []string{"127.0.0.1:34601"}
	check(err)
	defer c.Close()
	t := c.Table("temp")

	check(t.Set(ctx, []byte("user-1"), []byte("name"), []byte("Ada")))
	v, err := t.Get(ctx, []byte("user-1"), []byte("name"))
	check(err)
	fmt.Printf("%s\n", v)
	_, err = t.Get(ctx, []byte("user-1"), []byte("age"))
	fmt.Println(errors.Is(err, client.ErrNotFound))

	d := t.GetAsync(ctx, []byte("user-1"), []byte("name"))
	d.AddCallback(func(v []byte) ([]byte, error) { return append([]byte("Hello "), v...), nil })
	d.AddErrback(func(err error) ([]byte, error) { return []byte("Hello nobody"), nil })
	v, err = d.Wait(ctx)
	check(err)
	fmt.Printf("%s\n", v)
	// Output:
	// Ada
	// true
	// Hello Ada
}

func ExampleTable_Get() {
	t, done := table()
	defer done()
	ctx := context.Background()
	check(t.Set(ctx, []byte("h"), []byte("s"), []byte("v")))
	v, err := t.Get(ctx, []byte("h"), []byte("s"))
	fmt.Printf("%s %v\n", v, err)
	_, err = t.Get(ctx, []byte("h"), []byte("none"))
	fmt.Println(errors.Is(err, client.ErrNotFound))
	// Output:
	// v <nil>
	// true
}

func ExampleTable_GetAsync() {
	t, done := table()
	defer done()
	ctx := context.Background()
	var all []*client.Deferred[[]byte]
	for i := range 3 {
		key := []byte(fmt.Sprint("h", i))
		check(t.Set(ctx, key, nil, []byte(fmt.Sprint("v", i))))
		all = append(all, t.GetAsync(ctx, key, nil))
	}
	values, err := client.GatherValues(all...).Wait(ctx)
	fmt.Printf("%s %v\n", values, err)
	// Output: [v0 v1 v2] <nil>
}

func ExampleTable_Set() {
	t, done := table()
	defer done()
	fmt.Println(t.Set(context.Background(), []byte("h"), []byte("s"), []byte("v")))
	// Output: <nil>
}

func ExampleTable_SetTTL() {
	t, done := table()
	defer done()
	fmt.Println(t.SetTTL(context.Background(), []byte("session"), nil, []byte("v"), time.Hour))
	// Output: <nil>
}

func ExampleTable_Exist() {
	t, done := table()
	defer done()
	fmt.Println(t.Exist(context.Background(), []byte("h"), []byte("s")))
	// Output: false <nil>
}

func ExampleTable_TTL() {
	t, done := table()
	defer done()
	ctx := context.Background()
	check(t.Set(ctx, []byte("h"), []byte("s"), []byte("v")))
	ttl, err := t.TTL(ctx, []byte("h"), []byte("s"))
	fmt.Println(ttl == client.NoTTL, err)
	// Output: true <nil>
}

func ExampleTable_Del() {
	t, done := table()
	defer done()
	fmt.Println(t.Del(context.Background(), []byte("h"), []byte("none")))
	// Output: <nil>
}

func ExampleTable_MultiSet() {
	t, done := table()
	defer done()
	err := t.MultiSet(context.Background(), []byte("user-1"), []client.Record{
		{SortKey: []byte("name"), Value: []byte("Ada")},
		{SortKey: []byte("born"), Value: []byte("1815")},
	})
	fmt.Println(err)
	// Output: <nil>
}

// people fills a hash key for the examples.
func people(t *client.Table) {
	for i, name := range []string{"Ada", "Bob", "Cid", "Dot"} {
		check(t.Set(context.Background(), []byte("people"), []byte(fmt.Sprint("p", i)), []byte(name)))
	}
}

func ExampleTable_MultiGet() {
	t, done := table()
	defer done()
	people(t)
	r, err := t.MultiGet(context.Background(), []byte("people"), [][]byte{[]byte("p3"), []byte("p0"), []byte("p9")}, client.MultiGetOptions{})
	check(err)
	for _, rec := range r.Records {
		fmt.Printf("%s=%s\n", rec.SortKey, rec.Value)
	}
	// Output:
	// p3=Dot
	// p0=Ada
}

func ExampleTable_MultiGetRange() {
	t, done := table()
	defer done()
	people(t)
	r, err := t.MultiGetRange(context.Background(), []byte("people"), client.RangeOptions{
		Range:           client.Range{Start: []byte("p1")},
		MultiGetOptions: client.MultiGetOptions{MaxCount: 2},
	})
	check(err)
	for _, rec := range r.Records {
		fmt.Printf("%s=%s\n", rec.SortKey, rec.Value)
	}
	fmt.Println("complete:", r.Complete)
	// Output:
	// p1=Bob
	// p2=Cid
	// complete: false
}

func ExampleTable_GetSortKeys() {
	t, done := table()
	defer done()
	people(t)
	k, err := t.GetSortKeys(context.Background(), []byte("people"), client.MultiGetOptions{})
	fmt.Printf("%s %v\n", k.SortKeys, err)
	// Output: [p0 p1 p2 p3] <nil>
}

func ExampleTable_SortKeyCount() {
	t, done := table()
	defer done()
	people(t)
	fmt.Println(t.SortKeyCount(context.Background(), []byte("people")))
	// Output: 4 <nil>
}

func ExampleTable_MultiDel() {
	t, done := table()
	defer done()
	people(t)
	ctx := context.Background()
	check(t.MultiDel(ctx, []byte("people"), [][]byte{[]byte("p0"), []byte("p1")}))
	fmt.Println(t.SortKeyCount(ctx, []byte("people")))
	// Output: 2 <nil>
}

func ExampleTable_DelRange() {
	t, done := table()
	defer done()
	people(t)
	fmt.Println(t.DelRange(context.Background(), []byte("people"), client.Range{Start: []byte("p1"), Stop: []byte("p3")}))
	// Output: 2 <nil>
}

func ExampleTable_Incr() {
	t, done := table()
	defer done()
	n, err := t.Incr(context.Background(), []byte("counters"), []byte("visits"), 1)
	if client.IsUnknownOutcome(err) {
		fmt.Println("read the counter before adding again")
	}
	fmt.Println(n, err)
	// Output: 1 <nil>
}

func ExampleTable_CheckAndSet() {
	t, done := table()
	defer done()
	ctx := context.Background()
	lock := client.Check{SortKey: []byte("lock"), Type: client.ValueNotExist, ReturnValue: true}
	for _, who := range []string{"a", "b"} {
		r, err := t.CheckAndSet(ctx, []byte("job"), lock, client.Put{SortKey: []byte("lock"), Value: []byte(who), TTL: time.Minute})
		check(err)
		fmt.Printf("%s: passed=%v holder=%q\n", who, r.Passed, r.Value)
	}
	// Output:
	// a: passed=true holder=""
	// b: passed=false holder="a"
}

func ExampleTable_CheckAndMutate() {
	t, done := table()
	defer done()
	ctx := context.Background()
	check(t.Set(ctx, []byte("account"), []byte("balance"), []byte("10")))
	r, err := t.CheckAndMutate(ctx, []byte("account"),
		client.Check{SortKey: []byte("balance"), Type: client.IntGreaterOrEqual, Operand: []byte("7")},
		[]client.Mutation{
			client.PutMutation([]byte("balance"), []byte("3"), 0),
			client.PutMutation([]byte("paid-order-1"), []byte("7"), 0),
		})
	fmt.Println(r.Passed, err)
	// Output: true <nil>
}

func ExampleTable_CompareExchange() {
	t, done := table()
	defer done()
	ctx := context.Background()
	check(t.Set(ctx, []byte("h"), []byte("s"), []byte("old")))
	r, err := t.CompareExchange(ctx, []byte("h"), []byte("s"), []byte("old"), []byte("new"), 0)
	fmt.Println(r.Exchanged, err)
	r, err = t.CompareExchange(ctx, []byte("h"), []byte("s"), []byte("old"), []byte("newer"), 0)
	fmt.Printf("%v %s %v\n", r.Exchanged, r.Actual, err)
	// Output:
	// true <nil>
	// false new <nil>
}

func ExampleTable_BatchGet() {
	t, done := table()
	defer done()
	ctx := context.Background()
	check(t.Set(ctx, []byte("a"), nil, []byte("1")))
	got, err := t.BatchGet(ctx, []client.Key{{HashKey: []byte("a")}, {HashKey: []byte("b")}})
	check(err)
	for _, g := range got {
		fmt.Printf("%q %v\n", g.Value, errors.Is(g.Err, client.ErrNotFound))
	}
	// Output:
	// "1" false
	// "" true
}

func ExampleTable_BatchSet() {
	t, done := table()
	defer done()
	errs, err := t.BatchSet(context.Background(), []client.Entry{
		{HashKey: []byte("a"), SortKey: []byte("s"), Value: []byte("1")},
		{HashKey: []byte("b"), SortKey: []byte("s"), Value: []byte("2"), TTL: time.Hour},
	})
	fmt.Println(errs, err)
	// Output: [<nil> <nil>] <nil>
}

func ExampleTable_BatchDel() {
	t, done := table()
	defer done()
	errs, err := t.BatchDel(context.Background(), []client.Key{{HashKey: []byte("a")}, {HashKey: []byte("b")}})
	fmt.Println(errs, err)
	// Output: [<nil> <nil>] <nil>
}

func ExampleTable_Scan() {
	t, done := table()
	defer done()
	people(t)
	s := t.Scan([]byte("people"), client.Range{Stop: []byte("p2")}, client.ScanOptions{})
	defer s.Close()
	for row, err := range s.Rows(context.Background()) {
		check(err)
		fmt.Printf("%s=%s\n", row.SortKey, row.Value)
	}
	// Output:
	// p0=Ada
	// p1=Bob
}

func ExampleTable_UnorderedScanners() {
	t, done := table()
	defer done()
	people(t)
	scanners, err := t.UnorderedScanners(context.Background(), 4, client.ScanOptions{NoValue: true})
	check(err)
	n := 0
	for _, s := range scanners { // one goroutine each, in earnest
		for _, err := range s.Rows(context.Background()) {
			check(err)
			n++
		}
		s.Close()
	}
	fmt.Println(n)
	// Output: 4
}

func ExampleScanner_NextAsync() {
	t, done := table()
	defer done()
	people(t)
	s := t.Scan([]byte("people"), client.Range{Start: []byte("p3")}, client.ScanOptions{})
	defer s.Close()
	row, err := s.NextAsync().Wait(context.Background())
	fmt.Printf("%s %v\n", row.Value, err)
	_, err = s.NextAsync().Wait(context.Background())
	fmt.Println(err == io.EOF)
	// Output:
	// Dot <nil>
	// true
}

func ExampleScanner_Cursor() {
	t, done := table()
	defer done()
	people(t)
	ctx := context.Background()
	s := t.Scan([]byte("people"), client.Range{}, client.ScanOptions{})
	_, err := s.Next(ctx)
	check(err)
	cursor := s.Cursor() // text, to be kept wherever you like
	s.Close()

	s, err = t.ResumeScan(cursor)
	check(err)
	defer s.Close()
	row, err := s.Next(ctx)
	fmt.Printf("%s %v\n", row.Value, err)
	// Output: Bob <nil>
}

func ExampleThen() {
	t, done := table()
	defer done()
	ctx := context.Background()
	check(t.Set(ctx, []byte("h"), []byte("s"), []byte("four")))
	length := client.Then(t.GetAsync(ctx, []byte("h"), []byte("s")), func(v []byte) (int, error) { return len(v), nil })
	fmt.Println(length.Wait(ctx))
	// Output: 4 <nil>
}

func ExampleThenAsync() {
	t, done := table()
	defer done()
	ctx := context.Background()
	key := []byte("h")
	d := client.ThenAsync(t.SetAsync(ctx, key, nil, []byte("v")), func(struct{}) *client.Deferred[[]byte] {
		return t.GetAsync(ctx, key, nil)
	})
	v, err := d.Wait(ctx)
	fmt.Printf("%s %v\n", v, err)
	// Output: v <nil>
}

func ExampleGather() {
	t, done := table()
	defer done()
	ctx := context.Background()
	check(t.Set(ctx, []byte("a"), nil, []byte("1")))
	all, _ := client.Gather(t.GetAsync(ctx, []byte("a"), nil), t.GetAsync(ctx, []byte("b"), nil)).Wait(ctx)
	for _, o := range all {
		fmt.Printf("%q %v\n", o.Value, errors.Is(o.Err, client.ErrNotFound))
	}
	// Output:
	// "1" false
	// "" true
}

func ExampleGatherFirst() {
	t, done := table()
	defer done()
	ctx := context.Background()
	check(t.Set(ctx, []byte("copy-2"), nil, []byte("v")))
	v, err := client.GatherFirst(t.GetAsync(ctx, []byte("copy-1"), nil), t.GetAsync(ctx, []byte("copy-2"), nil)).Wait(ctx)
	fmt.Printf("%s %v\n", v, err)
	// Output: v <nil>
}

func ExampleIsUnknownOutcome() {
	cluster, err := fakekv.New(fakekv.Options{})
	check(err)
	defer cluster.Close()
	cluster.CreateTable("temp", 8)
	ctx := context.Background()
	c, err := client.Open(ctx, cluster.Metas())
	check(err)
	defer c.Close()

	// The server adds, and the connection breaks before it can say so.
	cluster.Script(fakekv.Match{RPC: "INCR"}, 1, fakekv.Action{Apply: true, Disconnect: true})
	_, err = c.Table("temp").Incr(ctx, []byte("h"), []byte("s"), 1)
	fmt.Println(client.IsUnknownOutcome(err), cluster.Count("INCR"))
	// Output: true 1
}
