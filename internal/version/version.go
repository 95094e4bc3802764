// Package version says which Arion this is.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

// Release is the version of this tree.
const Release = "0.1.0"

// started is when the process started, near enough.
var started = time.Now()

// Commit is the revision the binary was built from, with a plus sign when the
// tree held changes; "unknown" outside a checkout.
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, changed := "unknown", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	return revision + changed
}

// Line is the whole in one line.
func Line() string {
	return fmt.Sprintf("arion %s (%s) %s %s/%s", Release, Commit(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// Info is what the server-info command of a role answers.
func Info(role string) string {
	return fmt.Sprintf("Arion %s %s (%s), %s, started at %s", role, Release, Commit(), runtime.Version(),
		started.Format("2006-01-02 15:04:05"))
}
