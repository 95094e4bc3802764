package chaos

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/test/linear"
)

// probe reads from one server whatever happens, as a client would that never
// hears of another leader. A server that may not answer must refuse; what it
// answers belongs to the history.
type probe struct {
	l     *Load
	addr  string
	conn  net.Conn
	buf   []byte
	table int32
	count int32 // of partitions
	w     worker
}

const (
	probePause   = 3 * time.Millisecond
	probeTimeout = 500 * time.Millisecond
)

var errRefused = errors.New("refused")

func (p *probe) run(ctx context.Context) {
	defer p.hangUp()
	for ctx.Err() == nil {
		in := linear.Input{Kind: linear.Get, Hash: p.w.hash(p.l.ops.Load()), Cell: p.w.rng.IntN(linear.Cells)}
		call := p.l.History.Begin(p.w.number, in)
		out, err := p.get(in)
		switch {
		case err == nil:
			call.End(out)
		case !errors.Is(err, errRefused):
			p.hangUp()
		}
		time.Sleep(probePause)
	}
}

func (p *probe) hangUp() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}

// get asks the server itself.
func (p *probe) get(in linear.Input) (out linear.Output, err error) {
	if p.conn == nil {
		if p.conn, err = net.DialTimeout("tcp", p.addr, probeTimeout); err != nil {
			p.conn = nil
			return out, err
		}
	}
	hash := key.Hash([]byte(in.Hash), nil)
	h := frame.Header{
		Proto: frame.ProtoTHFT0, AppID: p.table, PartitionIndex: key.PartitionIndex(hash, p.count),
		PartitionHash: hash, TimeoutMS: int32(probeTimeout.Milliseconds()), Name: frame.RPCGet, Seq: 1,
	}
	arg := &base.Blob{Data: key.Append(nil, []byte(in.Hash), sortKey(in.Cell))}
	if err := p.conn.SetDeadline(time.Now().Add(probeTimeout)); err != nil {
		return out, err
	}
	if _, err := p.conn.Write(frame.AppendRequest(nil, &h, arg)); err != nil {
		return out, err
	}
	return p.answer()
}

func (p *probe) answer() (out linear.Output, err error) {
	p.buf = p.buf[:0]
	for {
		n, need, err := frame.ReplySize(frame.ProtoTHFT0, p.buf)
		if err != nil {
			return out, err
		}
		if n > 0 {
			need = n
		}
		if n > 0 && len(p.buf) >= n {
			break
		}
		more := make([]byte, max(1, need-len(p.buf)))
		if _, err := io.ReadFull(p.conn, more); err != nil {
			return out, err
		}
		p.buf = append(p.buf, more...)
	}
	h, body, err := frame.ParseReply(frame.ProtoTHFT0, p.buf)
	if err != nil {
		return out, err
	}
	var resp rrdb.ReadResponse
	if h.Error != "ERR_OK" || frame.Decode(body, &resp) != nil || resp.Error > 1 {
		return out, errRefused
	}
	if resp.Error == 0 {
		out.Value = string(resp.Value.Data)
	}
	return out, nil
}
