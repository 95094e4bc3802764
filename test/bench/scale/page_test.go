package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/cmd/arion/bench"
)

// taken makes results of every point of a size, as if all had been measured.
func taken(s size) *results {
	res := &results{Environment: bench.Environment{Processors: 2, CPU: "test"}}
	for _, st := range stepsOf(s) {
		sr := stepResult{Name: st.name, Taken: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Load: "0.5"}
		for _, p := range st.points {
			pr := pointResult{Label: p.label, X: p.x, Series: p.series, Records: p.records, ValueSize: p.valueSize, Budget: p.memory, PeakMemory: p.memory / 4}
			pr.Runs = append(pr.Runs, runResult{Name: "load", Operations: int64(p.records), PerSecond: 50_000, P99: 900, Course: []int64{1, 2, 3}})
			for _, l := range p.runs {
				pr.Runs = append(pr.Runs, runResult{Name: l.name, Operations: 9, PerSecond: 123_000, P99: 2000, Max: 5000, ServerCPU: 1.23})
			}
			sr.Points = append(sr.Points, pr)
		}
		res.Steps = append(res.Steps, sr)
	}
	return res
}

func TestDrawAgain(t *testing.T) {
	out := t.TempDir()
	path := filepath.Join(out, "scale", "results.json")
	res := taken(full)
	require.NoError(t, res.save(path))
	back, err := readResults(path)
	require.NoError(t, err)
	require.Equal(t, res, back)

	require.NoError(t, draw(back, out))
	page, err := os.ReadFile(filepath.Join(out, "scale.md"))
	require.NoError(t, err)
	for _, sec := range sections {
		require.Contains(t, string(page), "\n## "+sec.title+"\n")
		for _, p := range sec.pictures {
			require.Contains(t, string(page), "(scale/"+p.file+".svg)")
			svg, err := os.ReadFile(filepath.Join(out, "scale", p.file+".svg"))
			require.NoError(t, err)
			counts, text := elements(t, string(svg))
			require.Positive(t, counts["polyline"], p.file)
			require.NotContains(t, text, "nothing was measured", p.file)
		}
	}
	require.Contains(t, string(page), "| 300, replicas: 3 |")
	require.Contains(t, string(page), "123k/s, p99 2 ms, longest 5 ms, CPU 10.0 us")
	require.Contains(t, string(page), "256 MB, 25 %")
	require.NotContains(t, string(page), "not for quoting")
}

func TestTroubleIsTold(t *testing.T) {
	res := taken(tiny)
	res.step("records").Short = true
	p := &res.step("records").Points[0]
	p.Runs[0].Operations, p.Runs[1].Failed, p.Error = 10, 3, "replica1 has ended:\npanic"
	res.step("values").Points[0].Runs = nil
	out := t.TempDir()
	require.NoError(t, draw(res, out))
	page, err := os.ReadFile(filepath.Join(out, "scale.md"))
	require.NoError(t, err)
	for _, want := range []string{"not for quoting", "**3 failed**", "**replica1 has ended: panic**; 10 records written", "| 16 B | – | – | – |"} {
		require.Contains(t, string(page), want)
	}
}

// Steps that are taken again replace the old ones, and the others stay.
func TestSomeStepsAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "scale", "results.json")
	again := &results{Steps: []stepResult{{Name: "values", Load: "9"}}}
	res, err := merged(path, again)
	require.NoError(t, err)
	require.Equal(t, again, res)

	require.NoError(t, taken(tiny).save(path))
	res, err = merged(path, again)
	require.NoError(t, err)
	require.Len(t, res.Steps, len(stepsOf(tiny)))
	require.Equal(t, "9", res.step("values").Load)
	require.Equal(t, "0.5", res.step("records").Load)

	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	_, err = merged(path, again)
	require.ErrorContains(t, err, "results.json")
}

func TestChoose(t *testing.T) {
	all := stepsOf(tiny)
	chosen, err := choose(all, []string{"values", "records"})
	require.NoError(t, err)
	require.Len(t, chosen, 2)
	require.Equal(t, "values", chosen[0].name)
	_, err = choose(all, []string{"value"})
	require.ErrorContains(t, err, "value: there is no such step")
}

// What is sent is valid: sizes are within the limits, calls at least one for each
// connection, and large values do not fill the memory.
func TestPointsAreSane(t *testing.T) {
	for _, s := range []size{full, tiny} {
		for _, st := range stepsOf(s) {
			for _, p := range st.points {
				require.Positive(t, p.inFlight, p.label)
				require.Positive(t, p.records, p.label)
				require.LessOrEqual(t, p.inFlight*p.valueSize, 64*mb, p.label)
				require.LessOrEqual(t, int(p.x), 10_000_000*kb)
			}
		}
		for _, n := range s.clients {
			require.LessOrEqual(t, n, s.calls)
		}
	}
}
