package partition

import "time"

// Trace is when a write reached each stage; zero for those it did not reach.
type Trace struct {
	Proposed time.Time // left the queue for the log
	Applying time.Time // committed, and its run began
	Stored   time.Time // its run was in the engine
}

// runTimes are the times of one run of entries.
type runTimes struct{ began, stored time.Time }

// ran notes the run. t may be nil.
func (t *Trace) ran(r runTimes) {
	if t != nil {
		t.Applying, t.Stored = r.began, r.stored
	}
}

func traceProposed(writes []write, now time.Time) {
	for i := range writes {
		if t := writes[i].trace; t != nil {
			t.Proposed = now
		}
	}
}
