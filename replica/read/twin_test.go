package read_test

import (
	"cmp"
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
	"github.com/arionkv/arion/replica/record"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests, 0 = from the time")

// row is a stored record, expired or not.
type row struct {
	hash, sort, value string
	expire            uint32
}

func (x row) encoded() string { return string(key.Append(nil, []byte(x.hash), []byte(x.sort))) }

// twin says the range reads a second time: a sorted slice, looked at row by row.
type twin struct {
	rows []row // in order of encoded keys
	now  uint32
}

func (w *twin) dead(x row) bool { return x.expire > 0 && x.expire <= w.now }

func passes(t rrdb.FilterType, pattern, s string) bool {
	switch t {
	case 1:
		return strings.Contains(s, pattern)
	case 2:
		return strings.HasPrefix(s, pattern)
	case 3:
		return strings.HasSuffix(s, pattern)
	}
	return true
}

// within is the definition of a range by its four request fields.
func within(s, start, stop string, startIncl, stopIncl bool) bool {
	low := s > start || s == start && startIncl
	return low && (s < stop || s == stop && stopIncl)
}

func (w *twin) multiGet(req *rrdb.MultiGetRequest, maxRows, maxExamined, maxBytes int) (status int32, got []row) {
	start, stop := string(req.StartSortkey.Data), string(req.StopSortkey.Data)
	pattern := string(req.SortKeyFilterPattern.Data)
	var in []row
	for _, x := range w.rows {
		inRange := x.hash == string(req.HashKey.Data) && (x.sort > start || x.sort == start && req.StartInclusive)
		if stop != "" {
			inRange = inRange && within(x.sort, start, stop, req.StartInclusive, req.StopInclusive)
		}
		if req.SortKeyFilterType == 2 {
			inRange = inRange && strings.HasPrefix(x.sort, pattern)
		}
		if inRange {
			in = append(in, x)
		}
	}
	if req.Reverse {
		slices.Reverse(in)
	}
	size := 0
	for i, x := range in {
		if i == maxExamined || len(got) == maxRows || size >= maxBytes {
			status = 7
			break
		}
		if w.dead(x) || !passes(req.SortKeyFilterType, pattern, x.sort) {
			continue
		}
		if req.NoValue {
			x.value = ""
		}
		size += len(x.sort) + len(x.value)
		got = append(got, x)
	}
	if req.Reverse {
		slices.Reverse(got)
	}
	return status, got
}

// scan returns the batches of a whole scan.
func (w *twin) scan(req *rrdb.GetScannerRequest, batch, examineFirst int) (batches [][]row) {
	start, stop := string(req.StartKey.Data), string(req.StopKey.Data)
	hash, _, _ := key.Decode([]byte(start))
	resumed := stop == "\xff\xff" && (string(hash) != "\xff\xfe" || !req.StartInclusive)
	confined := !*req.FullScan && len(hash) > 0 && !resumed
	var in []row
	for _, x := range w.rows {
		ok := within(x.encoded(), start, stop, req.StartInclusive, req.StopInclusive)
		ok = ok && (!confined || x.hash == string(hash))
		if p := string(req.HashKeyFilterPattern.Data); req.HashKeyFilterType == 2 && p != "" {
			ok = ok && x.encoded() >= string(key.Append(nil, []byte(p), nil))
		}
		if ok {
			in = append(in, x)
		}
	}
	examine := examineFirst
	for {
		var got []row
		n := 0
		for ; n < len(in) && n < examine && len(got) < batch; n++ {
			x := in[n]
			if !w.dead(x) && passes(req.HashKeyFilterType, string(req.HashKeyFilterPattern.Data), x.hash) &&
				passes(req.SortKeyFilterType, string(req.SortKeyFilterPattern.Data), x.sort) {
				got = append(got, x)
			}
		}
		batches = append(batches, got)
		if in = in[n:]; len(in) == 0 {
			return batches
		}
		examine = batch
	}
}

// randomKeys has little variety, so that keys meet, and the bytes where order
// and successors go wrong.
func randomKey(r *rand.Rand, most int) string {
	b := make([]byte, r.IntN(most+1))
	for i := range b {
		b[i] = []byte{0, 'a', 'b', 0xfe, 0xff}[r.IntN(5)]
	}
	return string(b)
}

func randomRows(r *rand.Rand, n int, now uint32) []row {
	rows := map[string]row{}
	for range n {
		x := row{hash: randomKey(r, 2), sort: randomKey(r, 3), value: randomKey(r, 6)}
		if r.IntN(3) == 0 {
			x.expire = now - 1 + uint32(r.IntN(3))
		}
		rows[x.encoded()] = x
	}
	var list []row
	for _, x := range rows {
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b row) int { return cmp.Compare(a.encoded(), b.encoded()) })
	return list
}

func randomMultiGet(r *rand.Rand) *rrdb.MultiGetRequest {
	req := &rrdb.MultiGetRequest{
		HashKey: text(randomKey(r, 2)), StartSortkey: text(randomKey(r, 3)), StopSortkey: text(randomKey(r, 3)),
		StartInclusive: r.IntN(2) == 0, StopInclusive: r.IntN(2) == 0,
		SortKeyFilterType: rrdb.FilterType(r.IntN(4)), SortKeyFilterPattern: text(randomKey(r, 2)),
		Reverse: r.IntN(2) == 0, NoValue: r.IntN(3) == 0,
	}
	if r.IntN(2) == 0 {
		req.StopSortkey = text("")
	}
	if r.IntN(2) == 0 {
		req.MaxKvCount = int32(1 + r.IntN(4))
	}
	if r.IntN(3) == 0 {
		req.MaxKvSize = int32(1 + r.IntN(12))
	}
	return req
}

func text(s string) *base.Blob { return base.BlobOf([]byte(s)) }

func randomGetScanner(r *rand.Rand) *rrdb.GetScannerRequest {
	full := r.IntN(2) == 0
	end := func() *base.Blob {
		return base.BlobOf(key.Append(nil, []byte(randomKey(r, 2)), []byte(randomKey(r, 2))))
	}
	req := &rrdb.GetScannerRequest{
		StartKey: end(), StopKey: end(), StartInclusive: r.IntN(2) == 0, StopInclusive: r.IntN(2) == 0,
		BatchSize: int32(1 + r.IntN(5)), FullScan: &full,
		HashKeyFilterType: rrdb.FilterType(r.IntN(4)), HashKeyFilterPattern: text(randomKey(r, 1)),
		SortKeyFilterType: rrdb.FilterType(r.IntN(4)), SortKeyFilterPattern: text(randomKey(r, 1)),
	}
	if r.IntN(3) == 0 {
		req.StopKey = text("\xff\xff")
	}
	if r.IntN(3) == 0 {
		req.StartKey = text("\x00\x00")
	}
	return req
}

func TestAgainstTwin(t *testing.T) { compareWithTwin(t, mem.Opener{}, 40) }

func compareWithTwin(t *testing.T, o engine.Opener, rounds int) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	n := newNode(t, o, 1000)
	n.limits.Examined, n.limits.Rows, n.limits.ScanRows = 12, 9, 4
	for round := range rounds {
		p := n.part(1, int32(round))
		w := &twin{rows: randomRows(r, 10+r.IntN(80), n.now), now: n.now}
		p.storeRows(t, w.rows)
		for range 40 {
			n.compareMultiGet(p, w, randomMultiGet(r))
			n.compareScan(p, w, randomGetScanner(r))
			n.comparePoints(p, w, r)
			n.compareCount(p, w, randomKey(r, 2))
		}
	}
	require.Zero(t, n.contexts.Stats().Open, "scans were read to their end")
}

func (p *part) storeRows(t testing.TB, rows []row) {
	var b engine.Batch
	for _, x := range rows {
		b.PutHeader([]byte(x.encoded()), record.Header{Expire: x.expire, Index: 1}, []byte(x.value))
	}
	p.applier.AppendState(&b) // must never show up in a reply
	require.NoError(t, p.engine.Apply(&b))
}

func (n *node) compareMultiGet(p *part, w *twin, req *rrdb.MultiGetRequest) {
	maxRows, maxBytes := n.limits.Rows, n.limits.Bytes
	if req.MaxKvCount > 0 {
		maxRows = min(maxRows, int(req.MaxKvCount))
	}
	if req.MaxKvSize > 0 {
		maxBytes = int(req.MaxKvSize)
	}
	status, want := w.multiGet(req, maxRows, n.limits.Examined, maxBytes)
	resp, err := p.MultiGet(n.view(p), req)
	require.NoError(n.t, err)
	require.Equal(n.t, status, resp.Error, "%v", req)
	var got []row
	for _, kv := range resp.Kvs {
		got = append(got, row{sort: string(kv.Key.Data), value: string(kv.Value.Data)})
	}
	for i := range want {
		want[i].hash, want[i].expire = "", 0
	}
	require.Equal(n.t, want, got, "%v", req)
}

func (n *node) compareScan(p *part, w *twin, req *rrdb.GetScannerRequest) {
	batch := min(int(req.BatchSize), n.limits.ScanRows)
	resp, err := p.GetScanner(n.view(p), req)
	for i, want := range w.scan(req, batch, n.limits.ScanRows) {
		require.NoError(n.t, err)
		require.Zero(n.t, resp.Error, "%v", req)
		var got []row
		for _, kv := range resp.Kvs {
			hash, sort, err := key.Decode(kv.Key.Data)
			require.NoError(n.t, err)
			got = append(got, row{hash: string(hash), sort: string(sort), value: string(kv.Value.Data)})
		}
		for j := range want {
			want[j].expire = 0
		}
		require.Equal(n.t, want, got, "batch %d of %v", i, req)
		if resp.ContextID > 0 {
			resp, err = p.Scan(n.view(p), &rrdb.ScanRequest{ContextID: resp.ContextID})
		}
	}
	require.EqualValues(n.t, -1, resp.ContextID, "%v", req)
}

// comparePoints asks for keys that may or may not exist, one by one and together.
func (n *node) comparePoints(p *part, w *twin, r *rand.Rand) {
	hash := randomKey(r, 2)
	many, batch := &rrdb.MultiGetRequest{HashKey: text(hash)}, &rrdb.BatchGetRequest{}
	var want []string
	for range 1 + r.IntN(6) {
		sort := randomKey(r, 2)
		many.SortKeys = append(many.SortKeys, text(sort))
		batch.Keys = append(batch.Keys, &rrdb.FullKey{HashKey: text(hash), SortKey: text(sort)})
		resp, err := p.Get(n.view(p), key.Append(nil, []byte(hash), []byte(sort)), []byte("in front"))
		require.NoError(n.t, err)
		i := slices.IndexFunc(w.rows, func(x row) bool { return x.hash == hash && x.sort == sort && !w.dead(x) })
		if i < 0 {
			require.EqualValues(n.t, 1, resp.Error)
			continue
		}
		require.Zero(n.t, resp.Error)
		require.Equal(n.t, w.rows[i].value, string(resp.Value.Data))
		want = append(want, sort+"="+w.rows[i].value)
	}
	resp, err := p.MultiGet(n.view(p), many)
	require.NoError(n.t, err)
	var got []string
	for _, kv := range resp.Kvs {
		got = append(got, string(kv.Key.Data)+"="+string(kv.Value.Data))
	}
	require.Equal(n.t, want, got)

	data, err := p.BatchGet(n.view(p), batch)
	require.NoError(n.t, err)
	got = nil
	for _, d := range data.Data {
		require.Equal(n.t, hash, string(d.HashKey.Data))
		got = append(got, string(d.SortKey.Data)+"="+string(d.Value.Data))
	}
	require.Equal(n.t, want, got)
}

func (n *node) compareCount(p *part, w *twin, hash string) {
	want := 0
	for _, x := range w.rows {
		if x.hash == hash && !w.dead(x) {
			want++
		}
	}
	resp, err := p.SortKeyCount(n.view(p), []byte(hash))
	require.NoError(n.t, err)
	require.EqualValues(n.t, want, resp.Count)
}
