package command

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// progress shows how far long work is, on stderr: a bar that redraws itself on a
// terminal, else a line now and then. Nothing when footers are off.
type progress struct {
	c     *call
	unit  string
	begin time.Time

	mu      sync.Mutex
	done    int64   // of unit
	errors  int64   // that did not end the work
	part    float64 // 0 to 1 when known otherwise than by total
	total   int64   // of unit; 0 = unknown
	shown   time.Time
	drawn   bool
	resumed int64 // done before this run: no part of the rate
}

// How often it shows itself.
const (
	redrawEvery = 200 * time.Millisecond
	lineEvery   = 5 * time.Second
)

func (c *call) progress(unit string) *progress {
	now := time.Now()
	return &progress{c: c, unit: unit, begin: now, shown: now}
}

func (p *progress) set(done int64)       { p.update(func() { p.done = done }) }
func (p *progress) add(n, errors int64)  { p.update(func() { p.done += n; p.errors += errors }) }
func (p *progress) setPart(part float64) { p.update(func() { p.part = part }) }

func (p *progress) update(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	every := lineEvery
	if p.c.session.Printer.Terminal {
		every = redrawEvery
	}
	if now := time.Now(); !p.c.session.Printer.Quiet && now.Sub(p.shown) >= every {
		p.shown = now
		p.draw(now)
	}
}

// end takes the bar away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn && p.c.session.Printer.Terminal {
		fmt.Fprint(p.c.session.Printer.Err, "\r\x1b[K")
	}
	p.drawn = false
}

func (p *progress) draw(now time.Time) {
	p.drawn = true
	text := p.text(now.Sub(p.begin))
	if p.c.session.Printer.Terminal {
		fmt.Fprint(p.c.session.Printer.Err, "\r\x1b[K"+text)
		return
	}
	fmt.Fprintln(p.c.session.Printer.Err, text)
}

const barWidth = 20

func (p *progress) text(took time.Duration) string {
	part := p.part
	if p.total > 0 {
		part = min(1, float64(p.done)/float64(p.total))
	}
	var parts []string
	if part > 0 || p.total > 0 {
		full := int(part * barWidth)
		parts = append(parts, "["+strings.Repeat("#", full)+strings.Repeat(" ", barWidth-full)+"] "+strconv.Itoa(int(100*part))+" %")
	}
	if p.unit != "percent" {
		rate := float64(p.done-p.resumed) / max(took.Seconds(), 1e-3)
		parts = append(parts, fmt.Sprintf("%d %s", p.done, p.unit), fmt.Sprintf("%.0f/s", rate))
	}
	if part > 0 && part < 1 {
		parts = append(parts, "ETA "+time.Duration(float64(took)*(1-part)/part).Round(time.Second).String())
	}
	return strings.Join(append(parts, fmt.Sprintf("%d errors", p.errors)), ", ")
}

// pace holds work down to a number of records a second.
type pace struct {
	rate  float64 // 0 = no limit
	mu    sync.Mutex
	due   time.Time
	begun bool
}

// wait gives how long to sleep before n records more.
func (p *pace) wait(n int) time.Duration {
	if p.rate <= 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if !p.begun || p.due.Before(now) {
		p.begun, p.due = true, now
	}
	left := p.due.Sub(now)
	p.due = p.due.Add(time.Duration(float64(n) / p.rate * float64(time.Second)))
	return left
}
