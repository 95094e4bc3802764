// Command table turns the runs of scripts/bench-compare.sh into a table: medians
// over the rounds, one row for each kind of load, one column for each contestant.
//
// A line of input is a contestant, a load and the run's JSON, separated by tabs.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// run is what is read of a run's JSON, be it of `arion bench` or of peer.
type run struct {
	PerSecond float64          `json:"operations_per_second"`
	P50       float64          `json:"p50_us"`
	P99       float64          `json:"p99_us"`
	ServerCPU float64          `json:"server_cpu"` // cores; 0 = not known
	Failed    int64            `json:"failed"`
	Errors    map[string]int64 `json:"errors"`
	Reads     *latency         `json:"reads"`
	Writes    *latency         `json:"writes"`
}

type latency struct {
	P50 float64 `json:"p50_us"`
	P99 float64 `json:"p99_us"`
}

// cell is all rounds of one contestant under one load.
type cell struct {
	perSecond, p50, p99, failed []float64
	perCall                     []float64 // the servers' CPU, in microseconds; 0 = not known
}

type table struct {
	contestants, loads []string // in order of appearance
	cells              map[[2]string]*cell
}

func main() {
	t, err := read(os.Stdin)
	if err == nil {
		err = t.write(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// longestLine has room for a run of an hour, with a few dozen bytes per second.
const longestLine = 1 << 20

func read(in io.Reader) (*table, error) {
	t := &table{cells: map[[2]string]*cell{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		contestant, rest, _ := strings.Cut(lines.Text(), "\t")
		load, text, ok := strings.Cut(rest, "\t")
		var r run
		if !ok || json.Unmarshal([]byte(text), &r) != nil {
			return nil, fmt.Errorf("no run in line %q", lines.Text())
		}
		t.add(contestant, load, r)
	}
	return t, lines.Err()
}

func (t *table) add(contestant, load string, r run) {
	if !slices.Contains(t.contestants, contestant) {
		t.contestants = append(t.contestants, contestant)
	}
	if !slices.Contains(t.loads, load) {
		t.loads = append(t.loads, load)
	}
	for _, l := range []*latency{r.Reads, r.Writes} {
		if l != nil {
			r.P50, r.P99 = l.P50, l.P99
		}
	}
	for _, n := range r.Errors {
		r.Failed += n
	}
	at := [2]string{contestant, load}
	if t.cells[at] == nil {
		t.cells[at] = new(cell)
	}
	c := t.cells[at]
	c.perSecond, c.p50, c.p99 = append(c.perSecond, r.PerSecond), append(c.p50, r.P50), append(c.p99, r.P99)
	c.failed = append(c.failed, float64(r.Failed))
	c.perCall = append(c.perCall, r.ServerCPU/max(1, r.PerSecond)*1e6)
}

// median is the middle value, the lower one of two.
func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return x[(len(x)-1)/2]
}

// write prints operations per second with p50 and p99 in milliseconds, the ratio
// to the first contestant, and the servers' CPU of a call where it is known.
func (t *table) write(out io.Writer) error {
	var b strings.Builder
	b.WriteString("| load |")
	for _, c := range t.contestants {
		b.WriteString(" " + c + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(t.contestants)) + "\n")
	for _, load := range t.loads {
		b.WriteString("| " + load + " |")
		for _, contestant := range t.contestants {
			b.WriteString(" " + t.text(contestant, load) + " |")
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (t *table) text(contestant, load string) string {
	c := t.cells[[2]string{contestant, load}]
	if c == nil {
		return "–"
	}
	text := fmt.Sprintf("%s/s, %s / %s ms", thousands(median(c.perSecond)), ms(median(c.p50)), ms(median(c.p99)))
	if first := t.cells[[2]string{t.contestants[0], load}]; first != nil && first != c {
		text += fmt.Sprintf(", ×%.2f", median(c.perSecond)/median(first.perSecond))
	}
	if cpu := median(c.perCall); cpu > 0 {
		text += fmt.Sprintf(", CPU %.1f us", cpu)
	}
	if failed := slices.Max(c.failed); failed > 0 {
		text += fmt.Sprintf(", %.0f failed", failed)
	}
	return text
}

func thousands(x float64) string {
	if x < 10_000 {
		return fmt.Sprintf("%.1fk", x/1000)
	}
	return fmt.Sprintf("%.0fk", x/1000)
}

func ms(us float64) string { return fmt.Sprintf("%.3g", us/1000) }
