package obs

import (
	"bytes"
	"io"
	"log"
	"strings"

	"github.com/sirupsen/logrus"
)

// MemberlistLogger is what memberlist.Config.Logger takes.
func MemberlistLogger(entry *logrus.Entry) *log.Logger {
	return log.New(MemberlistLogWriter(entry), "", 0)
}

// MemberlistLogWriter reads memberlist's lines, "[LEVEL] memberlist: text" with
// or without a date in front, and logs them at their level. Each Write is one
// line, as log.Logger promises.
func MemberlistLogWriter(entry *logrus.Entry) io.Writer {
	return &memberlistWriter{log: entry, throttle: NewThrottle(libraryInterval)}
}

type memberlistWriter struct {
	log      *logrus.Entry
	throttle *Throttle
}

func (w *memberlistWriter) Write(line []byte) (int, error) {
	level, text := splitMemberlistLine(line)
	if level >= logrus.DebugLevel {
		if w.log.Logger.IsLevelEnabled(level) {
			w.log.Log(level, text)
		}
		return len(line), nil
	}
	w.throttle.Log(w.log, level, throttleKey(text), text)
	return len(line), nil
}

// memberlistLevels: an error of memberlist's is a ping that failed or a stream
// that broke. The next round repairs it, so it wants nobody's attention.
var memberlistLevels = map[string]logrus.Level{
	"DEBUG": logrus.DebugLevel,
	"INFO":  logrus.InfoLevel,
	"WARN":  logrus.WarnLevel,
	"ERR":   logrus.WarnLevel,
	"ERROR": logrus.WarnLevel,
}

func splitMemberlistLine(line []byte) (logrus.Level, string) {
	line = bytes.TrimRight(line, "\r\n")
	level := logrus.InfoLevel
	if open := bytes.IndexByte(line, '['); open >= 0 {
		if length := bytes.IndexByte(line[open:], ']'); length > 0 {
			if known, ok := memberlistLevels[string(line[open+1:open+length])]; ok {
				level, line = known, line[open+length+1:]
			}
		}
	}
	text := strings.TrimSpace(string(line))
	return level, strings.TrimPrefix(text, "memberlist: ")
}

// throttleKey is the fixed first part of a line; names and addresses follow a
// colon or stand in the later words.
func throttleKey(text string) string {
	if i := strings.IndexByte(text, ':'); i > 0 {
		text = text[:i]
	}
	const words = 3
	at := 0
	for range words {
		next := strings.IndexByte(text[at:], ' ')
		if next < 0 {
			return text
		}
		at += next + 1
	}
	return text[:at-1]
}
