package read_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
	"github.com/arionkv/arion/replica/read"
	"github.com/arionkv/arion/replica/record"
)

// store puts a record into the engine as it is, expired or not.
func (p *part) store(t testing.TB, hashKey, sortKey, value string, expire uint32) {
	var b engine.Batch
	b.PutHeader(key.Append(nil, []byte(hashKey), []byte(sortKey)), record.Header{Expire: expire, Index: 1}, []byte(value))
	require.NoError(t, p.engine.Apply(&b))
}

// TestDataDriven runs the sessions in testdata. Words are Go strings without
// quotes (\xff is one byte); h/s is hash key h and sort key s; an encoded key
// given as it is starts with ~. The clock stands at second 1000.
func TestDataDriven(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		n := newNode(t, mem.Opener{}, 1000)
		s := session{t: t, node: n, part: n.part(1, 0), ids: map[string]int64{}}
		datadriven.RunTest(t, path, s.run)
	})
}

type session struct {
	t    *testing.T
	node *node
	*part
	ids        map[string]int64 // open scans by name
	partitions int32
}

func (s *session) run(t *testing.T, d *datadriven.TestData) string {
	s.t = t
	v := s.node.view(s.part)
	v.PartitionCount = s.partitions
	switch d.Cmd {
	case "load":
		return s.load(d)
	case "now":
		s.node.now = uint32(s.number(d, "sec", 0))
		return "ok"
	case "partitions":
		s.partitions = int32(s.number(d, "count", 0))
		return "ok"
	case "get":
		resp, err := s.Get(v, s.key(d.CmdArgs[0].Key), nil)
		require.NoError(t, err)
		return fmt.Sprintf("%d %q", resp.Error, resp.Value.Data)
	case "ttl":
		resp, err := s.TTL(v, s.key(d.CmdArgs[0].Key))
		require.NoError(t, err)
		return fmt.Sprintf("%d %d", resp.Error, resp.TTLSeconds)
	case "count":
		resp, err := s.SortKeyCount(v, s.bytes(s.text(d, "hash", "")))
		require.NoError(t, err)
		return fmt.Sprintf("%d %d", resp.Error, resp.Count)
	case "multi_get":
		resp, err := s.MultiGet(v, s.multiGet(d))
		require.NoError(t, err)
		return records(resp.Error, resp.Kvs)
	case "batch_get":
		return s.batchGet(v, d)
	case "get_scanner":
		resp, err := s.GetScanner(v, s.getScanner(d))
		require.NoError(t, err)
		return s.scanned(d, resp)
	case "scan":
		id, ok := s.ids[s.text(d, "id", "a")]
		if !ok { // a number then
			id = int64(s.number(d, "id", 0))
		}
		resp, err := s.Scan(v, &rrdb.ScanRequest{ContextID: id})
		require.NoError(t, err)
		return s.scanned(d, resp)
	case "clear_scanner":
		s.ClearScanner(s.ids[s.text(d, "id", "a")])
		return "no reply"
	}
	t.Fatalf("unknown command %s", d.Cmd)
	return ""
}

func (s *session) load(d *datadriven.TestData) string {
	for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
		var expire uint32
		words := strings.Fields(line)
		hashKey, sortKey, ok := strings.Cut(words[0], "/")
		require.True(s.t, ok, line)
		value := ""
		for _, w := range words[1:] {
			if e, ok := strings.CutPrefix(w, "expire="); ok {
				n, err := strconv.ParseUint(e, 10, 32)
				require.NoError(s.t, err)
				expire = uint32(n)
			} else {
				value = w
			}
		}
		s.store(s.t, string(s.bytes(hashKey)), string(s.bytes(sortKey)), value, expire)
	}
	return "ok"
}

func (s *session) bytes(word string) []byte {
	text, err := strconv.Unquote(`"` + word + `"`)
	require.NoError(s.t, err, word)
	return []byte(text)
}

// key reads h/s as an encoded key and ~bytes as they are.
func (s *session) key(word string) []byte {
	if raw, ok := strings.CutPrefix(word, "~"); ok {
		return s.bytes(raw)
	}
	hashKey, sortKey, _ := strings.Cut(word, "/")
	return key.Append(nil, s.bytes(hashKey), s.bytes(sortKey))
}

func (s *session) text(d *datadriven.TestData, name, absent string) string {
	for _, a := range d.CmdArgs {
		if a.Key == name {
			return strings.Join(a.Vals, ",")
		}
	}
	return absent
}

func (s *session) number(d *datadriven.TestData, name string, absent int) int {
	n, err := strconv.Atoi(s.text(d, name, strconv.Itoa(absent)))
	require.NoError(s.t, err)
	return n
}

// bounds reads from=K or after=K and to=K or before=K; absent ends are those given.
func (s *session) bounds(d *datadriven.TestData, from, before string) (start, stop string, startIncl, stopIncl bool) {
	start, startIncl = s.text(d, "from", from), !d.HasArg("after")
	stop, stopIncl = s.text(d, "before", before), d.HasArg("to")
	return s.text(d, "after", start), s.text(d, "to", stop), startIncl, stopIncl
}

var filterTypes = map[string]rrdb.FilterType{"": 0, "anywhere": 1, "prefix": 2, "postfix": 3, "bad": 4, "negative": -1}

func (s *session) filter(d *datadriven.TestData, name string) (rrdb.FilterType, *base.Blob) {
	kind, pattern, _ := strings.Cut(s.text(d, name, ""), ":")
	t, ok := filterTypes[kind]
	require.True(s.t, ok, kind)
	return t, base.BlobOf(s.bytes(pattern))
}

func (s *session) multiGet(d *datadriven.TestData) *rrdb.MultiGetRequest {
	start, stop, startIncl, stopIncl := s.bounds(d, "", "")
	req := &rrdb.MultiGetRequest{
		HashKey:    base.BlobOf(s.bytes(s.text(d, "hash", "h"))),
		MaxKvCount: int32(s.number(d, "limit", 0)), MaxKvSize: int32(s.number(d, "size", 0)),
		NoValue:      d.HasArg("no_value"),
		Reverse:      d.HasArg("reverse"),
		StartSortkey: base.BlobOf(s.bytes(start)), StartInclusive: startIncl,
		StopSortkey: base.BlobOf(s.bytes(stop)), StopInclusive: stopIncl,
	}
	req.SortKeyFilterType, req.SortKeyFilterPattern = s.filter(d, "filter")
	for _, k := range strings.Fields(strings.ReplaceAll(s.text(d, "keys", ""), ",", " ")) {
		req.SortKeys = append(req.SortKeys, base.BlobOf(s.bytes(strings.Trim(k, "'"))))
	}
	return req
}

func (s *session) batchGet(v read.View, d *datadriven.TestData) string {
	req := &rrdb.BatchGetRequest{}
	for _, a := range d.CmdArgs {
		hashKey, sortKey, _ := strings.Cut(a.Key, "/")
		req.Keys = append(req.Keys, &rrdb.FullKey{HashKey: base.BlobOf(s.bytes(hashKey)), SortKey: base.BlobOf(s.bytes(sortKey))})
	}
	resp, err := s.BatchGet(v, req)
	require.NoError(s.t, err)
	out := fmt.Sprint(resp.Error)
	for _, x := range resp.Data {
		out += fmt.Sprintf(" %s/%s=%s", quote(x.HashKey.Data), quote(x.SortKey.Data), quote(x.Value.Data))
	}
	return out
}

func (s *session) getScanner(d *datadriven.TestData) *rrdb.GetScannerRequest {
	start, stop, startIncl, stopIncl := s.bounds(d, `~\x00\x00`, `~\xff\xff`)
	req := &rrdb.GetScannerRequest{
		StartKey: base.BlobOf(s.key(start)), StartInclusive: startIncl,
		StopKey: base.BlobOf(s.key(stop)), StopInclusive: stopIncl,
		BatchSize: int32(s.number(d, "batch", 0)), NoValue: d.HasArg("no_value"), OnlyReturnCount: d.HasArg("only_count"),
	}
	req.HashKeyFilterType, req.HashKeyFilterPattern = s.filter(d, "hash_filter")
	req.SortKeyFilterType, req.SortKeyFilterPattern = s.filter(d, "sort_filter")
	yes, no := true, false
	if d.HasArg("full_scan") {
		req.FullScan = &yes
	}
	if d.HasArg("expire") {
		req.ReturnExpireTs = &yes
	}
	if d.HasArg("no_validate") {
		req.ValidatePartitionHash = &no
	}
	return req
}

// scanned prints a batch. A live context gets the name of the as argument, or a.
func (s *session) scanned(d *datadriven.TestData, resp *rrdb.ScanResponse) string {
	out := records(resp.Error, resp.Kvs)
	if resp.KvCount != nil {
		out += fmt.Sprintf(" count=%d", *resp.KvCount)
	}
	if resp.ContextID > 0 {
		s.ids[s.text(d, "as", "a")] = resp.ContextID
		return out + " context=live"
	}
	return out + fmt.Sprintf(" context=%d", resp.ContextID)
}

func records(status int32, kvs []*rrdb.KeyValue) string {
	out := fmt.Sprint(status)
	for _, kv := range kvs {
		out += fmt.Sprintf(" %s=%s", quote(kv.Key.Data), quote(kv.Value.Data))
		if kv.ExpireTsSeconds != nil {
			out += fmt.Sprintf("@%d", *kv.ExpireTsSeconds)
		}
	}
	return out
}

func quote(b []byte) string {
	q := strconv.QuoteToASCII(string(b))
	if len(b) == 0 {
		return "''"
	}
	return q[1 : len(q)-1]
}
