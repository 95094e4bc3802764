package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/arionkv/arion/client/internal/conn"
	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/code"
)

// The decisions a caller can take. Every error of a call is an *Error and
// matches one of these with errors.Is.
var (
	// ErrNotFound: the record does not exist or has expired.
	ErrNotFound = errors.New("not found")
	// ErrTableNotFound: the cluster has no such table.
	ErrTableNotFound = errors.New("table not found")
	// ErrInvalidArgument: the request makes no sense, to this client or the server.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrTooLarge: the server takes no write of this size (1 MiB unless configured).
	ErrTooLarge = errors.New("write too large")
	// ErrTimeout: no success within the time given. It also matches
	// context.DeadlineExceeded.
	ErrTimeout = errors.New("timed out")
	// ErrCanceled: the call was given up by Cancel or by its context.
	ErrCanceled = errors.New("canceled")
	// ErrBusy: the server is throttling or overloaded, and stayed so.
	ErrBusy = errors.New("server busy")
	// ErrOverloaded: this client has its maximum of calls in flight.
	ErrOverloaded = errors.New("too many calls in flight")
	// ErrUnavailable: no server could be found or reached that leads the partition.
	ErrUnavailable = errors.New("partition unavailable")
	// ErrDenied: access control refuses.
	ErrDenied = errors.New("access denied")
	// ErrDisabled: the operation is switched off for the table.
	ErrDisabled = errors.New("operation disabled")
	// ErrDiskFull: the server takes no writes for lack of disk space.
	ErrDiskFull = errors.New("disk full")
	// ErrStorage: the server's storage failed or is damaged.
	ErrStorage = errors.New("storage error")
	// ErrIncomplete: a limit of the server cut the operation short.
	ErrIncomplete = errors.New("incomplete")
	// ErrNotSupported: the server does not provide the operation.
	ErrNotSupported = errors.New("not supported")
	// ErrProtocol: a server broke the protocol.
	ErrProtocol = errors.New("protocol error")
	// ErrServer: the server failed in another way; see Error.Code.
	ErrServer = errors.New("server error")
	// ErrClosed: the client was closed.
	ErrClosed = errors.New("client closed")
)

// Class says what may be done about an error. See docs/client.md.
type Class = code.Class

// Error is the failure of one call.
type Error struct {
	Op        string // "get", "check-and-set", …
	Table     string
	TableID   int32 // 0 if routing was never learned
	Partition int32 // -1 if not known
	Node      string
	// Code is what the server said; code.OK if the failure is the client's own.
	Code code.Code
	// Status is the storage status the server gave, if that is what failed.
	Status code.Status
	Class  Class
	// Unknown is set if the call is a write that may have taken effect, or may yet.
	Unknown  bool
	Attempts int
	// Kind is one of the sentinels of this package.
	Kind error
	// Cause is the underlying error, if there is one.
	Cause error
}

// Error reads `set users/2.7 on 10.0.0.3:34801: server busy: ERR_BUSY (3 attempts)`.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Table != "" {
		fmt.Fprintf(&b, " %s", e.Table)
	}
	if e.Partition >= 0 && e.TableID > 0 {
		fmt.Fprintf(&b, "/%d.%d", e.TableID, e.Partition)
	}
	if e.Node != "" {
		fmt.Fprintf(&b, " on %s", e.Node)
	}
	fmt.Fprintf(&b, ": %v", e.Kind)
	switch {
	case e.Code != code.OK:
		fmt.Fprintf(&b, ": %v", e.Code)
	case e.Status != code.StatusOK && !errors.Is(e.Kind, ErrNotFound):
		fmt.Fprintf(&b, ": status %v", e.Status)
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&b, " (%d attempts)", e.Attempts)
	}
	if e.Unknown {
		b.WriteString(" (outcome unknown)")
	}
	return b.String()
}

// Unwrap gives the sentinel and the cause.
func (e *Error) Unwrap() []error {
	errs := []error{e.Kind}
	if e.Cause != nil {
		errs = append(errs, e.Cause)
	}
	if e.Kind == ErrTimeout {
		errs = append(errs, context.DeadlineExceeded)
	}
	return errs
}

// IsUnknownOutcome reports whether err belongs to a write that may have taken
// effect nevertheless. Reading the record back tells; for a call that can be
// applied twice without harm, so does calling again.
func IsUnknownOutcome(err error) bool {
	for {
		var e *Error
		if !errors.As(err, &e) {
			return false
		}
		if e.Unknown {
			return true
		}
		err = e.Cause
	}
}

// IsRetryable reports whether the same call may succeed later, and repeating it
// cannot apply it twice.
func IsRetryable(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.Unknown {
		return false
	}
	switch e.Kind {
	case ErrBusy, ErrOverloaded, ErrUnavailable, ErrTimeout:
		return true
	}
	return false
}

func invalid(op, table, format string, args ...any) *Error {
	return &Error{Op: op, Table: table, Partition: -1, Class: code.ClassPermanent, Kind: ErrInvalidArgument,
		Cause: fmt.Errorf(format, args...)}
}

// kindOfCode is the one place that turns a server's refusal into a sentinel.
func kindOfCode(c code.Code, write bool) error {
	switch c {
	case code.InvalidData:
		if write {
			return ErrTooLarge
		}
		return ErrInvalidArgument
	case code.InvalidParameters:
		return ErrInvalidArgument
	case code.Busy, code.CapacityExceeded, code.Splitting, code.TryAgain:
		return ErrBusy
	case code.Timeout:
		return ErrTimeout
	case code.ACLDeny, code.Unauthenticated:
		return ErrDenied
	case code.OperationDisabled:
		return ErrDisabled
	case code.DiskInsufficient:
		return ErrDiskFull
	case code.DiskIOError, code.RDBCorruption, code.Corruption, code.LocalAppFailure:
		return ErrStorage
	case code.HandlerNotFound, code.NotImplemented:
		return ErrNotSupported
	case code.AppNotExist, code.AppDropped:
		return ErrTableNotFound
	}
	switch c.Class() {
	case code.ClassRetryElsewhere, code.ClassRetryHere:
		return ErrUnavailable
	}
	return ErrServer
}

// kindOfStatus does the same for storage status numbers.
func kindOfStatus(s code.Status) error {
	switch s {
	case code.StatusNotFound:
		return ErrNotFound
	case code.StatusInvalidArgument:
		return ErrInvalidArgument
	case code.StatusIncomplete:
		return ErrIncomplete
	case code.StatusNotSupported:
		return ErrNotSupported
	case code.StatusBusy, code.StatusTryAgain, code.StatusShutdownInProgress:
		return ErrBusy
	case code.StatusTimedOut:
		return ErrTimeout
	}
	return ErrStorage
}

// kindOfLocal does it for what went wrong on this side.
func kindOfLocal(err error) error {
	var c *code.Error
	switch {
	case errors.Is(err, conn.ErrClosed), errors.Is(err, ErrClosed):
		return ErrClosed
	case errors.Is(err, wire.ErrMalformed):
		return ErrProtocol
	case errors.Is(err, context.Canceled):
		return ErrCanceled
	case errors.As(err, &c):
		return kindOfCode(c.Code, false)
	case errors.Is(err, context.DeadlineExceeded):
		return ErrTimeout
	}
	return ErrUnavailable
}
