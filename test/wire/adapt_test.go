package wire

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
)

// recordedAt is the moment of the recording in seconds since 2016: exchange 30
// puts a record that expires in 100 s, at 343658748.
const recordedAt = 343658648

// appIDOffset is where a version 0 header has the table id.
const appIDOffset = 24

// adapt makes a recorded request fit this cluster and this day: table ids,
// context ids and expire times. Everything else stays as it was sent.
func (p *player) adapt(e *Exchange) []byte {
	raw := e.RequestBytes()
	h, args, err := frame.ParseRequest(raw)
	if err != nil {
		return raw
	}
	if ours, ok := p.tables[h.AppID]; ok && h.Proto == frame.ProtoTHFT0 {
		binary.BigEndian.PutUint32(raw[appIDOffset:], uint32(ours))
		h.AppID = ours
	}
	if arg := p.rewrite(e, h.Name, args); arg != nil {
		return frame.AppendRequest(nil, &h, arg)
	}
	return raw
}

// rewrite returns the argument with numbers and times of this cluster, or nil if
// nothing has to be changed.
func (p *player) rewrite(e *Exchange, name string, args []byte) frame.Message {
	switch name {
	case frame.RPCPut:
		req := rrdb.NewUpdateRequest()
		return changed(args, req, shift(&req.ExpireTsSeconds))
	case frame.RPCMultiPut:
		req := rrdb.NewMultiPutRequest()
		return changed(args, req, shift(&req.ExpireTsSeconds))
	case frame.RPCIncr:
		req := rrdb.NewIncrRequest()
		return changed(args, req, shift(&req.ExpireTsSeconds))
	case frame.RPCCheckAndSet:
		req := rrdb.NewCheckAndSetRequest()
		return changed(args, req, shift(&req.SetExpireTsSeconds))
	case frame.RPCScan:
		req := rrdb.NewScanRequest()
		return changed(args, req, func() bool { return p.ourContext(e, &req.ContextID) })
	case frame.RPCClearScanner:
		id := &base.Int64{}
		return changed(args, id, func() bool { return p.ourContext(e, &id.V) })
	case frame.RPCRecallApp:
		req := admin.NewConfigurationRecallAppRequest()
		return changed(args, req, func() bool {
			ours, ok := p.tables[req.AppID]
			req.AppID = max(ours, req.AppID)
			return ok
		})
	}
	return nil
}

// changed decodes args into m and returns m if edit changed it.
func changed(args []byte, m frame.Message, edit func() bool) frame.Message {
	if frame.Decode(args, m) != nil || !edit() {
		return nil
	}
	return m
}

// shift moves an expire time by as much time as has passed since the recording.
func shift(expire *int32) func() bool {
	return func() bool {
		if *expire <= 0 {
			return false
		}
		now := int32(time.Now().Unix() - key.EpochUnix)
		*expire += now - recordedAt
		return true
	}
}

// ourContext replaces a recorded context id. Replies that are not given leave
// gaps: the next batch of a scan then means the last context that was opened.
func (p *player) ourContext(e *Exchange, id *int64) bool {
	if ours, ok := p.contexts[*id]; ok {
		*id = ours
		return true
	}
	if slices.Contains([]string{"scan.next", "scan.last", "scan.count_next", "x.scan"}, e.Name) {
		*id = p.lastContext
		return true
	}
	return false
}

// target is the server a request goes to: any meta server, the partition's
// leader, or as the exchange's name asks for.
func (p *player) target(e *Exchange) string {
	if strings.HasPrefix(e.Name, "meta.") || strings.HasPrefix(e.Name, "crash.meta.") {
		return p.c.Metas()[0]
	}
	node := p.c.Addr("replica1")
	h, _, err := frame.ParseRequest(e.RequestBytes())
	if err != nil {
		return node
	}
	table, known := map[int32]string{1: "temp", 2: "temp3", 3: p.third}[h.AppID]
	if !known || h.PartitionIndex < 0 || h.PartitionIndex >= 8 {
		return node
	}
	c := p.query(table).Partitions[h.PartitionIndex]
	switch {
	case strings.Contains(e.Name, "secondary"):
		return c.Secondaries[0].String()
	case e.Name == "t3.notmine":
		return p.stranger(c)
	}
	return c.Primary.String()
}

// stranger is a replica server that does not hold the partition.
func (p *player) stranger(c *admin.PartitionConfiguration) string {
	for _, name := range p.c.Names() {
		addr := p.c.Addr(name)
		if strings.HasPrefix(name, "replica") && addr != c.Primary.String() {
			return addr
		}
	}
	require.Fail(p.t, "every node holds the partition")
	return ""
}

// query asks for the routing of a table.
func (p *player) query(table string) *admin.QueryCfgResponse {
	h := frame.Header{Name: frame.RPCQueryConfig, Seq: 1}
	req := &admin.QueryCfgRequest{AppName: table}
	answer, err := p.conn(p.c.Metas()[0]).Send(frame.AppendRequest(nil, &h, req), patience)
	require.NoError(p.t, err)
	resp, ok := answer.Result.(*admin.QueryCfgResponse)
	require.True(p.t, ok, "%+v", answer)
	require.Equal(p.t, "ERR_OK", resp.Err.Errno, "table %s", table)
	return resp
}

func (p *player) conn(addr string) *Conn {
	if c := p.conns[addr]; c != nil {
		return c
	}
	c, err := Dial(addr)
	require.NoError(p.t, err)
	p.conns[addr] = c
	p.top.Cleanup(func() { c.Close() })
	return c
}

// drop forgets a connection that may still carry an answer.
func (p *player) drop(addr string) {
	p.conn(addr).Close()
	delete(p.conns, addr)
}
