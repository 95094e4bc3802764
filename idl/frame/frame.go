package frame

import (
	"errors"
	"fmt"

	"github.com/arionkv/arion/idl/binproto"
)

// Proto is the form of a frame.
type Proto uint8

const (
	ProtoTHFT0 Proto = iota // 48-byte header: python, go, node, the admin tools
	ProtoTHFT1              // header with a request_meta struct: java
	ProtoRDSN               // 192-byte header: C++ client and shell
)

func (p Proto) String() string {
	switch p {
	case ProtoTHFT0:
		return "THFT/0"
	case ProtoTHFT1:
		return "THFT/1"
	case ProtoRDSN:
		return "RDSN"
	}
	return fmt.Sprintf("proto(%d)", uint8(p))
}

// Kind is what a connection speaks.
type Kind uint8

const (
	KindUnknown Kind = iota // close it
	KindTHFT
	KindRDSN
	KindHTTP
)

// Detect tells the Kind from the first four bytes of a connection, which are
// also the first of its first frame.
func Detect(first4 []byte) Kind {
	if len(first4) < 4 {
		return KindUnknown
	}
	switch string(first4[:4]) {
	case magicTHFT:
		return KindTHFT
	case magicRDSN:
		return KindRDSN
	case "GET ", "POST":
		return KindHTTP
	}
	return KindUnknown
}

const (
	magicTHFT = "THFT"
	magicRDSN = "RDSN"

	// Prefix is how many bytes RequestSize wants to see first. No valid request
	// is shorter.
	Prefix = 16

	// MaxBody bounds the body of a request and of a reply. Upstream has no bound;
	// ours is far above the 1 MiB a write may have and the 30 MiB a read returns.
	MaxBody = 64 << 20

	// MaxName bounds the names of calls and errors; upstream keeps them in 48
	// bytes with a terminating zero.
	MaxName = 47

	// maxMeta bounds the request_meta of a v1 header, 37 bytes in practice.
	maxMeta = 4096

	replySuffix = "_ACK"
)

var (
	// ErrClose marks a frame after which the connection must be closed.
	ErrClose = errors.New("broken frame")

	// ErrNoArgs marks a request whose header is good and whose argument is
	// missing. The connection may live on: answer ERR_INVALID_PARAMETERS.
	ErrNoArgs = errors.New("request without argument")
)

func broken(what string) error { return fmt.Errorf("%w: %s", ErrClose, what) }

// Header is what a frame says besides its payload. The Header of a request is
// all that is needed to frame its reply.
type Header struct {
	Proto Proto

	AppID          int32 // table; <= 0 for calls to a node (java sends -1)
	PartitionIndex int32
	TimeoutMS      int32 // a hint at most: go clients send it truncated
	ThreadHash     int32 // scheduling hint, ignored
	PartitionHash  uint64
	Backup         bool // any replica may serve the read

	Name string // without the reply's suffix
	Seq  int32  // THFT

	// Oneway tells that a THFT caller marked the call as one-way. Peers are
	// answered nevertheless, except for calls that never have a reply.
	Oneway bool

	// Error is the error name of a reply.
	Error string

	ID      uint64 // RDSN: correlation id, copied into the reply
	TraceID uint64 // RDSN
	Context uint64 // RDSN: context bits as received; 0 in a new request
	From    int64  // RDSN: packed address of the sender, as received
	Local   int64  // RDSN: packed address to send as ours; 0 will do
}

// RequestSize tells the length of the request that starts with b. While b is too
// short to know, n is 0 and need is the number of bytes to have before asking
// again. An error means ErrClose.
func RequestSize(b []byte) (n, need int, err error) {
	if len(b) < Prefix {
		return 0, Prefix, nil
	}
	switch string(b[:4]) {
	case magicTHFT:
		return thftRequestSize(b)
	case magicRDSN:
		return rdsnSize(b)
	}
	return 0, 0, broken("unknown magic")
}

// ParseRequest takes a whole frame apart. args is the payload of the argument,
// followed by whatever ends the body; it aliases b. With ErrNoArgs h is valid,
// with ErrClose it is not.
func ParseRequest(b []byte) (h Header, args []byte, err error) {
	n, _, err := RequestSize(b)
	if err != nil {
		return Header{}, nil, err
	}
	if n == 0 || n > len(b) {
		return Header{}, nil, broken("frame cut short")
	}
	b = b[:n:n]
	if string(b[:4]) == magicRDSN {
		return parseRDSNRequest(b)
	}
	return parseTHFTRequest(b)
}

// AppendRequest appends a request frame. arg may be nil for an empty struct of
// arguments.
func AppendRequest(dst []byte, h *Header, arg Message) []byte {
	w := getWriter(dst)
	if h.Proto == ProtoRDSN {
		writeRDSNRequest(w, h, arg)
	} else {
		writeTHFTRequest(w, h, arg)
	}
	return putWriter(w)
}

// AppendReply appends the reply to the request that had header h. result is nil
// when there is none, as in most error replies. A result that cannot be written
// is a fault of the caller; the peer then gets ERR_UNKNOWN without a result.
func AppendReply(dst []byte, h *Header, errName string, result Message) []byte {
	w := getWriter(makeRoom(dst, result))
	if err := writeReply(w, h, errName, result); err != nil {
		w.Buf = w.Buf[:len(dst)]
		_ = writeReply(w, h, errUnknown, nil)
	}
	return putWriter(w)
}

func writeReply(w *binproto.Writer, h *Header, errName string, result Message) error {
	if h.Proto == ProtoRDSN {
		return writeRDSNReply(w, h, errName, result)
	}
	return writeTHFTReply(w, h, errName, result)
}

// ReplySize is RequestSize for the reply to a request of form p.
func ReplySize(p Proto, b []byte) (n, need int, err error) {
	if p == ProtoRDSN {
		if len(b) < Prefix {
			return 0, Prefix, nil
		}
		return rdsnSize(b)
	}
	return thftReplySize(b)
}

// ParseReply takes a whole reply apart. body is the payload of the result and
// aliases b; it is empty if there is none.
func ParseReply(p Proto, b []byte) (h Header, body []byte, err error) {
	n, _, err := ReplySize(p, b)
	if err != nil {
		return Header{}, nil, err
	}
	if n == 0 || n > len(b) {
		return Header{}, nil, broken("frame cut short")
	}
	b = b[:n:n]
	if p == ProtoRDSN {
		return parseRDSNReply(b)
	}
	return parseTHFTReply(p, b)
}

// argument finds the payload in a struct of one field. The field's id and type
// are ignored, as upstream does: the call decides how the payload is read.
func argument(r *binproto.Reader) ([]byte, error) {
	t, _, err := r.FieldHeader()
	if err != nil || t == 0 {
		return nil, ErrNoArgs
	}
	return r.Rest(), nil
}

// validName allows what fits a 48-byte field and can be logged as it stands.
func validName(b []byte) bool {
	if len(b) > MaxName {
		return false
	}
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
