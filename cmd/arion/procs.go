package main

import (
	"context"
	"os"
	"runtime"
	"syscall"
	"time"
)

// A sync of the raft log and a call into RocksDB hold one of Go's processors until
// the scheduler notices, after 20 us to 10 ms. With as many as the machine has, two
// syncs at once on two cores stop everything else. With twice as many, puts with
// three replicas went from 27-35k to 47k/s, lone ones from 0.9k to 1.4k/s, and gets
// did not change; but an idle server used a fifth more, since idle processors look
// for work. So a server has them while it is busy (docs/performance.md).
const (
	procFactor = 2
	procPeriod = 250 * time.Millisecond
	// Busy is more than busyShare of a core, idle less than idleShare for so many
	// periods. A server of 300 idle partitions uses a tenth of a core.
	busyShare   = 0.25
	idleShare   = 0.2
	idlePeriods = 40
)

// procs decides how many goroutines run at once.
type procs struct {
	cores, now int
	idle       int // periods
}

// next takes the cores used in the last period.
func (p *procs) next(used float64) int {
	switch {
	case used > busyShare:
		p.now, p.idle = procFactor*p.cores, 0
	case used < idleShare:
		if p.idle++; p.idle >= idlePeriods {
			p.now = p.cores
		}
	default:
		p.idle = 0
	}
	return p.now
}

// followLoad keeps GOMAXPROCS as procs decides until ctx ends, unless the environment
// variable has set it.
func followLoad(ctx context.Context) {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	p := procs{cores: runtime.GOMAXPROCS(0), now: runtime.GOMAXPROCS(0)}
	go func() {
		t := time.NewTicker(procPeriod)
		defer t.Stop()
		last, at := processorTime(), time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-t.C:
				used := processorTime()
				before := p.now
				if n := p.next(float64(used-last) / float64(now.Sub(at))); n != before {
					runtime.GOMAXPROCS(n)
				}
				last, at = used, now
			}
		}
	}()
}

// processorTime is what the process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
