package code

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTableIsComplete(t *testing.T) {
	for c := OK; c < count; c++ {
		e := table[c]
		require.True(t, strings.HasPrefix(e.name, "ERR_"), "code %d has no name", c)
		require.NotEmpty(t, e.text, e.name)
		require.LessOrEqual(t, len(e.name), 47, e.name)
		got, ok := Parse(c.String())
		require.True(t, ok, e.name)
		require.Equal(t, c, got)
		require.Equal(t, c == OK, c.Class() == ClassOK, e.name)
	}
	require.Len(t, byName, int(count), "two codes share a name")
}

// The numbers end up in metrics and test data; this catches a row put in the
// middle.
func TestNumbersStay(t *testing.T) {
	for c, want := range map[Code]int{OK: 0, Unknown: 1, Timeout: 5, Busy: 7, InvalidState: 17, DiskInsufficient: 72, LearnerNotFound: 73, ThreadInterrupted: 89} {
		require.Equal(t, want, int(c), c.String())
	}
}

func TestClass(t *testing.T) {
	for _, tc := range []struct {
		code Code
		want Class
		safe bool
	}{
		{OK, ClassOK, true},
		{Busy, ClassRetryHere, true},
		{InvalidState, ClassRetryElsewhere, true},
		{Timeout, ClassUnknownOutcome, true},
		{InvalidParameters, ClassPermanent, true},
		{DiskIOError, ClassPermanent, false},
		{SessionReset, ClassUnknownOutcome, false},
		{Code(9999), ClassUnknownOutcome, true},
	} {
		t.Run(tc.code.String(), func(t *testing.T) {
			require.Equal(t, tc.want, tc.code.Class())
			require.Equal(t, tc.safe, tc.code.FrameSafe())
		})
	}
}

func TestParseUnknown(t *testing.T) {
	for _, name := range []string{"", "ERR_", "OK", "err_ok", "ERR_NO_SUCH_THING"} {
		c, ok := Parse(name)
		require.False(t, ok, name)
		require.Equal(t, Unknown, c, name)
	}
}

func TestError(t *testing.T) {
	err := fmt.Errorf("set: %w", Errorf(Busy, "%d calls queued", 7))
	require.EqualError(t, err, "set: ERR_BUSY: 7 calls queued")
	require.Equal(t, Busy, Of(err))
	require.ErrorIs(t, err, &Error{Code: Busy})
	require.NotErrorIs(t, err, &Error{Code: Timeout})
	require.Equal(t, OK, Of(nil))
	require.Equal(t, Unknown, Of(errors.New("boom")))
	require.EqualError(t, &Error{Code: Timeout}, "ERR_TIMEOUT")
}

func TestStatusString(t *testing.T) {
	require.Equal(t, "Ok", StatusOK.String())
	require.Equal(t, "TryAgain", StatusTryAgain.String())
	require.Equal(t, "Status(14)", Status(14).String())
	require.Equal(t, "Status(-1)", Status(-1).String())
}
