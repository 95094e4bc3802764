// Package throttle holds the requests of a table to the rates its envs set.
//
// A rate is a table's; a node answers for a share of it, as large as the part of
// the table's partitions that it serves, and keeps one account for all of them.
// Per partition the shares would be just as exact on paper, but keys never
// spread evenly, and the fullest partition would set the pace of all.
//
// An account is one number: the time until which what was let in is paid for
// (the "virtual scheduling" form of a leaky bucket). Whoever comes within a small
// slack of it passes at once. Requests that must wait are parked in a bounded queue,
// never on the goroutine that brought them.
package throttle

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limit is one part of a rule. The zero Limit does nothing.
type Limit struct {
	// PerSec is the table's rate in requests or bytes per second, 0 = no limit.
	PerSec float64
	// Pause is how long a rejected request waits for its answer, and how long a
	// delayed one waits at most when there is a reject limit as well.
	Pause time.Duration
}

// Rule is the content of one throttling env.
//
// Delay alone makes requests wait for their turn at its rate. Beside Reject it
// slows callers down by up to its pause and lets them pass: the hard limit is
// then the other. Requests over Reject are refused.
type Rule struct{ Delay, Reject Limit }

// None reports that the rule does nothing.
func (r Rule) None() bool { return r.Delay.PerSec == 0 && r.Reject.PerSec == 0 }

const (
	// maxPause is beyond any client's patience; a longer one is a typing error.
	maxPause = time.Minute
	// maxRate keeps sums exact in float64 and in nanoseconds.
	maxRate = 1 << 50
)

// Parse reads one or two of N[K|M]*delay*ms and N[K|M]*reject*ms, separated by a
// comma, each kind at most once. The empty text is the empty rule.
func Parse(text string) (Rule, error) {
	var r Rule
	if text == "" {
		return r, nil
	}
	for _, part := range strings.Split(text, ",") {
		f := strings.Split(part, "*")
		if len(f) != 3 {
			return Rule{}, fmt.Errorf("want N*delay*ms or N*reject*ms in %q", part)
		}
		limit, err := parseLimit(f[0], f[2])
		if err != nil {
			return Rule{}, err
		}
		if err := r.set(f[1], limit); err != nil {
			return Rule{}, err
		}
	}
	return r, nil
}

// ParseRead is Parse for the bytes of reads, where a plain rate is short for
// refusing what is over it, and a list must have such a part.
func ParseRead(text string) (Rule, error) {
	if text == "" {
		return Rule{}, nil
	}
	if rate, err := parseRate(text, 1<<10); err == nil {
		return Rule{Reject: Limit{PerSec: rate}}, nil
	}
	r, err := Parse(text)
	if err == nil && r.Reject.PerSec == 0 {
		return Rule{}, errors.New("want a plain rate, or a list with a reject part")
	}
	return r, err
}

func (r *Rule) set(action string, l Limit) error {
	slot := &r.Delay
	switch action {
	case "delay":
	case "reject":
		slot = &r.Reject
	default:
		return fmt.Errorf("want delay or reject, not %q", action)
	}
	if slot.PerSec != 0 {
		return fmt.Errorf("%s is given twice", action)
	}
	*slot = l
	return nil
}

func parseLimit(rate, pause string) (Limit, error) {
	n, err := parseRate(rate, 1000)
	if err != nil {
		return Limit{}, err
	}
	ms, err := strconv.ParseUint(pause, 10, 63)
	if err != nil || ms > uint64(maxPause/time.Millisecond) {
		return Limit{}, fmt.Errorf("%q is no pause from 0 to %d ms", pause, maxPause/time.Millisecond)
	}
	return Limit{PerSec: n, Pause: time.Duration(ms) * time.Millisecond}, nil
}

// parseRate reads N, NK or NM. K is kilo, its square M: 1000 in lists and 1024
// in the plain rate, as upstream has it. Zero is refused: whoever wants no limit
// deletes the env, and whoever wants no requests has replica.deny_client_request.
func parseRate(text string, kilo uint64) (float64, error) {
	digits, unit := text, uint64(1)
	switch {
	case strings.HasSuffix(text, "K"):
		digits, unit = text[:len(text)-1], kilo
	case strings.HasSuffix(text, "M"):
		digits, unit = text[:len(text)-1], kilo*kilo
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n == 0 || n > maxRate/unit {
		return 0, fmt.Errorf("%q is no rate: want a number from 1, with K or M behind it if wanted", text)
	}
	return float64(n * unit), nil
}
