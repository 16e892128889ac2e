package main

import (
	"errors"
	"fmt"
	"html"
	"math"
	"os"
	"strings"
)

// chart is a picture of durations beside a table: a group of bars for each of
// some rows. Its scale is logarithmic, since what it shows spans from what a
// lock takes to what a disk does.
type chart struct {
	file   string // beside README.md
	title  string
	units  []string // a bar for each; durations in ns
	groups []group
}

// group is a row in a chart.
type group struct{ label, bench string }

// writeCharts writes the tables' charts into the working directory.
func writeCharts(tables []table, m measurement) error {
	var errs []error
	for _, t := range tables {
		for _, p := range t.parts {
			if p.chart == nil {
				continue
			}
			svg, err := p.chart.draw(m)
			if err == nil {
				err = os.WriteFile(p.chart.file, []byte(svg), 0o644)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Lengths are in pixels.
const (
	chartWidth  = 760
	plotLeft    = 210 // labels are left of it
	plotRight   = 690 // the longest bar ends here, and its figure follows
	plotTop     = 84
	barHeight   = 13
	groupGap    = 14
	chartMargin = 20
)

// barColours are told apart in the dark and in the light, and by those who see
// no red or no green.
var barColours = []string{"#4c9be8", "#e69f00", "#d05a7c"}

// draw returns the chart as SVG. It brings its own background, so that it can
// be read whatever the page around it looks like.
func (c *chart) draw(m measurement) (string, error) {
	figures := make([][]float64, len(c.groups))
	least, most := math.Inf(1), math.Inf(-1)
	for i, g := range c.groups {
		for _, unit := range c.units {
			values, err := m.values(g.bench, unit)
			if err != nil {
				return "", fmt.Errorf("chart %s: %w", c.file, err)
			}
			f := max(1, summarise(values).median)
			figures[i] = append(figures[i], f)
			least, most = min(least, f), max(most, f)
		}
	}
	low := math.Floor(math.Log10(least))
	high := max(low+1, math.Ceil(math.Log10(most)))
	at := func(ns float64) float64 {
		return plotLeft + (math.Log10(ns)-low)/(high-low)*(plotRight-plotLeft)
	}
	groupHeight := len(c.units)*barHeight + groupGap
	bottom := plotTop + len(c.groups)*groupHeight
	height := bottom + chartMargin + 16

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img">
<title>%s</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 }
.page { fill: #ffffff }
.grid { stroke: #d0d7de }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.page { fill: #0d1117 }
.grid { stroke: #30363d }
}
</style>
<rect class="page" width="100%%" height="100%%"/>
`, chartWidth, height, html.EscapeString(c.title))
	text := func(class string, x float64, y int, anchor, s string) {
		if class != "" {
			class = fmt.Sprintf(` class="%s"`, class)
		}
		fmt.Fprintf(&b, "<text%s x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%s</text>\n", class, x, y, anchor, html.EscapeString(s))
	}
	bar := func(x float64, y int, width float64, colour string) {
		fmt.Fprintf(&b, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", x, y, width, barHeight-2, colour)
	}

	text("title", chartMargin, 28, "start", c.title)
	for i, unit := range c.units {
		x := float64(plotLeft + 90*i)
		bar(x, 44, barHeight-2, barColours[i%len(barColours)])
		of, _ := splitUnit(unit)
		text("", x+18, 54, "start", of)
	}
	for power := low; power <= high; power++ {
		x := at(math.Pow(10, power))
		fmt.Fprintf(&b, "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1[1]f\" y2=\"%[3]d\"/>\n", x, plotTop-8, bottom)
		text("", x, bottom+18, "middle", duration(math.Pow(10, power)))
	}
	for i, g := range c.groups {
		top := plotTop + i*groupHeight
		text("", plotLeft-12, top+len(c.units)*barHeight/2+4, "end", g.label)
		for j, f := range figures[i] {
			y := top + j*barHeight
			bar(plotLeft, y, at(f)-plotLeft, barColours[j%len(barColours)])
			text("", at(f)+6, y+barHeight-3, "start", duration(f))
		}
	}
	b.WriteString("</svg>\n")
	return b.String(), nil
}

// duration is a text for so many ns.
func duration(ns float64) string {
	for _, unit := range []struct {
		name string
		ns   float64
	}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
		// What rounds to 1000 of a unit is 1 of the next.
		if ns >= 0.9995*unit.ns {
			return number(ns/unit.ns) + " " + unit.name
		}
	}
	return number(ns) + " ns"
}
