package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// section is how a step is shown.
type section struct {
	step, title, text string
	pictures          []picture
}

// picture is a chart of one figure of every point of a step.
type picture struct {
	file, title string
	x, y        axis
	lines       func(*stepResult) []line
	course      bool // x is time
}

func perSecond(r *runResult) float64 { return r.PerSecond }
func p99(r *runResult) float64       { return r.P99 }

// perCall is the processor time of the servers for each call, in microseconds.
func perCall(r *runResult) float64 {
	if r.PerSecond == 0 {
		return 0
	}
	return r.ServerCPU / r.PerSecond * 1e6
}

// runLines has a line for each run of the names in each series.
func runLines(figure func(*runResult) float64, names ...string) func(*stepResult) []line {
	return func(s *stepResult) []line {
		var lines []line
		for _, series := range s.series() {
			for _, name := range names {
				l := line{name: name}
				if series != "" {
					l.name += ", " + series
				}
				for i := range s.Points {
					p := &s.Points[i]
					if r := p.run(name); r != nil && p.Series == series && figure(r) > 0 {
						l.points = append(l.points, [2]float64{p.X, figure(r)})
					}
				}
				lines = append(lines, l)
			}
		}
		return lines
	}
}

// series are the lines a step is split into.
func (s *stepResult) series() []string {
	var names []string
	for _, p := range s.Points {
		if !slices.Contains(names, p.Series) {
			names = append(names, p.Series)
		}
	}
	return names
}

// pointLines has a line for each series of a figure of the point.
func pointLines(name string, figure func(*pointResult) float64) func(*stepResult) []line {
	return func(s *stepResult) []line {
		var lines []line
		for _, series := range s.series() {
			l := line{name: strings.TrimSuffix(name+", "+series, ", ")}
			for i := range s.Points {
				if p := &s.Points[i]; p.Series == series && figure(p) > 0 {
					l.points = append(l.points, [2]float64{p.X, figure(p)})
				}
			}
			lines = append(lines, l)
		}
		return lines
	}
}

func peak(p *pointResult) float64   { return float64(p.PeakMemory) }
func budget(p *pointResult) float64 { return float64(p.Budget) }

// memoryLines shows the most memory beside the budget.
func memoryLines(s *stepResult) []line {
	used := pointLines("resident", peak)(s)
	one := stepResult{Points: slices.Clone(s.Points)}
	for i := range one.Points {
		one.Points[i].Series = ""
	}
	lines := pointLines("budget", budget)(&one)
	lines[0].bare = true
	slices.SortFunc(lines[0].points, func(a, b [2]float64) int { return int(a[0] - b[0]) })
	return append(used, lines...)
}

// courses has a line for each load that took long.
func courses(s *stepResult) []line {
	var lines []line
	for i := range s.Points {
		p := &s.Points[i]
		r := p.run("load")
		if r == nil || len(r.Course) == 0 {
			continue
		}
		l := line{name: p.Label + " records", bare: true}
		for at, n := range r.Course {
			l.points = append(l.points, [2]float64{float64(at + 1), float64(n)})
		}
		lines = append(lines, l)
	}
	return lines
}

// bandwidth is bytes of values in a second.
func bandwidth(s *stepResult) []line {
	var lines []line
	for _, name := range []string{"get", "put"} {
		l := line{name: name}
		for i := range s.Points {
			if r := s.Points[i].run(name); r != nil && r.PerSecond > 0 {
				l.points = append(l.points, [2]float64{s.Points[i].X, r.PerSecond * float64(s.Points[i].ValueSize)})
			}
		}
		lines = append(lines, l)
	}
	return lines
}

var (
	callAxis    = axis{title: "calls per second", format: count}
	callLogAxis = axis{title: "calls per second (log)", format: count, log: true}
	p99Axis     = axis{title: "p99 (log)", format: milliseconds, log: true}
	memoryAxis  = axis{title: "memory of a replica server", format: bytesText, binary: true}
	costAxis    = axis{title: "servers' CPU per call", format: func(us float64) string { return count(us) + " us" }}
)

func logX(title string, format func(float64) string) axis {
	return axis{title: title + " (log)", format: format, log: true}
}

var sections = []section{
	{
		step: "partitions", title: "Partitions",
		text: `The same load on tables of more partitions. With 512 calls in flight there are
fewer for each partition to share a log entry and a sync. 300 partitions are a
loaded table of 256 and three tables of 44 together that nobody uses. "Idle" is what
all of them cost when nobody asks anything.`,
		pictures: []picture{
			{file: "partitions", title: "Throughput and partitions", x: logX("partitions", count), y: callAxis, lines: runLines(perSecond, "get", "put")},
			{file: "partitions-cpu", title: "Cost and partitions", x: logX("partitions", count), y: costAxis, lines: runLines(perCall, "get", "put")},
			{file: "partitions-memory", title: "Memory and partitions", x: logX("partitions", count), y: memoryAxis, lines: memoryLines},
		},
	}, {
		step: "records", title: "Records",
		text: `A load of records of 100 bytes, one after the other, and random gets afterwards.
The longest call bounds the longest stall: with 512 calls in flight a stall is
seen by all of them. A load that is not done after five minutes is cut off, and the
records it wrote are given.`,
		pictures: []picture{
			{file: "records-load", title: "Records written in each second of a load", x: axis{title: "time", format: seconds}, y: axis{title: "records per second", format: count}, lines: courses, course: true},
			{file: "records", title: "Throughput and records", x: logX("records", count), y: callAxis, lines: runLines(perSecond, "load", "get", "put")},
			{file: "records-memory", title: "Memory and records", x: logX("records", count), y: memoryAxis, lines: memoryLines},
		},
	}, {
		step: "values", title: "Value size",
		text: `Calls in flight are fewer for large values, so that at most 32 MB are under way.`,
		pictures: []picture{
			{file: "values", title: "Throughput and value size", x: logX("value", bytesText), y: callLogAxis, lines: runLines(perSecond, "get", "put")},
			{file: "values-bytes", title: "Bytes of values and value size", x: logX("value", bytesText), y: axis{title: "bytes per second (log)", format: bytesText, log: true}, lines: bandwidth},
		},
	}, {
		step: "connections", title: "Connections",
		text: `The same 2,000 calls in flight, spread over more connections. On 2,000 each
has one call: nothing is shared by neighbours in a burst any more.`,
		pictures: []picture{
			{file: "connections", title: "Throughput and connections", x: logX("connections", count), y: callAxis, lines: runLines(perSecond, "get", "put")},
			{file: "connections-p99", title: "Latency and connections", x: logX("connections", count), y: p99Axis, lines: runLines(p99, "get", "put")},
			{file: "connections-memory", title: "Memory and connections", x: logX("connections", count), y: memoryAxis, lines: memoryLines},
		},
	}, {
		step: "cache", title: "A table larger than the cache",
		text: `Values of 1 KB and a budget of 256 MB for the server, 115 MB of it block cache.
What is not in the block cache comes from the operating system's: the machine has
more memory than the table, so this is the cost of reading, checking and unpacking
blocks, not of a disk.`,
		pictures: []picture{
			{file: "cache", title: "Throughput and table size", x: logX("bytes of values", bytesText), y: callAxis, lines: runLines(perSecond, "get", "get, Zipfian", "put")},
			{file: "cache-memory", title: "Memory and table size", x: logX("bytes of values", bytesText), y: memoryAxis, lines: memoryLines},
		},
	}, {
		step: "hotkey", title: "A hot key",
		text: `Choices that prefer few records, down to a single one: all load is on one
partition then, and its writes are ordered by one log.`,
	},
}

// draw writes the page and its pictures.
func draw(res *results, out string) error {
	dir := filepath.Join(out, "scale")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(head(res))
	for _, sec := range sections {
		s := res.step(sec.step)
		if s == nil {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n%s\n\n", sec.title, sec.text, s.when())
		for _, p := range sec.pictures {
			if err := os.WriteFile(filepath.Join(dir, p.file+".svg"), []byte(p.chart(s).svg()), 0o644); err != nil {
				return err
			}
			fmt.Fprintf(&b, "![%s](scale/%s.svg)\n", p.title, p.file)
		}
		if len(sec.pictures) > 0 {
			b.WriteByte('\n')
		}
		writeTable(&b, s)
	}
	return os.WriteFile(filepath.Join(out, "scale.md"), []byte(b.String()), 0o644)
}

func (p *picture) chart(s *stepResult) chart {
	c := chart{title: p.title, x: p.x, y: p.y, lines: p.lines(s)}
	if !p.course {
		c.x.ticks = distinct(c.lines)
	}
	return c
}

func head(res *results) string {
	e := res.Environment
	return fmt.Sprintf(`# Scale

What more of something costs: throughput, latency, processor time and memory while
one thing grows and all else stays. Written by `+"`make bench-scale`"+`; the figures are in
[scale/results.json](scale/results.json), and `+"`go run ./test/bench/scale -draw`"+` draws
them again. How to read such figures is in [performance.md](performance.md).

%d processors (%s), Linux %s, %s. A sync of 4 KB takes %.0f us there, a round trip on loopback %.0f us. Servers and load
generator share the machine; each server is a process of its own. Every point is a
fresh cluster. Unless the point says otherwise: 8 partitions, 1 replica, 100,000
records of 128 bytes, 512 calls in flight, each write synced, and `+"`node.memory`"+` 1 GB.
"CPU" is the processor time of all replica servers for each call. "Memory" is the
most that the largest replica server had resident, and its share of the budget.
`, e.Processors, e.CPU, e.Kernel, e.Client, e.SyncP50, e.Loopback)
}

// when says at what time and on how busy a machine a step was taken.
func (s *stepResult) when() string {
	text := fmt.Sprintf("Taken %s, load average %s before it.", s.Taken.Format(time.RFC3339), s.Load)
	if s.Short {
		text += " **A short run of tiny sizes, to show that the program works: not for quoting.**"
	}
	return text
}

// writeTable writes a row for each point and a column for each run; or, of a step
// with a single point, a row for each run.
func writeTable(b *strings.Builder, s *stepResult) {
	if len(s.Points) == 1 {
		b.WriteString("| load | result |\n|---|---:|\n")
		for _, r := range s.Points[0].Runs {
			fmt.Fprintf(b, "| %s | %s |\n", r.Name, r.text())
		}
		fmt.Fprintf(b, "\nMemory %s.%s\n", s.Points[0].memory(), trouble(&s.Points[0]))
		return
	}
	names := s.runNames()
	fmt.Fprintf(b, "| %s | %s | memory | disk | remarks |\n|---|%s---:|---:|---|\n", s.Name, strings.Join(names, " | "), strings.Repeat("---:|", len(names)))
	for i := range s.Points {
		p := &s.Points[i]
		fmt.Fprintf(b, "| %s |", p.Label)
		for _, name := range names {
			text := "–"
			if r := p.run(name); r != nil {
				text = r.text()
			}
			fmt.Fprintf(b, " %s |", text)
		}
		fmt.Fprintf(b, " %s | %s |%s |\n", p.memory(), bytesText(float64(p.Disk)), trouble(p))
	}
}

func (s *stepResult) runNames() []string {
	var names []string
	for _, p := range s.Points {
		for _, r := range p.Runs {
			if !slices.Contains(names, r.Name) {
				names = append(names, r.Name)
			}
		}
	}
	return names
}

func (r *runResult) text() string {
	if r.Operations == 0 && r.Failed == 0 {
		return fmt.Sprintf("%.2f processors", r.ServerCPU)
	}
	text := fmt.Sprintf("%s/s, p99 %s, longest %s, CPU %.1f us", count(r.PerSecond), milliseconds(r.P99), milliseconds(r.Max), perCall(r))
	if r.Failed > 0 {
		text += fmt.Sprintf(", **%d failed**", r.Failed)
	}
	return text
}

func (p *pointResult) memory() string {
	return fmt.Sprintf("%s, %.0f %%", bytesText(float64(p.PeakMemory)), 100*float64(p.PeakMemory)/float64(max(1, p.Budget)))
}

// trouble is what a reader must know of a point.
func trouble(p *pointResult) string {
	var notes []string
	if p.Error != "" {
		notes = append(notes, "**"+strings.Join(strings.Fields(p.Error), " ")+"**")
	}
	if r := p.run("load"); r != nil && r.Operations < int64(p.Records) {
		notes = append(notes, fmt.Sprintf("%s records written", count(float64(r.Operations))))
	}
	if len(notes) == 0 {
		return ""
	}
	return " " + strings.Join(notes, "; ")
}
