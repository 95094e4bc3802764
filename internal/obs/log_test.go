package obs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lni/dragonboat/v4/logger"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNewLogger(t *testing.T) {
	for _, tc := range []struct {
		level, format string
		want          logrus.Level
		json          bool
	}{
		{"debug", "json", logrus.DebugLevel, true},
		{"warn", "text", logrus.WarnLevel, false},
		{"nonsense", "nonsense", logrus.InfoLevel, false},
	} {
		var out bytes.Buffer
		l := NewLogger(tc.level, tc.format, &out)
		require.Equal(t, tc.want, l.Level)
		l.WithField("table", "t1").Error("text")
		require.Equal(t, tc.json, json.Valid(out.Bytes()), out.String())
		require.Contains(t, out.String(), "t1")
	}
	require.NotNil(t, NewLogger("info", "text", nil).Out)
}

func TestThrottle(t *testing.T) {
	now := time.Unix(1000, 0)
	th := NewThrottle(10 * time.Second)
	th.now = func() time.Time { return now }
	l, hook := test.NewNullLogger()
	entry := logrus.NewEntry(l)
	say := func(key string) { th.Log(entry, logrus.WarnLevel, key, "text") }

	say("a")
	say("a")
	say("a")
	say("b")
	require.Len(t, hook.AllEntries(), 2)
	now = now.Add(10 * time.Second)
	say("a")
	require.Equal(t, 2, hook.LastEntry().Data["suppressed"])
	say("b")
	require.NotContains(t, hook.LastEntry().Data, "suppressed")
	for i := range 3 * maxThrottleKeys {
		th.Allow(fmt.Sprint(i))
	}
	require.LessOrEqual(t, len(th.keys), maxThrottleKeys)
}

func TestMemberlistLines(t *testing.T) {
	for _, tc := range []struct {
		line  string
		level logrus.Level
		text  string
	}{
		{"[DEBUG] memberlist: Stream connection from=1.2.3.4:5\n", logrus.DebugLevel, "Stream connection from=1.2.3.4:5"},
		{"[INFO] memberlist: Suspect n1 has failed", logrus.InfoLevel, "Suspect n1 has failed"},
		{"2026/01/02 03:04:05 [WARN] memberlist: Refuting", logrus.WarnLevel, "Refuting"},
		{"[ERR] memberlist: Push/Pull failed: x [y]", logrus.WarnLevel, "Push/Pull failed: x [y]"},
		{"no level at all", logrus.InfoLevel, "no level at all"},
		{"[odd] bracket", logrus.InfoLevel, "[odd] bracket"},
		{"[", logrus.InfoLevel, "["},
		{"", logrus.InfoLevel, ""},
	} {
		level, text := splitMemberlistLine([]byte(tc.line))
		require.Equal(t, tc.level, level, tc.line)
		require.Equal(t, tc.text, text)
	}
}

func TestMemberlistLogger(t *testing.T) {
	l, hook := test.NewNullLogger()
	l.SetLevel(logrus.InfoLevel)
	var out *log.Logger = MemberlistLogger(logrus.NewEntry(l))
	for i := range 5 {
		out.Printf("[ERR] memberlist: Failed to ping: %d", i)
		out.Printf("[DEBUG] memberlist: detail %d", i)
	}
	require.Len(t, hook.AllEntries(), 1, "repeated errors are throttled, debug is off")
}

func TestRaftLogger(t *testing.T) {
	l, hook := test.NewNullLogger()
	l.SetLevel(logrus.InfoLevel)
	r := newRaftLogger(logrus.NewEntry(l), NewThrottle(time.Minute), warnLevel("dragonboat"))
	r.Infof("group %d steps", 1)
	r.Debugf("detail")
	require.Empty(t, hook.AllEntries())
	for i := range 10 {
		r.Warningf("cannot reach %d", i)
	}
	require.Len(t, hook.AllEntries(), 1)
	r.SetLevel(logger.ERROR)
	r.Warningf("other")
	require.Len(t, hook.AllEntries(), 1)
	require.PanicsWithValue(t, "bad 7", func() { r.Panicf("bad %d", 7) })
	require.Equal(t, "bad 7", hook.LastEntry().Message)
}

// installed makes the one installation of the process.
var installed = sync.OnceValue(func() *test.Hook {
	l, hook := test.NewNullLogger()
	InstallRaftLogger(logrus.NewEntry(l))
	return hook
})

func TestInstallRaftLoggerTwice(t *testing.T) {
	hook := installed()
	InstallRaftLogger(Discard())
	logger.GetLogger("obs-test").Errorf("seen")
	require.Equal(t, "obs-test", hook.LastEntry().Data["raft_package"])
}

func FuzzMemberlistLine(f *testing.F) {
	f.Add("[INFO] memberlist: x: y")
	f.Add("][")
	f.Fuzz(func(t *testing.T, line string) {
		_, text := splitMemberlistLine([]byte(line))
		if !strings.HasPrefix(text, throttleKey(text)) {
			t.Fatal(errors.New("key is not the start of its line"))
		}
	})
}
