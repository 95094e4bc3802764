package main

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// chart is a picture of lines.
type chart struct {
	title string
	x, y  axis
	lines []line
}

// line has points in the order of x. Points that cannot be on a logarithmic axis
// must not be in it.
type line struct {
	name   string
	points [][2]float64
	bare   bool // without a mark at each point
}

// Sizes in the picture's units.
const (
	width, height           = 760.0, 400.0
	left, right             = 84.0, 24.0
	top, bottom             = 76.0, 62.0
	plotWidth, plotHeight   = width - left - right, height - top - bottom
	markSize                = 4.0
	letter, legendGap       = 7.2, 44.0 // estimated: the font is the reader's
	tickLength, labelOffset = 5.0, 9.0
)

// The picture brings its own background, since where it is shown may be light or
// dark whatever the reader's system prefers. Lines differ by dashes and marks, too.
const style = `
.bg{fill:#ffffff}.ink{fill:#1f2328}.soft{fill:#59636e}.grid{stroke:#d1d9e0}.axis{stroke:#59636e}
.l0{stroke:#0969da;fill:#0969da}.l1{stroke:#bc4c00;fill:#bc4c00}.l2{stroke:#1a7f37;fill:#1a7f37}.l3{stroke:#8250df;fill:#8250df}
@media (prefers-color-scheme:dark){
.bg{fill:#0d1117}.ink{fill:#f0f6fc}.soft{fill:#9198a1}.grid{stroke:#30363d}.axis{stroke:#9198a1}
.l0{stroke:#58a6ff;fill:#58a6ff}.l1{stroke:#f0883e;fill:#f0883e}.l2{stroke:#3fb950;fill:#3fb950}.l3{stroke:#bc8cff;fill:#bc8cff}}
text{font:13px system-ui,sans-serif;stroke:none}.title{font-size:16px;font-weight:600}
.line{fill:none;stroke-width:2}.grid,.axis{stroke-width:1}`

var dashes = []string{"", "7 4", "2 3", "9 3 2 3"}

// svg draws the chart.
func (c chart) svg() string {
	var xs, ys []float64
	for _, l := range c.lines {
		for _, p := range l.points {
			xs, ys = append(xs, p[0]), append(ys, p[1])
		}
	}
	d := drawing{c: c}
	fmt.Fprintf(&d.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" aria-label="%s">`,
		width, height, width, height, html.EscapeString(c.title))
	fmt.Fprintf(&d.b, "\n<title>%s</title>\n<style>%s</style>\n", html.EscapeString(c.title), style)
	fmt.Fprintf(&d.b, `<rect class="bg" width="%g" height="%g"/>`+"\n", width, height)
	d.text(left, 26, "title ink", "start", c.title)
	if len(xs) == 0 {
		d.text(width/2, height/2, "soft", "middle", "nothing was measured")
	} else {
		d.xs, d.ys = c.x.fit(xs), c.y.fit(ys)
		d.axes()
		for i, l := range c.lines {
			d.line(i, l)
		}
		d.legend()
	}
	d.b.WriteString("</svg>\n")
	return d.b.String()
}

type drawing struct {
	c      chart
	b      strings.Builder
	xs, ys scale
}

func (d *drawing) px(x float64) float64 { return left + d.xs.at(x)*plotWidth }
func (d *drawing) py(y float64) float64 { return top + (1-d.ys.at(y))*plotHeight }

func (d *drawing) text(x, y float64, class, anchor, text string) {
	fmt.Fprintf(&d.b, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", class, x, y, anchor, html.EscapeString(text))
}

func (d *drawing) stroke(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&d.b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
}

func (d *drawing) axes() {
	const floor = top + plotHeight
	for _, v := range d.ys.ticks {
		y := d.py(v)
		d.stroke("grid", left, y, left+plotWidth, y)
		d.text(left-labelOffset, y+4, "soft", "end", d.c.y.format(v))
	}
	end := 0.0 // of the last label
	for _, v := range d.xs.ticks {
		x := d.px(v)
		d.stroke("axis", x, floor, x, floor+tickLength)
		label := d.c.x.format(v)
		half := float64(len(label)) * letter / 2
		if x-half < end {
			continue // it would stand on its neighbour
		}
		end = x + half
		d.text(x, floor+20, "soft", "middle", label)
	}
	d.stroke("axis", left, floor, left+plotWidth, floor)
	d.text(left+plotWidth/2, height-14, "ink", "middle", d.c.x.title)
	fmt.Fprintf(&d.b, `<text class="ink" transform="translate(18 %.1f) rotate(-90)" text-anchor="middle">%s</text>`+"\n",
		top+plotHeight/2, html.EscapeString(d.c.y.title))
}

func (d *drawing) line(i int, l line) {
	var path []string
	for _, p := range l.points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", d.px(p[0]), d.py(p[1])))
	}
	fmt.Fprintf(&d.b, `<polyline class="line l%d" fill="none" stroke-dasharray="%s" points="%s"/>`+"\n",
		i%len(dashes), dashes[i%len(dashes)], strings.Join(path, " "))
	if l.bare {
		return
	}
	for _, p := range l.points {
		d.mark(i, d.px(p[0]), d.py(p[1]))
	}
}

// mark draws a circle, a square, a triangle or a diamond.
func (d *drawing) mark(i int, x, y float64) {
	const s = markSize
	class := fmt.Sprintf("l%d", i%len(dashes))
	switch i % len(dashes) {
	case 0:
		fmt.Fprintf(&d.b, `<circle class="%s" cx="%.1f" cy="%.1f" r="%g"/>`+"\n", class, x, y, s)
	case 1:
		fmt.Fprintf(&d.b, `<rect class="%s" x="%.1f" y="%.1f" width="%g" height="%g"/>`+"\n", class, x-s, y-s, 2*s, 2*s)
	case 2:
		fmt.Fprintf(&d.b, `<path class="%s" d="M%.1f %.1fL%.1f %.1fL%.1f %.1fZ"/>`+"\n", class, x, y-s, x+s, y+s, x-s, y+s)
	default:
		fmt.Fprintf(&d.b, `<path class="%s" d="M%.1f %.1fL%.1f %.1fL%.1f %.1fL%.1f %.1fZ"/>`+"\n", class, x, y-s, x+s, y, x, y+s, x-s, y)
	}
}

func (d *drawing) legend() {
	const y = 50.0
	x := left
	for i, l := range d.c.lines {
		fmt.Fprintf(&d.b, `<line class="line l%d" x1="%.1f" y1="%g" x2="%.1f" y2="%g" stroke-dasharray="%s"/>`+"\n",
			i%len(dashes), x, y, x+28, y, dashes[i%len(dashes)])
		if !l.bare {
			d.mark(i, x+14, y)
		}
		d.text(x+34, y+4, "ink", "start", l.name)
		x += legendGap + float64(len(l.name))*letter
	}
}

// distinct are the values of x that occur, for ticks at the points.
func distinct(lines []line) []float64 {
	var xs []float64
	for _, l := range lines {
		for _, p := range l.points {
			xs = append(xs, p[0])
		}
	}
	slices.Sort(xs)
	return slices.Compact(xs)
}
