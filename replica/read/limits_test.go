package read_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
	"github.com/arionkv/arion/replica/read"
	"github.com/arionkv/arion/replica/record"
)

// fill stores records 0000, 0001, ... of hash key h; the first dead are expired.
func (p *part) fill(t testing.TB, n, dead int, value string) {
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{hash: "h", sort: fmt.Sprintf("%04d", i), value: value}
		if i < dead {
			rows[i].expire = 1
		}
	}
	p.storeRows(t, rows)
}

// TestExpiredRecordsCountAsExamined is what the C++ client's range tests want.
func TestExpiredRecordsCountAsExamined(t *testing.T) {
	tests := []struct {
		dead          int
		limit         int32
		status, count int
	}{
		{3000, 3500, 7, 0}, {500, 3500, 7, 2500}, {2950, 100, 7, 50}, {2950, 10, 7, 10}, {0, 0, 7, 3000}, {0, 5000, 7, 3000},
	}
	n := newNode(t, mem.Opener{}, 1000)
	for i, tt := range tests {
		p := n.part(1, int32(i))
		p.fill(t, 4000, tt.dead, "v")
		resp, err := p.MultiGet(n.view(p), &rrdb.MultiGetRequest{HashKey: text("h"), StartInclusive: true, MaxKvCount: tt.limit})
		require.NoError(t, err)
		require.EqualValues(t, tt.status, resp.Error, "%+v", tt)
		require.Len(t, resp.Kvs, tt.count, "%+v", tt)

		count, err := p.SortKeyCount(n.view(p), []byte("h"))
		require.NoError(t, err)
		require.EqualValues(t, 4000-tt.dead, count.Count)
		require.Equal(t, 4000-tt.dead, n.scanAll(p, &rrdb.GetScannerRequest{BatchSize: 100}))
	}
}

// scanAll reads a scan of the whole partition to its end and counts.
func (n *node) scanAll(p *part, req *rrdb.GetScannerRequest) (records int) {
	req.StartKey, req.StopKey = text("\x00\x00"), text("\xff\xff")
	resp, err := p.GetScanner(n.view(p), req)
	for {
		require.NoError(n.t, err)
		require.Zero(n.t, resp.Error)
		records += len(resp.Kvs)
		if resp.ContextID == -1 {
			return records
		}
		resp, err = p.Scan(n.view(p), &rrdb.ScanRequest{ContextID: resp.ContextID})
	}
}

func TestReplySizeIsBounded(t *testing.T) {
	n := newNode(t, mem.Opener{}, 1000)
	n.limits.Bytes, n.limits.ScanBytes = 10_000, 5_000
	p := n.part(1, 0)
	p.fill(t, 50, 0, strings.Repeat("v", 996)) // 1000 bytes with the sort key

	resp, err := p.MultiGet(n.view(p), &rrdb.MultiGetRequest{HashKey: text("h"), MaxKvSize: 1 << 30})
	require.NoError(t, err)
	require.EqualValues(t, 7, resp.Error)
	require.Len(t, resp.Kvs, 10)

	points, batch := &rrdb.MultiGetRequest{HashKey: text("h")}, &rrdb.BatchGetRequest{}
	for i := range 50 {
		sort := text(fmt.Sprintf("%04d", i))
		points.SortKeys = append(points.SortKeys, sort)
		batch.Keys = append(batch.Keys, &rrdb.FullKey{HashKey: text("h"), SortKey: sort})
	}
	resp, err = p.MultiGet(n.view(p), points)
	require.NoError(t, err)
	require.EqualValues(t, 7, resp.Error)
	require.Len(t, resp.Kvs, 10)
	data, err := p.BatchGet(n.view(p), batch)
	require.NoError(t, err)
	require.EqualValues(t, 7, data.Error)
	require.Len(t, data.Data, 10)

	scan, err := p.GetScanner(n.view(p), &rrdb.GetScannerRequest{StartKey: text("\x00\x00")})
	require.NoError(t, err)
	require.Len(t, scan.Kvs, 5)
	require.Positive(t, scan.ContextID)
	require.Equal(t, 50, n.scanAll(p, &rrdb.GetScannerRequest{}))
	require.Equal(t, 50, n.scanAll(p, &rrdb.GetScannerRequest{NoValue: true}))

	n.limits.ScanBytes = 1 // still one record at a time
	require.Equal(t, 50, n.scanAll(p, &rrdb.GetScannerRequest{}))
}

// TestManyPoints goes through several chunks of keys.
func TestManyPoints(t *testing.T) {
	n := newNode(t, mem.Opener{}, 1000)
	p := n.part(1, 0)
	p.fill(t, 4000, 0, "v")
	req := &rrdb.MultiGetRequest{HashKey: text("h")}
	for i := range 8000 { // every other key exists
		req.SortKeys = append(req.SortKeys, text(fmt.Sprintf("%04d%s", i/2, strings.Repeat("x", i%2))))
	}
	resp, err := p.MultiGet(n.view(p), req)
	require.NoError(t, err)
	require.EqualValues(t, 7, resp.Error, "3000 is the most")
	require.Len(t, resp.Kvs, 3000)
	for i, kv := range resp.Kvs {
		require.Equal(t, fmt.Sprintf("%04d", i), string(kv.Key.Data))
	}
	req.SortKeys = req.SortKeys[:6000]
	resp, err = p.MultiGet(n.view(p), req)
	require.NoError(t, err)
	require.Zero(t, resp.Error, "no further record exists")
	require.Len(t, resp.Kvs, 3000)
}

// TestTimeLimit has a clock that moves a second per look.
func TestTimeLimit(t *testing.T) {
	n := newNode(t, mem.Opener{}, 1000)
	n.limits.Time = time.Second
	p := n.part(1, 0)
	p.fill(t, 2500, 0, "v")
	clock := time.Unix(0, 0)
	p.Clock = func() time.Time { clock = clock.Add(time.Second); return clock }
	v := n.view(p)

	resp, err := p.MultiGet(v, &rrdb.MultiGetRequest{HashKey: text("h")})
	require.NoError(t, err)
	require.EqualValues(t, 7, resp.Error)
	require.NotEmpty(t, resp.Kvs, "a page is read however late it is")
	require.Less(t, len(resp.Kvs), 2500)

	count, err := p.SortKeyCount(v, []byte("h"))
	require.NoError(t, err)
	require.Zero(t, count.Error)
	require.EqualValues(t, -1, count.Count)

	v.Limits.ScanRows = 2000
	scan, err := p.GetScanner(v, &rrdb.GetScannerRequest{StartKey: text("\x00\x00")})
	require.NoError(t, err)
	require.EqualValues(t, 7, scan.Error)
	require.NotEmpty(t, scan.Kvs)
	require.Zero(t, scan.ContextID)
	require.Zero(t, p.Contexts.Len())

	v.Limits.Time = 0 // none
	count, err = p.SortKeyCount(v, []byte("h"))
	require.NoError(t, err)
	require.EqualValues(t, 2500, count.Count)
	v.Limits.Time = time.Hour
	resp, err = p.MultiGet(v, &rrdb.MultiGetRequest{HashKey: text("h")})
	require.NoError(t, err)
	require.Zero(t, resp.Error)
}

func TestHashKeyTooLong(t *testing.T) {
	n := newNode(t, mem.Opener{}, 1000)
	p, v := n.part(1, 0), n.view(n.part(1, 0))
	long := strings.Repeat("x", key.MaxHashKeyLen+1)
	multi, err := p.MultiGet(v, &rrdb.MultiGetRequest{HashKey: text(long)})
	require.NoError(t, err)
	require.EqualValues(t, 4, multi.Error)
	count, err := p.SortKeyCount(v, []byte(long))
	require.NoError(t, err)
	require.EqualValues(t, 4, count.Error)
	batch, err := p.BatchGet(v, &rrdb.BatchGetRequest{Keys: []*rrdb.FullKey{{}, {HashKey: text(long)}}})
	require.NoError(t, err)
	require.EqualValues(t, 4, batch.Error)
	scan, err := p.GetScanner(v, &rrdb.GetScannerRequest{HashKeyFilterType: 2, HashKeyFilterPattern: text(long)})
	require.NoError(t, err)
	require.EqualValues(t, -1, scan.ContextID, "nothing can match")
	scan, err = p.GetScanner(v, &rrdb.GetScannerRequest{SortKeyFilterPattern: text(strings.Repeat("x", 3<<20))})
	require.NoError(t, err)
	require.EqualValues(t, 4, scan.Error, "no room for such patterns")
}

// TestAbsentFields: a request of nothing but defaults is answered.
func TestAbsentFields(t *testing.T) {
	n := newNode(t, mem.Opener{}, 1000)
	p, v := n.part(1, 0), n.view(n.part(1, 0))
	_, err := p.MultiGet(v, &rrdb.MultiGetRequest{SortKeys: []*base.Blob{nil}})
	require.NoError(t, err)
	_, err = p.MultiGet(v, &rrdb.MultiGetRequest{})
	require.NoError(t, err)
	_, err = p.BatchGet(v, &rrdb.BatchGetRequest{Keys: []*rrdb.FullKey{{}}})
	require.NoError(t, err)
	_, err = p.GetScanner(v, &rrdb.GetScannerRequest{})
	require.NoError(t, err)
	p.ClearScanner(0)
}

// broken is a source that fails or lies.
type broken struct {
	err   error
	value []byte
}

func (s broken) Get(_, dst []byte) ([]byte, bool, error) {
	return append(dst, s.value...), s.err == nil, s.err
}

func (s broken) MultiGet(keys [][]byte, p *engine.Page) error {
	p.Reset()
	for range keys {
		p.Append(nil, s.value)
	}
	return s.err
}

func (s broken) NewIter(engine.IterOptions) (engine.Iter, error) { return s, nil }

func (s broken) Next(_, _ int, p *engine.Page) error {
	p.Reset()
	p.Append([]byte{0, 1, 'h'}, s.value)
	return s.err
}

func (broken) Close() {}

func TestStorageErrors(t *testing.T) {
	disk := errors.New("disk")
	tests := []struct {
		source broken
		status int32
		err    error
	}{
		{broken{err: disk}, 5, disk},
		{broken{err: fmt.Errorf("block: %w", engine.ErrCorruption)}, 2, engine.ErrCorruption},
		{broken{err: engine.ErrClosed}, 8, engine.ErrClosed},
		{broken{value: []byte("no record")}, 2, engine.ErrCorruption},
	}
	n := newNode(t, mem.Opener{}, 1000)
	p := n.part(1, 0)
	for _, tt := range tests {
		v := read.View{Engine: tt.source, NowSec: 1000, Limits: read.DefaultLimits()}
		check := func(status int32, err error) {
			t.Helper()
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.status, status)
		}
		k := []byte{0, 1, 'h'}
		get, err := p.Get(v, k, nil)
		check(get.Error, err)
		require.Empty(t, get.Value.Data)
		ttl, err := p.TTL(v, k)
		check(ttl.Error, err)
		multi, err := p.MultiGet(v, &rrdb.MultiGetRequest{HashKey: text("h")})
		check(multi.Error, err)
		multi, err = p.MultiGet(v, &rrdb.MultiGetRequest{HashKey: text("h"), SortKeys: []*base.Blob{text("s")}})
		check(multi.Error, err)
		batch, err := p.BatchGet(v, &rrdb.BatchGetRequest{Keys: []*rrdb.FullKey{{HashKey: text("h")}}})
		check(batch.Error, err)
		count, err := p.SortKeyCount(v, []byte("h"))
		check(count.Error, err)
		scan, err := p.GetScanner(v, &rrdb.GetScannerRequest{})
		check(scan.Error, err)
		require.Zero(t, scan.ContextID)
	}
}

// TestRepliesOwnTheirMemory: another request reuses the page, the first reply
// stays as it was; and requests may be overwritten while a scan waits.
func TestRepliesOwnTheirMemory(t *testing.T) {
	n := newNode(t, mem.Opener{}, 1000)
	p := n.part(1, 0)
	p.fill(t, 20, 0, "value")
	v := n.view(p)
	req := &rrdb.GetScannerRequest{
		StartKey: text("\x00\x00"), StopKey: text("\xff\xff"), BatchSize: 5,
		SortKeyFilterType: 2, SortKeyFilterPattern: text("00"),
	}
	first, err := p.GetScanner(v, req)
	require.NoError(t, err)
	for _, b := range []*base.Blob{req.StartKey, req.StopKey, req.SortKeyFilterPattern} {
		clear(b.Data)
	}
	want := records(0, first.Kvs)
	second, err := p.Scan(v, &rrdb.ScanRequest{ContextID: first.ContextID})
	require.NoError(t, err)
	require.Len(t, second.Kvs, 5)
	require.Equal(t, want, records(0, first.Kvs))
	require.NotEqual(t, want, records(0, second.Kvs))
}

// canned is a source of the same rows again and again, which allocates nothing.
type canned struct {
	broken
	rows int
	sent bool
}

func (s *canned) NewIter(engine.IterOptions) (engine.Iter, error) { s.sent = false; return s, nil }

func (s *canned) Next(maxRows, _ int, p *engine.Page) error {
	p.Reset()
	for range min(maxRows, s.rows) {
		if !s.sent {
			p.Append([]byte{0, 1, 'h', 's'}, s.value)
		}
	}
	s.sent = true
	return nil
}

// TestAllocations keeps reads cheap: a get into a given buffer, and a batch of
// any number of rows.
func TestAllocations(t *testing.T) {
	n := newNode(t, mem.Opener{}, 1000)
	p := n.part(1, 0)
	source := &canned{rows: 1000, broken: broken{value: record.Append(nil, record.Header{}, []byte("value"))}}
	v := read.View{Engine: source, NowSec: 1000, Limits: read.DefaultLimits()}
	k, dst := key.Append(nil, []byte("h"), []byte("s")), make([]byte, 0, 100)
	if got := testing.AllocsPerRun(100, func() { _, _ = p.Get(v, k, dst) }); got > 1 {
		t.Errorf("get: %v allocations", got)
	}
	// What is not pooled is of the request: its range, filter and iterator. A pool
	// under the race detector forgets.
	const perRequest = 20
	var out []byte
	answer := func(reply *read.RangeReply, err error) {
		if err != nil || reply.Status() != code.StatusOK {
			t.Error(reply, err)
		}
		out = frame.AppendMessage(out[:0], reply)
		reply.Release()
	}
	multi := &rrdb.MultiGetRequest{HashKey: text("h")}
	if got := testing.AllocsPerRun(100, func() { answer(p.Reader.MultiGet(v, multi)) }); got > perRequest {
		t.Errorf("multi_get of %d: %v allocations", source.rows, got)
	}
	yes := true
	full := &rrdb.GetScannerRequest{StartKey: text("\x00\x00"), FullScan: &yes, ReturnExpireTs: &yes}
	if got := testing.AllocsPerRun(100, func() { answer(p.Reader.GetScanner(v, full)) }); got > perRequest {
		t.Errorf("scan of %d: %v allocations", source.rows, got)
	}
	points := &rrdb.MultiGetRequest{HashKey: text("h"), SortKeys: make([]*base.Blob, 100)}
	for i := range points.SortKeys {
		points.SortKeys[i] = text(fmt.Sprint(i))
	}
	if got := testing.AllocsPerRun(100, func() { answer(p.Reader.MultiGet(v, points)) }); got > perRequest {
		t.Errorf("multi_get of %d sort keys: %v allocations", len(points.SortKeys), got)
	}
	if got := testing.AllocsPerRun(100, func() { _, _ = p.SortKeyCount(v, []byte("h")) }); got > 100 {
		t.Errorf("sortkey_count: %v allocations", got)
	}
}

func BenchmarkMultiGetPoints100(b *testing.B) {
	req := &rrdb.MultiGetRequest{HashKey: text("h"), SortKeys: make([]*base.Blob, 100)}
	for i := range req.SortKeys {
		req.SortKeys[i] = text(fmt.Sprint(i))
	}
	benchmarkReply(b, func(r *read.Reader, v read.View) (*read.RangeReply, error) { return r.MultiGet(v, req) })
}

func BenchmarkMultiGet1000(b *testing.B) {
	req := &rrdb.MultiGetRequest{HashKey: text("h")}
	benchmarkReply(b, func(r *read.Reader, v read.View) (*read.RangeReply, error) { return r.MultiGet(v, req) })
}

func BenchmarkScan1000(b *testing.B) {
	yes := true
	req := &rrdb.GetScannerRequest{StartKey: text("\x00\x00"), FullScan: &yes}
	benchmarkReply(b, func(r *read.Reader, v read.View) (*read.RangeReply, error) { return r.GetScanner(v, req) })
}

// benchmarkReply reads and encodes; the engine costs nothing.
func benchmarkReply(b *testing.B, answer func(*read.Reader, read.View) (*read.RangeReply, error)) {
	source := &canned{rows: 1000, broken: broken{value: record.Append(nil, record.Header{}, make([]byte, 100))}}
	r := &read.Reader{Contexts: read.NewContextTable(read.ContextOptions{}).Partition()}
	v := read.View{Engine: source, NowSec: 1000, Limits: read.DefaultLimits()}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		reply, err := answer(r, v)
		if err != nil || reply.Status() != code.StatusOK {
			b.Fatal(err)
		}
		out = frame.AppendMessage(out[:0], reply)
		reply.Release()
	}
}
