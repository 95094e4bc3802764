package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFit(t *testing.T) {
	for name, tc := range map[string]struct {
		axis   axis
		values []float64
		ticks  []float64
	}{
		"from zero":    {axis{}, []float64{3, 250}, []float64{0, 50, 100, 150, 200, 250}},
		"all zero":     {axis{}, []float64{0}, []float64{0, 1}},
		"bytes":        {axis{binary: true}, []float64{3 * kb}, []float64{0, kb, 2 * kb, 3 * kb}},
		"logarithmic":  {axis{log: true}, []float64{30, 2000}, []float64{10, 100, 1000, 10000}},
		"own ticks":    {axis{log: true, ticks: []float64{2, 300}}, []float64{2, 300}, []float64{2, 300}},
		"one of a log": {axis{log: true}, []float64{100}, []float64{100}},
	} {
		t.Run(name, func(t *testing.T) {
			s := tc.axis.fit(tc.values)
			require.Equal(t, tc.ticks, s.ticks)
			for _, v := range tc.values {
				require.GreaterOrEqual(t, s.at(v), 0.0)
				require.LessOrEqual(t, s.at(v), 1.0)
			}
		})
	}
	s := axis{log: true, ticks: []float64{1, 100}}.fit(nil)
	require.InDelta(t, 0.5, s.at(10), 1e-9)
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1: "1", 950: "950", 1500: "1.5k", 999_900: "1M", 123_456: "123k", 10_000_000: "10M", 12.34: "12.3"} {
		require.Equal(t, want, count(v))
	}
	for v, want := range map[float64]string{16: "16 B", 1 << 20: "1 MB", 1<<20 - 64: "1 MB", 1.5 * gb: "1.5 GB"} {
		require.Equal(t, want, bytesText(v))
	}
	require.Equal(t, "1.5 ms", milliseconds(1500))
	require.Equal(t, "2.5 s", milliseconds(2.5e6))
}

func example() chart {
	return chart{
		title: "Gets & puts <per> second", x: logX("partitions", count), y: callAxis,
		lines: []line{
			{name: "get", points: [][2]float64{{2, 100_000}, {8, 250_000}, {300, 90_000}}},
			{name: "put", points: [][2]float64{{2, 40_000}, {8, 50_000}}},
			{name: "budget", bare: true, points: [][2]float64{{2, 10}, {8, 10}}},
		},
	}
}

func pointTicks(c chart) chart {
	c.x.ticks = distinct(c.lines)
	return c
}

// elements parses a picture and counts its elements; text is all text in it.
func elements(t *testing.T, svg string) (counts map[string]int, text string) {
	t.Helper()
	counts = map[string]int{}
	var all strings.Builder
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return counts, all.String()
		}
		require.NoError(t, err)
		switch e := token.(type) {
		case xml.StartElement:
			counts[e.Name.Local]++
			for _, a := range e.Attr {
				requireInside(t, a)
			}
		case xml.CharData:
			all.Write(e)
		}
	}
}

// requireInside checks that nothing is drawn outside of the picture.
func requireInside(t *testing.T, a xml.Attr) {
	t.Helper()
	limit := map[string]float64{"x": width, "x1": width, "x2": width, "cx": width, "y": height, "y1": height, "y2": height, "cy": height}[a.Name.Local]
	if limit == 0 {
		return
	}
	v, err := strconv.ParseFloat(a.Value, 64)
	require.NoError(t, err)
	require.GreaterOrEqual(t, v, 0.0, a.Name.Local)
	require.LessOrEqual(t, v, limit, a.Name.Local)
}

func TestPicture(t *testing.T) {
	counts, text := elements(t, pointTicks(example()).svg())
	require.Equal(t, 3, counts["polyline"])
	require.Equal(t, 3+1, counts["circle"], "a mark for each point, and one in the legend")
	for _, want := range []string{"Gets & puts <per> second", "partitions (log)", "calls per second", "get", "put", "budget", "300", "250k", "prefers-color-scheme:dark"} {
		require.Contains(t, text, want)
	}
}

func TestPictureOfNothing(t *testing.T) {
	_, text := elements(t, chart{title: "empty", lines: []line{{name: "get"}}}.svg())
	require.Contains(t, text, "nothing was measured")
}

// A label that would stand on its neighbour is left out; its tick stays.
func TestCrowdedTicks(t *testing.T) {
	c := example()
	c.x.ticks = []float64{100, 100.1, 10_000}
	c.lines = []line{{name: "get", points: [][2]float64{{100, 1}, {10_000, 2}}}}
	c.x.format = func(v float64) string { return "tick " + strconv.FormatFloat(v, 'f', 1, 64) }
	_, text := elements(t, c.svg())
	require.Contains(t, text, "tick 100.0")
	require.NotContains(t, text, "tick 100.1")
	require.Contains(t, text, "tick 10000.0")
}
