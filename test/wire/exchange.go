// Package wire replays conversations recorded with a real Apache Pegasus server
// against Arion and compares the decoded replies.
package wire

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
)

// Exchange is one line of testdata/exchanges.jsonl.
type Exchange struct {
	N       int    `json:"n"`
	Name    string `json:"name"`
	Note    string `json:"note"`
	Request string `json:"request_hex"`
	Reply   string `json:"reply_hex"` // empty if the real reply is not given
	Decoded struct {
		Connection string `json:"connection"` // "closed by server"
		NoReply    string `json:"no_reply"`
	} `json:"reply_decoded"`
}

// Closes reports whether the real server closed the connection, or died.
func (e *Exchange) Closes() bool { return e.Decoded.Connection != "" }

// Silent reports whether the real server never answers.
func (e *Exchange) Silent() bool { return e.Decoded.NoReply != "" }

// RequestBytes returns the frame that was sent.
func (e *Exchange) RequestBytes() []byte { return mustHex(e.Request) }

// ReplyBytes returns the recorded answer, or nil.
func (e *Exchange) ReplyBytes() []byte { return mustHex(e.Reply) }

func mustHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err) // the file is part of the test
	}
	return b
}

// LoadExchanges reads the recorded conversations in order.
func LoadExchanges(path string) ([]Exchange, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []Exchange
	for dec := json.NewDecoder(bytes.NewReader(raw)); ; {
		var e Exchange
		if err := dec.Decode(&e); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s, exchange %d: %w", path, len(all), err)
		}
		all = append(all, e)
	}
}

// results makes an empty result of each call that the recordings contain.
var results = map[string]func() frame.Message{
	frame.RPCQueryConfig:    func() frame.Message { return new(admin.QueryCfgResponse) },
	frame.RPCCreateApp:      func() frame.Message { return new(admin.ConfigurationCreateAppResponse) },
	frame.RPCDropApp:        func() frame.Message { return new(admin.ConfigurationDropAppResponse) },
	frame.RPCRecallApp:      func() frame.Message { return new(admin.ConfigurationRecallAppResponse) },
	frame.RPCRenameApp:      func() frame.Message { return new(admin.ConfigurationRenameAppResponse) },
	frame.RPCListApps:       func() frame.Message { return new(admin.ConfigurationListAppsResponse) },
	frame.RPCListNodes:      func() frame.Message { return new(admin.ConfigurationListNodesResponse) },
	frame.RPCClusterInfo:    func() frame.Message { return new(admin.ConfigurationClusterInfoResponse) },
	frame.RPCUpdateAppEnv:   func() frame.Message { return new(admin.ConfigurationUpdateAppEnvResponse) },
	frame.RPCPut:            func() frame.Message { return new(rrdb.UpdateResponse) },
	frame.RPCMultiPut:       func() frame.Message { return new(rrdb.UpdateResponse) },
	frame.RPCRemove:         func() frame.Message { return new(rrdb.UpdateResponse) },
	frame.RPCMultiRemove:    func() frame.Message { return new(rrdb.MultiRemoveResponse) },
	frame.RPCIncr:           func() frame.Message { return new(rrdb.IncrResponse) },
	frame.RPCCheckAndSet:    func() frame.Message { return new(rrdb.CheckAndSetResponse) },
	frame.RPCCheckAndMutate: func() frame.Message { return new(rrdb.CheckAndMutateResponse) },
	frame.RPCGet:            func() frame.Message { return new(rrdb.ReadResponse) },
	frame.RPCMultiGet:       func() frame.Message { return new(rrdb.MultiGetResponse) },
	frame.RPCBatchGet:       func() frame.Message { return new(rrdb.BatchGetResponse) },
	frame.RPCSortkeyCount:   func() frame.Message { return new(rrdb.CountResponse) },
	frame.RPCTTL:            func() frame.Message { return new(rrdb.TTLResponse) },
	frame.RPCGetScanner:     func() frame.Message { return new(rrdb.ScanResponse) },
	frame.RPCScan:           func() frame.Message { return new(rrdb.ScanResponse) },
}

// Answer is a decoded reply, or what happened instead of one.
type Answer struct {
	Name, Error string
	Seq         int32
	Result      frame.Message // nil without a body
	Closed      bool          // the server closed the connection
	Silent      bool          // nothing came
}

// Decode takes a THFT reply apart.
func Decode(reply []byte) (Answer, error) {
	h, body, err := frame.ParseReply(frame.ProtoTHFT0, reply)
	if err != nil {
		return Answer{}, err
	}
	name := strings.TrimSuffix(h.Name, "_ACK")
	a := Answer{Name: name, Error: h.Error, Seq: h.Seq}
	if len(body) == 0 {
		return a, nil
	}
	make, ok := results[name]
	if !ok {
		return a, fmt.Errorf("no result type for %s", name)
	}
	a.Result = make()
	return a, frame.Decode(body, a.Result)
}

// Conn sends raw frames over one THFT connection.
type Conn struct {
	net.Conn
	r *bufio.Reader
}

// Dial connects to a server.
func Dial(addr string) (*Conn, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: c, r: bufio.NewReader(c)}, nil
}

// Send writes a request and reads what comes back within patience.
func (c *Conn) Send(request []byte, patience time.Duration) (Answer, error) {
	if _, err := c.Write(request); err != nil {
		return Answer{Closed: true}, nil
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return Answer{}, err
	}
	reply, err := c.readFrame()
	switch {
	case err == nil:
		return Decode(reply)
	case isTimeout(err):
		return Answer{Silent: true}, nil
	default:
		return Answer{Closed: true}, nil
	}
}

func (c *Conn) readFrame() ([]byte, error) {
	head, err := c.r.Peek(4)
	if err != nil {
		return nil, err
	}
	n, need, err := frame.ReplySize(frame.ProtoTHFT0, head)
	for err == nil && n == 0 {
		if head, err = c.r.Peek(need); err == nil {
			n, need, err = frame.ReplySize(frame.ProtoTHFT0, head)
		}
	}
	if err != nil {
		return nil, err
	}
	reply := make([]byte, n)
	_, err = io.ReadFull(c.r, reply)
	return reply, err
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}
