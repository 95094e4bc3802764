// Package compact runs the manual compactions that a table's envs ask for: once
// at a given time, or every day at given times of day.
//
// A compaction of a replica is remembered beside its data by the time it began:
// what was written, deleted or had expired by then is dealt with. One that is
// asked for is due when it was asked for after that.
package compact

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/arionkv/arion/replica/engine"
)

// Schedule is what the manual_compact.* envs of a table say.
type Schedule struct {
	// Disabled stops what runs and starts nothing.
	Disabled bool
	// MaxRunning bounds the table's compactions at once on a node; 0 starts none.
	MaxRunning int
	Once       Once
	Daily      Daily
}

// Unbounded is the MaxRunning of a table that says nothing.
const Unbounded = math.MaxInt32

// Once asks for one compaction of every replica.
type Once struct {
	// AtUnixSec: every replica whose last compaction began before is to be
	// compacted, as soon as its node's clock has reached it. 0 = never.
	AtUnixSec int64
	Bottom    engine.Bottom
}

// Daily asks for a compaction at times of day, in the local time of the node.
type Daily struct {
	Minutes []int // since midnight, ascending
	Bottom  engine.Bottom
}

// ParseBottom reads manual_compact.*.bottommost_level_compaction.
func ParseBottom(text string) (engine.Bottom, error) {
	switch text {
	case "force":
		return engine.BottomForce, nil
	case "skip":
		return engine.BottomSkip, nil
	}
	return 0, fmt.Errorf("want force or skip")
}

// ParseTimes reads times of day such as 3:00,21:00; at most 24 of them.
func ParseTimes(text string) ([]int, error) {
	var minutes []int
	for _, part := range strings.Split(text, ",") {
		h, m, ok := strings.Cut(strings.TrimSpace(part), ":")
		hour, errHour := strconv.ParseUint(h, 10, 8)
		minute, errMinute := strconv.ParseUint(m, 10, 8)
		if !ok || len(m) != 2 || errHour != nil || errMinute != nil || hour > 23 || minute > 59 {
			return nil, fmt.Errorf("%q is no time of day such as 3:00", part)
		}
		minutes = append(minutes, int(hour*60+minute))
	}
	slices.Sort(minutes)
	minutes = slices.Compact(minutes)
	if len(minutes) > maxTimes {
		return nil, fmt.Errorf("%d times of day, at most %d", len(minutes), maxTimes)
	}
	return minutes, nil
}

// maxTimes is one per hour: a compaction rewrites everything.
const maxTimes = 24

// last is the newest time of day that has passed at now; zero without any.
func (d Daily) last(now time.Time) (at time.Time) {
	year, month, day := now.Date()
	// Yesterday too, for the hours before the first time of today.
	for back := range 2 {
		for _, m := range d.Minutes {
			// time.Date, not arithmetic, so that 3:00 is 3:00 when the clocks change.
			t := time.Date(year, month, day-back, m/60, m%60, 0, 0, now.Location())
			if !t.After(now) && t.After(at) {
				at = t
			}
		}
	}
	return at
}

// due decides whether a replica is to be compacted now, and how. began is when
// its last compaction began, since when these daily times have been known here:
// a time of day that had passed when the operator set it, or while the node was
// down, waits for tomorrow instead of rewriting a table in the rush hour.
func (s Schedule) due(now, began, since time.Time) (engine.Bottom, bool) {
	if s.Disabled || s.MaxRunning == 0 {
		return 0, false
	}
	once := time.Unix(s.Once.AtUnixSec, 0)
	if s.Once.AtUnixSec > 0 && !once.After(now) && began.Before(once) {
		return s.Once.Bottom, true
	}
	if at := s.Daily.last(now); !at.IsZero() && at.After(since) && began.Before(at) {
		return s.Daily.Bottom, true
	}
	return 0, false
}
