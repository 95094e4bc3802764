package obs

import (
	"io"
	"os"
	"time"

	"github.com/sirupsen/logrus"
)

// NewLogger makes the process's logger. level is one of logrus's names; format
// is "json" or "text". An unknown level means info and an unknown format means
// text: config refuses both before, and a server must be able to log in any
// case. A nil out is standard error.
func NewLogger(level, format string, out io.Writer) *logrus.Logger {
	if out == nil {
		out = os.Stderr
	}
	log := logrus.New()
	log.SetOutput(out)
	log.SetLevel(parseLevel(level))
	log.SetFormatter(formatter(format))
	return log
}

func parseLevel(name string) logrus.Level {
	level, err := logrus.ParseLevel(name)
	if err != nil {
		return logrus.InfoLevel
	}
	return level
}

func formatter(name string) logrus.Formatter {
	// Milliseconds: the order of a leader change and its consequences is
	// invisible in whole seconds.
	const layout = "2006-01-02T15:04:05.000Z07:00"
	if name == "json" {
		return &logrus.JSONFormatter{TimestampFormat: layout}
	}
	return &logrus.TextFormatter{TimestampFormat: layout, FullTimestamp: true}
}

// Discard is a logger for tests and for callers that gave none.
func Discard() *logrus.Entry {
	log := logrus.New()
	log.SetOutput(io.Discard)
	log.SetLevel(logrus.PanicLevel)
	return logrus.NewEntry(log)
}

// libraryInterval is how often one repeated line of a library may appear. A
// dead peer makes dragonboat and memberlist repeat themselves several times a
// second; ten seconds keep the line visible and the log readable.
const libraryInterval = 10 * time.Second
