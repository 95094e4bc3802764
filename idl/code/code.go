// Package code names the outcomes of calls: error codes, which travel by name,
// and storage status numbers, which travel inside data replies.
package code

import (
	"errors"
	"fmt"
)

// Code is the outcome of a call as a whole. The zero value is OK. A Code has no
// numeric form on the wire.
type Code uint16

// Class tells a caller what to do about a Code.
type Class uint8

const (
	// ClassOK needs nothing.
	ClassOK Class = iota
	// ClassPermanent will fail again if repeated unchanged.
	ClassPermanent
	// ClassRetryHere may succeed at the same server after a pause.
	ClassRetryHere
	// ClassRetryElsewhere needs a fresh look at the routing before a repeat.
	ClassRetryElsewhere
	// ClassUnknownOutcome may have taken effect. Only calls that can be applied
	// twice without harm may be repeated by themselves.
	ClassUnknownOutcome
)

var classNames = [...]string{"ok", "permanent", "retry-here", "retry-elsewhere", "unknown-outcome"}

func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// String gives the wire name, such as ERR_OK. A number outside the table reads
// as ERR_UNKNOWN, since whatever is returned here may be sent.
func (c Code) String() string { return c.entry().name }

// Class gives the reaction a Code calls for.
func (c Code) Class() Class { return c.entry().class }

// FrameSafe reports whether every known client can read the name in a THFT frame.
func (c Code) FrameSafe() bool { return c.entry().frameSafe }

// Text says in a few words what the Code means.
func (c Code) Text() string { return c.entry().text }

func (c Code) entry() *entry {
	if c >= count {
		c = Unknown
	}
	return &table[c]
}

var byName = func() map[string]Code {
	m := make(map[string]Code, count)
	for i := range table {
		m[table[i].name] = Code(i)
	}
	return m
}()

// Parse finds the Code of a wire name. An unknown or empty name gives Unknown
// and false.
func Parse(name string) (Code, bool) {
	c, ok := byName[name]
	if !ok {
		return Unknown, false
	}
	return c, true
}

// Error is a Code that failed a call, with a hint for the person who reads it.
// It always travels as a pointer: match it with errors.As, or use Of.
type Error struct {
	Code Code
	Hint string
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Code.String()
	}
	return e.Code.String() + ": " + e.Hint
}

// Is lets errors.Is(err, &Error{Code: c}) match on the Code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Errorf makes an *Error with a formatted hint.
func Errorf(c Code, format string, args ...any) error {
	return &Error{Code: c, Hint: fmt.Sprintf(format, args...)}
}

// Of gives the Code an error carries: OK for nil, Unknown when there is none.
func Of(err error) Code {
	if err == nil {
		return OK
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Unknown
}
