package rpc

const (
	// minReadBuf is the input buffer of a connection that never pipelined.
	minReadBuf = 4 << 10
	// maxReadBuf holds several hundred small frames; a larger one saves no
	// further syscalls that matter. Only a frame that needs more gets more.
	maxReadBuf = 64 << 10
	// maxLead is how many times the bytes that arrived a larger frame gets at once:
	// one of 1 MB is copied a sixteenth. It is paid for before (affordRoom).
	maxLead = 16
)

// inbuf holds received bytes that are not yet a whole frame.
//
//	b  ┌──────────┬───────────────┬────────┐
//	   │ consumed │ unread        │ free   │
//	   └──────────┴───────────────┴────────┘
//	   0          r               w        len(b)
type inbuf struct {
	b      []byte
	r, w   int
	filled bool   // the last read took all the room there was
	small  []byte // the usual buffer, while b is that of one large frame
}

func (in *inbuf) unread() []byte { return in.b[in.r:in.w] }

func (in *inbuf) advance(n int) {
	in.r += n
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
}

// growth is the number of bytes room would add beyond maxReadBuf for a frame of
// frameLen bytes (0 = not known yet) that begins at the first unread byte.
func (in *inbuf) growth(frameLen int) int {
	size := in.nextSize(frameLen)
	if size <= maxReadBuf || size == len(in.b) {
		return 0
	}
	return size - max(len(in.b), maxReadBuf)
}

// room returns free space to read into, at least one byte. A large frame gets
// its memory as its bytes arrive, some times of them and never beyond its length: an
// announced length alone costs nothing.
func (in *inbuf) room(frameLen int) []byte {
	size := in.nextSize(frameLen)
	if size != len(in.b) {
		b := make([]byte, size)
		in.w = copy(b, in.unread())
		if len(in.b) == maxReadBuf {
			in.small = in.b
		}
		in.b, in.r = b, 0
	} else if in.r > 0 {
		in.w = copy(in.b, in.unread())
		in.r = 0
	}
	return in.b[in.w:]
}

func (in *inbuf) nextSize(frameLen int) int {
	unread := in.w - in.r
	switch {
	case len(in.b) == 0:
		return minReadBuf
	case unread < len(in.b) && !(in.filled && len(in.b) < maxReadBuf):
		return len(in.b)
	case len(in.b) < maxReadBuf:
		return 2 * len(in.b)
	default:
		return max(len(in.b)+1, min(maxLead*len(in.b), frameLen))
	}
}

func (in *inbuf) received(n int) {
	in.w += n
	in.filled = in.w == len(in.b)
}

// take hands out the buffer itself if it holds exactly one large frame, which
// saves the copy, and starts afresh. It returns nil if that is not so.
func (in *inbuf) take(frameLen int) []byte {
	if len(in.b) <= maxReadBuf || in.r != 0 || in.w != frameLen {
		return nil
	}
	b := in.b[:in.w]
	*in = inbuf{b: in.small}
	return b
}
