package obs

import (
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// maxThrottleKeys bounds the memory of a Throttle. Keys are meant to be
// constants or partition names; beyond the bound old ones are forgotten, which
// at worst lets a line through early.
const maxThrottleKeys = 1024

// Throttle lets one line per key and interval through and counts the rest.
// Safe for concurrent use.
type Throttle struct {
	interval time.Duration
	now      func() time.Time

	mu   sync.Mutex
	keys map[string]*throttled
}

type throttled struct {
	last       time.Time
	suppressed int
}

// NewThrottle allows one line per key in every interval.
func NewThrottle(interval time.Duration) *Throttle {
	return &Throttle{interval: interval, now: time.Now, keys: map[string]*throttled{}}
}

// Allow reports whether a line of this key may be written now, and how many
// were held back since the last one that was.
func (t *Throttle) Allow(key string) (suppressed int, ok bool) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.keys[key]
	if k == nil {
		t.makeRoomLocked(now)
		t.keys[key] = &throttled{last: now}
		return 0, true
	}
	if now.Sub(k.last) < t.interval {
		k.suppressed++
		return 0, false
	}
	suppressed = k.suppressed
	k.last, k.suppressed = now, 0
	return suppressed, true
}

// Log writes the line unless the key was heard within the interval. A line
// that stands for others carries their number in the field "suppressed".
func (t *Throttle) Log(log *logrus.Entry, level logrus.Level, key, message string) {
	if !log.Logger.IsLevelEnabled(level) {
		return
	}
	suppressed, ok := t.Allow(key)
	if !ok {
		return
	}
	if suppressed > 0 {
		log = log.WithField("suppressed", suppressed)
	}
	log.Log(level, message)
}

// makeRoomLocked drops what is old, and everything if nothing is.
func (t *Throttle) makeRoomLocked(now time.Time) {
	if len(t.keys) < maxThrottleKeys {
		return
	}
	for key, k := range t.keys {
		if now.Sub(k.last) >= t.interval {
			delete(t.keys, key)
		}
	}
	if len(t.keys) >= maxThrottleKeys {
		clear(t.keys)
	}
}
