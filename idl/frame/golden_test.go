package frame_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/frame"
)

// readLines decodes a file of one JSON object per line.
func readLines[T any](tb testing.TB, path string) []T {
	tb.Helper()
	f, err := os.Open(path)
	require.NoError(tb, err)
	defer f.Close()
	var all []T
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v T
		require.NoError(tb, json.Unmarshal(lines.Bytes(), &v))
		all = append(all, v)
	}
	require.NoError(tb, lines.Err())
	require.NotEmpty(tb, all)
	return all
}

type golden struct{ Name, Kind, Hex string }

func goldenFrames(tb testing.TB) []golden {
	return readLines[golden](tb, "testdata/frames.jsonl")
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(tb, err)
	return b
}

// leavesOut are requests of clients that do not write every field. We always
// do, so these come back longer; their bytes are compared with the payload left
// as it is.
var leavesOut = []string{
	"multi_get request, python client, point mode (absent fields)",
	"get_scanner request, java client (optional fields 11-14 absent)",
}

func TestGoldenFrames(t *testing.T) {
	for _, g := range goldenFrames(t) {
		t.Run(g.Name, func(t *testing.T) {
			b := unhex(t, g.Hex)
			if g.Kind == "request" || g.Name == "native get request" {
				goldenRequest(t, g, b)
			} else {
				goldenReply(t, g, b)
			}
		})
	}
}

func goldenRequest(t *testing.T, g golden, b []byte) {
	for i := range b {
		n, need, err := frame.RequestSize(b[:i])
		require.NoError(t, err)
		require.True(t, n == len(b) || n == 0 && need > i, "%d bytes: n %d, need %d", i, n, need)
	}
	h, args, err := frame.ParseRequest(append(bytes.Clone(b), "next frame"...))
	require.NoError(t, err)
	arg := calls[h.Name].arg()
	require.NoError(t, frame.Decode(args, arg))
	h.Local = h.From
	if contains(leavesOut, g.Name) {
		require.Equal(t, g.Hex, hex.EncodeToString(frame.AppendRequest(nil, &h, rawOf(args))))
		return
	}
	require.Equal(t, g.Hex, hex.EncodeToString(frame.AppendRequest(nil, &h, arg)))
}

func goldenReply(t *testing.T, g golden, b []byte) {
	p := frame.ProtoTHFT0
	if g.Kind == "rdsn" {
		p = frame.ProtoRDSN
	}
	for i := range b {
		n, need, err := frame.ReplySize(p, b[:i])
		require.NoError(t, err)
		require.True(t, n == len(b) || n == 0 && need > i, "%d bytes: n %d, need %d", i, n, need)
	}
	h, body, err := frame.ParseReply(p, append(bytes.Clone(b), "next frame"...))
	require.NoError(t, err)
	var result frame.Message
	if h.Error == "ERR_OK" {
		result = calls[h.Name].result()
		require.NoError(t, frame.Decode(body, result))
	} else {
		require.Empty(t, body)
	}
	h.Local = h.From // we are the server that is named
	require.Equal(t, g.Hex, hex.EncodeToString(frame.AppendReply(nil, &h, h.Error, result)))
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

type exchange struct {
	N            int
	Name, Note   string
	RequestHex   string `json:"request_hex"`
	ReplyHex     string `json:"reply_hex"`
	ReplyDecoded struct {
		Error, Name string
		Seq         int32
		Connection  string
	} `json:"reply_decoded"`
}

func exchanges(tb testing.TB) []exchange {
	return readLines[exchange](tb, "../../test/wire/testdata/exchanges.jsonl")
}

// The recorded server closes a connection for two reasons: the framing is broken,
// which we see too, or a request with good framing ended its process, which must
// not happen to us.
func TestRecordedExchanges(t *testing.T) {
	for _, x := range exchanges(t) {
		t.Run(x.Name, func(t *testing.T) {
			closed := x.ReplyDecoded.Connection != ""
			crashed := strings.HasPrefix(x.Note, "ENDS ")
			b := unhex(t, x.RequestHex)
			h, args, err := frame.ParseRequest(b)
			if closed && !crashed {
				require.ErrorIs(t, err, frame.ErrClose)
				return
			}
			require.NoError(t, err)
			n, _, err := frame.RequestSize(b)
			require.NoError(t, err)
			require.Equal(t, len(b), n)
			if c, known := calls[h.Name]; known {
				err := frame.Decode(args, c.arg())
				require.Equal(t, x.Name == "x.truncated_args", err != nil, "%v", err)
			}
			if x.ReplyHex != "" {
				recordedReply(t, x, &h)
			}
		})
	}
}

func recordedReply(t *testing.T, x exchange, request *frame.Header) {
	h, body, err := frame.ParseReply(request.Proto, unhex(t, x.ReplyHex))
	require.NoError(t, err)
	require.Equal(t, x.ReplyDecoded.Error, h.Error)
	require.Equal(t, x.ReplyDecoded.Name, h.Name+"_ACK")
	require.Equal(t, request.Name, h.Name)
	require.Equal(t, request.Seq, h.Seq)
	if h.Error != "ERR_OK" {
		return
	}
	result := calls[h.Name].result()
	require.NoError(t, frame.Decode(body, result))
	require.Equal(t, x.ReplyHex, hex.EncodeToString(frame.AppendReply(nil, request, h.Error, result)))
}
