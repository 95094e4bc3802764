package command

import (
	"fmt"
	"sync"
	"time"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/shell/render"
)

// trace writes what the client does for a command, as far as it sees it: where the
// table is, connections, tries, and the answer. The steps within a server are not
// on the wire. It is a hook of the client.
type trace struct {
	mu    sync.Mutex
	out   *render.Printer // nil = off
	begin time.Time
}

// to begins a trace, or ends it with nil.
func (t *trace) to(out *render.Printer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out, t.begin = out, time.Now()
}

func (t *trace) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.out != nil {
		fmt.Fprintf(t.out.Err, "trace: %8.1f ms  %s\n", float64(time.Since(t.begin).Microseconds())/1000, render.SafeText(fmt.Sprintf(format, args...)))
	}
}

func outcome(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

// OnRoute tells of the routing of a table, asked of the meta servers.
func (t *trace) OnRoute(table string, took time.Duration, err error) {
	t.say("route    %s from the meta servers, %.1f ms%s", table, float64(took.Microseconds())/1000, outcome(err))
}

// OnConnect tells of a new connection.
func (t *trace) OnConnect(node string, took time.Duration, err error) {
	t.say("connect  %s, %.1f ms%s", node, float64(took.Microseconds())/1000, outcome(err))
}

// OnDisconnect tells of a lost one.
func (t *trace) OnDisconnect(node string, err error) { t.say("lost     %s%s", node, outcome(err)) }

// OnRetry tells of a try that failed and is repeated.
func (t *trace) OnRetry(e client.RetryEvent) {
	t.say("retry    %s of partition %d on %s in %v, after try %d%s", e.Op, e.Partition, e.Node, e.Delay.Round(time.Millisecond), e.Attempt, outcome(e.Err))
}

// OnCall tells of a call that is over.
func (t *trace) OnCall(e client.CallEvent) {
	index := ""
	if e.Index > 0 {
		index = fmt.Sprintf(", log index %d", e.Index)
	}
	t.say("reply    %s of %s/%d on %s, %.1f ms, tries: %d%s%s", e.Op, e.Table, e.Partition, e.Node,
		float64(e.Duration.Microseconds())/1000, e.Attempts, index, outcome(e.Err))
}
