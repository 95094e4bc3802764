package wire

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/test/cluster"
)

// differences lists the exchanges where Arion answers otherwise on purpose, with
// the reason; docs/compatibility.md explains them to users. The value says what
// is expected instead.
var differences = map[string]string{
	// A table that no client can name, or that go and python clients cannot
	// open, helps nobody.
	"meta.create_app:":   "ERR_INVALID_PARAMETERS",
	"meta.create_app:p3": "ERR_INVALID_PARAMETERS",
	"meta.query_cfg:":    "ERR_OBJECT_NOT_FOUND",
	// Context 0 makes clients ask for a context that does not exist.
	"get_scanner.startgtstop": "context -1",
}

const (
	patience = 10 * time.Second // for an answer that must come
	silence  = time.Second      // after which no answer is believed to come
)

// player replays the conversation in order.
type player struct {
	top   *testing.T // of the whole replay
	t     *testing.T // of the exchange
	c     *cluster.Cluster
	conns map[string]*Conn
	// Scan contexts are numbered by the server: recorded id -> ours.
	contexts    map[int64]int64
	lastContext int64
	// Table ids are given in the order of creation; refused creations shift them.
	tables map[int32]int32
	third  string // name of the table that the recording has under id 3
}

func TestRecordedExchanges(t *testing.T) {
	exchanges, err := LoadExchanges("testdata/exchanges.jsonl")
	require.NoError(t, err)
	require.Len(t, exchanges, 240)
	p := &player{
		top: t, t: t, c: cluster.Start(t, cluster.Options{}),
		conns: map[string]*Conn{}, contexts: map[int64]int64{}, tables: map[int32]int32{},
	}
	for i := range exchanges {
		e := &exchanges[i]
		t.Run(fmt.Sprintf("%03d %s", e.N, e.Name), func(t *testing.T) {
			p.t = t
			p.play(e)
		})
	}
}

func (p *player) play(e *Exchange) {
	request := p.adapt(e)
	got, err := p.conn(p.target(e)).Send(request, p.patienceFor(e))
	require.NoError(p.t, err)
	if got.Closed || got.Silent {
		p.drop(p.target(e))
	}
	switch {
	case e.Silent():
		require.True(p.t, got.Silent, "upstream never answers this, got %+v", got)
	case strings.HasPrefix(e.Name, "bad.") && e.Closes():
		require.True(p.t, got.Closed, "a broken frame must close the connection, got %+v", got)
	case e.Closes():
		// This request ended the real server. Ours may answer what it likes, but
		// must go on living, which the next exchanges show.
		require.False(p.t, got.Silent, "no answer and no close")
	case e.Reply == "":
		p.learn(e, nil, got.Result)
		p.judgeAlone(e, got)
	default:
		want, err := Decode(e.ReplyBytes())
		require.NoError(p.t, err)
		p.learn(e, want.Result, got.Result)
		p.compare(e, want, got)
	}
}

func (p *player) patienceFor(e *Exchange) time.Duration {
	if e.Silent() {
		return silence
	}
	return patience
}

// compare holds the decoded replies against each other.
func (p *player) compare(e *Exchange, want, got Answer) {
	if better, ok := differences[e.Name]; ok {
		require.Equal(p.t, better, outcome(got), "the listed difference")
		require.NotEqual(p.t, better, outcome(want), "listed as a difference, but upstream answers the same")
		return
	}
	p.blank(want.Result, true)
	p.blank(got.Result, false)
	require.Equal(p.t, want, got)
}

// outcome is the code of an answer: that of the frame, else that of the result.
func outcome(a Answer) string {
	if a.Error != "ERR_OK" {
		return a.Error
	}
	switch r := a.Result.(type) {
	case interface{ GetErr() *base.ErrorCode }:
		return r.GetErr().Errno
	case *rrdb.ScanResponse:
		return fmt.Sprintf("context %d", min(r.ContextID, 1))
	}
	return a.Error
}

// judgeAlone is for exchanges whose real reply is not given: a reply must come,
// without a frame error unless the request asks for one.
func (p *player) judgeAlone(e *Exchange, got Answer) {
	require.False(p.t, got.Silent, "no answer")
	require.False(p.t, got.Closed, "connection closed")
	want := "ERR_OK"
	switch {
	case strings.HasSuffix(e.Name, "unknown_task"):
		want = "ERR_HANDLER_NOT_FOUND"
	case e.Name == "route.app0", e.Name == "route.wrong_app", e.Name == "route.put_wrong_app",
		e.Name == "route.pidx_neg", e.Name == "t3.notmine":
		want = "ERR_OBJECT_NOT_FOUND"
	}
	require.Equal(p.t, want, got.Error)
}

// learn pairs the numbers that servers give out.
func (p *player) learn(e *Exchange, want, got frame.Message) {
	if g, ok := got.(*rrdb.ScanResponse); ok && g.ContextID > 0 {
		p.lastContext = g.ContextID
	}
	switch w := want.(type) {
	case *rrdb.ScanResponse:
		if g, ok := got.(*rrdb.ScanResponse); ok && w.ContextID > 0 {
			p.contexts[w.ContextID] = g.ContextID
		}
	case *admin.ConfigurationCreateAppResponse:
		if g, ok := got.(*admin.ConfigurationCreateAppResponse); ok && w.Appid > 0 && g.Appid > 0 {
			p.tables[w.Appid] = g.Appid
		}
	case *admin.ConfigurationRecallAppResponse:
		if w.Err.Errno == "ERR_OK" {
			p.third = w.Info.AppName // the only table recalled has id 3
		}
	}
}

// blank removes what may differ: addresses, log positions, context ids, times,
// and table ids after the pairing.
func (p *player) blank(m frame.Message, recorded bool) {
	switch r := m.(type) {
	case *rrdb.UpdateResponse:
		r.Decree, r.Server = 0, ""
		p.blankTable(&r.AppID, recorded)
	case *rrdb.MultiRemoveResponse:
		r.Decree, r.Server = 0, ""
	case *rrdb.IncrResponse:
		r.Decree, r.Server = 0, ""
	case *rrdb.CheckAndSetResponse:
		r.Decree, r.Server = 0, ""
	case *rrdb.CheckAndMutateResponse:
		r.Decree, r.Server = 0, ""
	case *rrdb.ReadResponse:
		r.Server = ""
		p.blankTable(&r.AppID, recorded)
	case *rrdb.TTLResponse:
		r.Server = ""
		r.TTLSeconds = blurred(r.TTLSeconds)
	case *rrdb.CountResponse:
		r.Server = ""
	case *rrdb.MultiGetResponse:
		r.Server = ""
	case *rrdb.BatchGetResponse:
		r.Server = ""
	case *rrdb.ScanResponse:
		p.blankScan(r, recorded)
	default:
		p.blankAdmin(m, recorded)
	}
}

// blurred forgives the seconds between a put and its ttl. A record whose expire
// time is negative, that is in the next century, shows a number below -1.
func blurred(ttl int32) int32 {
	if ttl < 0 {
		return max(ttl, -2)
	}
	return (ttl + 5) / 10 * 10
}

func (p *player) blankTable(id *int32, recorded bool) {
	if ours, ok := p.tables[*id]; ok && recorded {
		*id = ours
	}
}

func (p *player) blankScan(r *rrdb.ScanResponse, recorded bool) {
	r.Server, r.ContextID = "", min(r.ContextID, 1)
	p.blankTable(&r.AppID, recorded)
	for _, kv := range r.Kvs {
		if kv.ExpireTsSeconds != nil && *kv.ExpireTsSeconds > 0 {
			*kv.ExpireTsSeconds = 1
		}
	}
}

func (p *player) blankAdmin(m frame.Message, recorded bool) {
	switch r := m.(type) {
	case *admin.ConfigurationCreateAppResponse:
		p.blankTable(&r.Appid, recorded)
	case *admin.QueryCfgResponse:
		p.blankTable(&r.AppID, recorded)
		for _, c := range r.Partitions {
			p.blankPartition(c)
		}
	case *admin.ConfigurationListNodesResponse:
		for _, n := range r.Infos {
			n.Node, n.HpNode = nil, nil
		}
	case *admin.ConfigurationRecallAppResponse:
		if r.Info != nil {
			p.blankTable(&r.Info.AppID, recorded)
			r.Info.ExpireSecond, r.Info.CreateSecond, r.Info.DropSecond = 0, 0, 0
		}
	}
}

// blankPartition keeps the counts and blanks the addresses.
func (p *player) blankPartition(c *admin.PartitionConfiguration) {
	require.Positive(p.t, c.Ballot)
	require.False(p.t, c.Primary.IsZero(), "partition without a leader")
	c.Pid.AppID, c.Ballot, c.LastCommittedDecree, c.Primary = 0, 0, 0, nil
	for i := range c.Secondaries {
		require.False(p.t, c.Secondaries[i].IsZero())
		c.Secondaries[i] = nil
	}
	c.LastDrops = nil
	c.HpPrimary, c.HpSecondaries, c.HpLastDrops = nil, nil, nil
}
