package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// axis places values of one dimension.
type axis struct {
	title  string
	log    bool
	format func(float64) string
	binary bool      // bytes: round numbers are those of 1024
	ticks  []float64 // empty = chosen from the values
}

// scale is an axis fitted to values: at maps a value to 0..1.
type scale struct {
	low, high float64
	log       bool
	ticks     []float64
}

func (a axis) fit(values []float64) scale {
	s := scale{log: a.log, low: math.Inf(1), high: math.Inf(-1)}
	for _, v := range append(values, a.ticks...) {
		s.low, s.high = min(s.low, v), max(s.high, v)
	}
	switch {
	case len(a.ticks) > 0:
		s.ticks = a.ticks
	case a.log:
		s.low = math.Pow(10, math.Floor(math.Log10(s.low)))
		s.high = math.Pow(10, math.Ceil(math.Log10(s.high)))
		for v := s.low; v <= s.high*1.001; v *= 10 {
			s.ticks = append(s.ticks, v)
		}
	default:
		s.low = 0
		step := a.roundStep(s.high / 5)
		s.high = max(1, math.Ceil(s.high/step)) * step
		for i := 0; float64(i)*step <= s.high*1.001; i++ {
			s.ticks = append(s.ticks, float64(i)*step)
		}
	}
	return s
}

// roundStep is the next 1, 2 or 5 times a power of ten, below 1024 of a unit if the
// axis counts bytes.
func (a axis) roundStep(v float64) float64 {
	const close = 0.999 // a fifth of 250 is 50 and a little
	if v <= 0 {
		return 1
	}
	unit, p := 1.0, math.Pow(10, math.Floor(math.Log10(v)))
	if a.binary {
		for v >= 1024*unit {
			unit *= 1024
		}
		p = unit * math.Pow(10, math.Floor(math.Log10(v/unit)))
	}
	for _, m := range []float64{1, 2, 5, 10} {
		if step := m * p; v*close <= step && (!a.binary || step < 1000*unit) {
			return step
		}
	}
	return 1024 * unit
}

func (s scale) at(v float64) float64 {
	low, high := s.low, s.high
	if s.log {
		low, high, v = math.Log(low), math.Log(high), math.Log(v)
	}
	if high == low {
		return 0.5
	}
	return (v - low) / (high - low)
}

// count writes 1500 as 1.5k.
func count(v float64) string { return prefixed(v, 1000, []string{"", "k", "M", "G"}) }

// bytesText writes 1536 as 1.5 KB.
func bytesText(v float64) string { return prefixed(v, 1024, []string{" B", " KB", " MB", " GB"}) }

func seconds(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) + " s" }

func milliseconds(us float64) string {
	if us >= 1e6 {
		return fmt.Sprintf("%.3g s", us/1e6)
	}
	return fmt.Sprintf("%.3g ms", us/1000)
}

func prefixed(v, base float64, units []string) string {
	u := 0
	// What would be written as a whole thousand belongs to the next unit.
	for u < len(units)-1 && v >= base*0.9995 {
		v, u = v/base, u+1
	}
	text := strconv.FormatFloat(v, 'f', 2, 64)
	if v >= 100 {
		text = strconv.FormatFloat(v, 'f', 0, 64)
	} else if v >= 10 {
		text = strconv.FormatFloat(v, 'f', 1, 64)
	}
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + units[u]
}
