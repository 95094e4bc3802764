package obs

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/lni/dragonboat/v4/logger"
	"github.com/sirupsen/logrus"
)

var raftLoggerOnce sync.Once

// InstallRaftLogger sends dragonboat's log to the given entry. dragonboat keeps
// one logger factory per process and panics on a second, so only the first call
// counts: in a process with several servers pass an entry without a node field.
func InstallRaftLogger(log *logrus.Entry) {
	raftLoggerOnce.Do(func() {
		throttle := NewThrottle(libraryInterval)
		logger.SetLoggerFactory(func(pkg string) logger.ILogger {
			return newRaftLogger(log.WithField("raft_package", pkg), throttle, warnLevel(pkg))
		})
	})
}

// warnLevel lowers the warnings of two packages: "raft" warns of every step of a
// normal election, "config" of choices that are made on purpose.
func warnLevel(pkg string) logrus.Level {
	if pkg == "raft" || pkg == "config" {
		return logrus.DebugLevel
	}
	return logrus.WarnLevel
}

// raftLogger lowers dragonboat's levels by what follows from a line: its info
// reports every step of every group, which is our debug. The format text is the
// throttle key, since the arguments differ on every repetition.
type raftLogger struct {
	log      *logrus.Entry
	throttle *Throttle
	warn     logrus.Level // level of its warnings
	level    atomic.Int64
}

func newRaftLogger(log *logrus.Entry, throttle *Throttle, warn logrus.Level) *raftLogger {
	l := &raftLogger{log: log, throttle: throttle, warn: warn}
	l.level.Store(int64(logger.INFO))
	return l
}

func (l *raftLogger) SetLevel(level logger.LogLevel) { l.level.Store(int64(level)) }

func (l *raftLogger) Debugf(format string, args ...any) {
	if l.enabled(logger.DEBUG) && l.log.Logger.IsLevelEnabled(logrus.TraceLevel) {
		l.log.Tracef(format, args...)
	}
}

func (l *raftLogger) Infof(format string, args ...any) {
	if l.enabled(logger.INFO) && l.log.Logger.IsLevelEnabled(logrus.DebugLevel) {
		l.log.Debugf(format, args...)
	}
}

func (l *raftLogger) Warningf(format string, args ...any) {
	if l.enabled(logger.WARNING) && l.log.Logger.IsLevelEnabled(l.warn) {
		l.throttled(l.warn, format, args)
	}
}

func (l *raftLogger) Errorf(format string, args ...any) {
	if l.enabled(logger.ERROR) {
		l.throttled(logrus.ErrorLevel, format, args)
	}
}

// Panicf must not return: dragonboat calls it where going on would damage data.
func (l *raftLogger) Panicf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.log.Error(text)
	panic(text)
}

func (l *raftLogger) enabled(level logger.LogLevel) bool { return l.level.Load() >= int64(level) }

func (l *raftLogger) throttled(level logrus.Level, format string, args []any) {
	suppressed, ok := l.throttle.Allow(format)
	if !ok {
		return
	}
	log := l.log
	if suppressed > 0 {
		log = log.WithField("suppressed", suppressed)
	}
	log.Logf(level, format, args...)
}
