// Package metrics reads what servers tell at /metrics, in the text form of
// Prometheus, as far as the shell needs it.
package metrics

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sample is one value.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// Set is what one server told at one time, by metric name.
type Set struct {
	At      time.Time
	Samples map[string][]Sample
}

// maxBody bounds what a server may send: a large node has some ten thousand lines.
const maxBody = 16 << 20

// client is of its own, so that no proxy of the environment is asked.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Fetch asks the server at addr ("host:port").
func Fetch(ctx context.Context, addr string) (Set, error) {
	body, _, err := Get(ctx, addr, "/metrics")
	if err != nil {
		return Set{}, err
	}
	defer body.Close()
	return Parse(io.LimitReader(body, maxBody))
}

// Get asks a server for a path. The caller closes the body.
func Get(ctx context.Context, addr, path string) (io.ReadCloser, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("metrics: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("metrics: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, nil, fmt.Errorf("metrics: %s%s answers %s", addr, path, resp.Status)
	}
	return resp.Body, resp.Header, nil
}

// Parse reads the text form. Lines it does not understand are left out.
func Parse(r io.Reader) (Set, error) {
	s := Set{At: time.Now(), Samples: map[string][]Sample{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if name, sample, ok := parseLine(lines.Text()); ok {
			s.Samples[name] = append(s.Samples[name], sample)
		}
	}
	if err := lines.Err(); err != nil {
		return s, fmt.Errorf("metrics: %w", err)
	}
	return s, nil
}

// parseLine reads name{label="value",…} number.
func parseLine(line string) (name string, s Sample, ok bool) {
	if line == "" || line[0] == '#' {
		return "", s, false
	}
	end := strings.IndexAny(line, "{ ")
	if end <= 0 {
		return "", s, false
	}
	name, rest := line[:end], line[end:]
	s.Labels = map[string]string{}
	if rest[0] == '{' {
		if rest, ok = parseLabels(rest[1:], s.Labels); !ok {
			return "", s, false
		}
	}
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return "", s, false
	}
	value, err := strconv.ParseFloat(fields[0], 64)
	s.Value = value
	return name, s, err == nil
}

func parseLabels(text string, labels map[string]string) (rest string, ok bool) {
	for {
		text = strings.TrimLeft(text, ", ")
		if after, end := strings.CutPrefix(text, "}"); end {
			return after, true
		}
		name, after, found := strings.Cut(text, "=")
		quoted, err := strconv.QuotedPrefix(after)
		if !found || err != nil {
			return "", false
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return "", false
		}
		labels[name], text = value, after[len(quoted):]
	}
}

// Sum adds up the samples of a name whose labels agree with want, given as name,
// value, name, value.
func (s Set) Sum(name string, want ...string) float64 {
	var sum float64
	for _, x := range s.Samples[name] {
		if x.is(want) {
			sum += x.Value
		}
	}
	return sum
}

// Has tells whether the server has the metric.
func (s Set) Has(name string) bool { return len(s.Samples[name]) > 0 }

func (x Sample) is(want []string) bool {
	for i := 0; i+1 < len(want); i += 2 {
		if x.Labels[want[i]] != want[i+1] {
			return false
		}
	}
	return true
}

// Rate is the increase of a counter per second between two sets of one server; a
// counter that fell was started anew.
func Rate(before, after Set, name string, want ...string) float64 {
	seconds := after.At.Sub(before.At).Seconds()
	if seconds <= 0 {
		return 0
	}
	return max(0, after.Sum(name, want...)-before.Sum(name, want...)) / seconds
}

// Quantile estimates a quantile of the observations of a histogram between two
// sets, as the upper bound of its bucket. NaN without observations. An empty
// before means since the start of the server.
func Quantile(q float64, before, after Set, name string, pick func(labels map[string]string) bool) float64 {
	counts := map[float64]float64{}
	collect := func(s Set, sign float64) {
		for _, x := range s.Samples[name+"_bucket"] {
			bound, err := strconv.ParseFloat(x.Labels["le"], 64)
			if err == nil && pick(x.Labels) {
				counts[bound] += sign * x.Value
			}
		}
	}
	collect(after, 1)
	collect(before, -1)
	total := counts[math.Inf(1)]
	if total <= 0 {
		return math.NaN()
	}
	var bounds []float64
	for bound := range counts {
		bounds = append(bounds, bound)
	}
	slices.Sort(bounds)
	for _, bound := range bounds {
		if counts[bound] >= q*total {
			return bound
		}
	}
	return math.Inf(1)
}
