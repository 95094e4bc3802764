package read_test

import (
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/read"
)

// Tests look at replies as a client does. That our encoding is that of the
// generated code is checked with each of them.

func (p *part) MultiGet(v read.View, req *rrdb.MultiGetRequest) (*rrdb.MultiGetResponse, error) {
	r, err := p.Reader.MultiGet(v, req)
	return received(p, r, new(rrdb.MultiGetResponse)), err
}

func (p *part) GetScanner(v read.View, req *rrdb.GetScannerRequest) (*rrdb.ScanResponse, error) {
	r, err := p.Reader.GetScanner(v, req)
	return received(p, r, new(rrdb.ScanResponse)), err
}

func (p *part) Scan(v read.View, req *rrdb.ScanRequest) (*rrdb.ScanResponse, error) {
	r, err := p.Reader.Scan(v, req)
	return received(p, r, new(rrdb.ScanResponse)), err
}

func received[M frame.Message](p *part, r *read.RangeReply, m M) M {
	if r == nil {
		var none M
		return none
	}
	defer r.Release()
	encoded := frame.AppendMessage(nil, r)
	require.NoError(p.t, frame.Decode(encoded, m))
	require.Equal(p.t, frame.AppendMessage(nil, m), encoded)
	require.LessOrEqual(p.t, len(encoded), r.EncodedSize())
	bytes := 0
	for _, kv := range kvsOf(m) {
		bytes += kv.Key.Len() + kv.Value.Len()
	}
	require.Equal(p.t, bytes, r.Bytes())
	return m
}

func kvsOf(m frame.Message) []*rrdb.KeyValue {
	switch m := m.(type) {
	case *rrdb.MultiGetResponse:
		return m.Kvs
	case *rrdb.ScanResponse:
		return m.Kvs
	}
	return nil
}
