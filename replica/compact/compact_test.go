package compact

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/replica/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseTimes(t *testing.T) {
	got, err := ParseTimes("21:00, 3:05,3:05")
	require.NoError(t, err)
	require.Equal(t, []int{185, 1260}, got)
	for _, text := range []string{"", "3", "24:00", "3:60", "3:5", "-1:00", "a:00", "3:00,", "3:00:00"} {
		_, err := ParseTimes(text)
		require.Error(t, err, text)
	}
}

func TestDue(t *testing.T) {
	at := func(text string) time.Time {
		v, err := time.ParseInLocation(time.DateTime, text, time.UTC)
		require.NoError(t, err)
		return v
	}
	now := at("2030-05-05 12:00:00")
	never := time.Time{}
	once := func(sec int64) Schedule {
		return Schedule{MaxRunning: 1, Once: Once{AtUnixSec: sec, Bottom: engine.BottomForce}}
	}
	daily := func(minutes ...int) Schedule {
		return Schedule{MaxRunning: 1, Daily: Daily{Minutes: minutes, Bottom: engine.BottomSkip}}
	}
	with := func(s Schedule, f func(*Schedule)) Schedule { f(&s); return s }
	for name, c := range map[string]struct {
		s            Schedule
		began, since time.Time
		want         bool
	}{
		"nothing asked":          {Schedule{MaxRunning: 1}, never, never, false},
		"once, never compacted":  {once(now.Unix() - 10), never, now, true},
		"once, compacted before": {once(now.Unix() - 10), now.Add(-20 * time.Second), now, true},
		"once, compacted since":  {once(now.Unix() - 10), now.Add(-5 * time.Second), now, false},
		"once, same second":      {once(now.Unix()), now, now, false},
		"once, in the future":    {once(now.Unix() + 1), never, now, false},
		"once, disabled":         {with(once(1), func(s *Schedule) { s.Disabled = true }), never, now, false},
		"once, none may run":     {with(once(1), func(s *Schedule) { s.MaxRunning = 0 }), never, now, false},
		"daily, passed":          {daily(11 * 60), never, at("2030-05-05 10:00:00"), true},
		"daily, done":            {daily(11 * 60), at("2030-05-05 11:00:30"), at("2030-05-05 10:00:00"), false},
		"daily, set afterwards":  {daily(11 * 60), never, at("2030-05-05 11:30:00"), false},
		"daily, yesterday's":     {daily(13 * 60), never, at("2030-05-04 12:30:00"), true},
		"daily, not yet":         {daily(13 * 60), at("2030-05-04 13:00:00"), at("2030-05-01 00:00:00"), false},
		"daily, the later":       {daily(3*60, 11*60), at("2030-05-05 03:00:00"), never, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, got := c.s.due(now, c.began, c.since)
			require.Equal(t, c.want, got)
		})
	}
	bottom, _ := once(1).due(now, never, never)
	require.Equal(t, engine.BottomForce, bottom)
	bottom, _ = daily(60).due(now, never, never)
	require.Equal(t, engine.BottomSkip, bottom)
}

func TestRecord(t *testing.T) {
	dir := t.TempDir()
	got, err := Load(dir)
	require.NoError(t, err)
	require.Zero(t, got)
	want := Record{Began: time.UnixMilli(1000), Finished: time.UnixMilli(2000)}
	require.NoError(t, want.Save(dir))
	got, err = Load(dir)
	require.NoError(t, err)
	require.Equal(t, want, got)
	for _, bad := range []string{"", "{", `{"format":2}`} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, recordFile), []byte(bad), 0o644))
		_, err = Load(dir)
		require.Error(t, err, bad)
	}
}

// replicas are targets whose compactions take as long as the test wants.
type replicas struct {
	running, peak, runs atomic.Int32
	let                 chan error
}

func (r *replicas) target(dir string, index int32, s Schedule) Target {
	return Target{ID: ID{1, index}, Dir: dir, Schedule: s, Compact: func(ctx context.Context, _ engine.CompactOptions) error {
		r.runs.Add(1)
		n := r.running.Add(1)
		defer r.running.Add(-1)
		r.peak.Store(max(r.peak.Load(), n))
		select {
		case err := <-r.let:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
}

func TestRunner(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()}
	synctest.Test(t, func(t *testing.T) {
		var reps replicas
		reps.let = make(chan error)
		r := NewRunner(obs.Discard())
		tick := func(s Schedule) {
			time.Sleep(time.Second)
			var all []Target
			for i, dir := range dirs {
				all = append(all, reps.target(dir, int32(i), s))
			}
			r.Tick(all)
			synctest.Wait()
		}
		count := func() map[State]int { c, _ := r.Count(1); return c }

		tick(Schedule{MaxRunning: Unbounded})
		require.Equal(t, map[State]int{Idle: 4}, count())
		ask := Schedule{MaxRunning: Unbounded, Once: Once{AtUnixSec: time.Now().Unix()}}
		tick(ask)
		require.Equal(t, map[State]int{Running: 2, Queued: 2}, count(), "the node's limit")
		reps.let <- nil
		synctest.Wait()
		require.Equal(t, map[State]int{Finished: 1, Running: 1, Queued: 2}, count())
		ask.MaxRunning = 1
		tick(ask)
		require.Equal(t, map[State]int{Finished: 1, Running: 1, Queued: 2}, count(), "the table's limit")

		ask.Disabled = true
		tick(ask)
		require.Equal(t, map[State]int{Finished: 1, Idle: 3}, count(), "disabled stops what runs")
		ask.Disabled, ask.MaxRunning = false, Unbounded
		tick(ask)
		reps.let <- os.ErrPermission
		synctest.Wait()
		require.Equal(t, 1, count()[Running], "one failed and waits")
		tick(ask)
		reps.let <- nil
		reps.let <- nil
		synctest.Wait()
		require.Equal(t, map[State]int{Finished: 3, Idle: 1}, count())
		time.Sleep(retryDelay)
		tick(ask)
		reps.let <- nil
		synctest.Wait()
		require.Equal(t, map[State]int{Finished: 4}, count())
		runs := reps.runs.Load()

		again := NewRunner(obs.Discard()) // as after a restart
		again.Tick([]Target{reps.target(dirs[0], 0, ask)})
		synctest.Wait()
		require.Equal(t, Finished, again.Status(ID{1, 0}).State, "the disk remembers")
		require.Equal(t, runs, reps.runs.Load())
		again.Close()

		ask.Once.AtUnixSec = time.Now().Unix() + 1
		tick(ask)
		require.Equal(t, 2, count()[Running], "asked again")
		r.Tick(nil)
		synctest.Wait()
		require.Zero(t, reps.running.Load(), "replicas that are gone are not compacted")
		_, ok := r.Count(1)
		require.False(t, ok)
		r.Close()
		require.EqualValues(t, 2, reps.peak.Load())
	})
}
