package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

var things = chart{
	file:  "things.svg",
	title: "Things & <others>",
	units: []string{"p50-ns", "p99-ns"},
	groups: []group{
		{"no things", "Direct"},
		{"things <new>", "New"},
	},
}

// rounds are two, the middle of which is 250 ns, 40 µs, 1 ms and 2.5 s.
var thingRounds = measurement{rounds: []round{
	{
		"Direct": {"p50-ns": 200, "p99-ns": 30_000},
		"New":    {"p50-ns": 1e6, "p99-ns": 2e9},
	},
	{
		"Direct": {"p50-ns": 300, "p99-ns": 50_000},
		"New":    {"p50-ns": 1e6, "p99-ns": 3e9},
	},
}}

// element is anything in an SVG.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Elements []element  `xml:",any"`
}

func (e element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func draw(t *testing.T, c chart, m measurement) (svg string, root element) {
	t.Helper()
	svg, err := c.draw(m)
	if err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(strings.NewReader(svg))
	if err := decoder.Decode(&root); err != nil {
		t.Fatalf("%v in:\n%s", err, svg)
	}
	if err := decoder.Decode(new(element)); !errors.Is(err, io.EOF) {
		t.Errorf("something comes after the end: %v", err)
	}
	return svg, root
}

func TestChart_drawHasAllLabelsAndFigures(t *testing.T) {
	_, root := draw(t, things, thingRounds)
	var texts []string
	for _, e := range root.Elements {
		if e.XMLName.Local == "text" {
			texts = append(texts, e.Text)
		}
	}
	want := []string{
		"Things & <others>", "p50", "p99",
		"100 ns", "1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s",
		"no things", "250 ns", "40 µs",
		"things <new>", "1 ms", "2.50 s",
	}
	if !slices.Equal(texts, want) {
		t.Errorf("the texts are %q, want %q", texts, want)
	}
}

func TestChart_drawHasABarForEachFigureAsLongAsItsLogarithm(t *testing.T) {
	c := things
	c.units = c.units[:1]
	c.groups = append(slices.Clone(c.groups), group{"most", "Most"})
	// From 10 ns to 1 ms there are five powers of ten.
	_, root := draw(t, c, measurement{rounds: []round{{
		"Direct": {"p50-ns": 10},
		"New":    {"p50-ns": 1000},
		"Most":   {"p50-ns": 1e6},
	}}})
	var widths []string
	for _, e := range root.Elements {
		// The first of them is the key to the colour.
		if e.attr("fill") == barColours[0] {
			widths = append(widths, e.attr("width"))
		}
	}
	if want := []string{"11.0", "0.0", "192.0", "480.0"}; !slices.Equal(widths, want) {
		t.Errorf("the key and the bars are %v wide, want %v", widths, want)
	}
}

func TestChart_drawIsTheSameEachTimeAndNeedsNothingElse(t *testing.T) {
	svg, _ := draw(t, things, thingRounds)
	if again, _ := draw(t, things, thingRounds); again != svg {
		t.Errorf("first:\n%s\nthen:\n%s", svg, again)
	}
	for _, resource := range []string{"href", "url(", "@import", "<script", "<image"} {
		if strings.Contains(svg, resource) {
			t.Errorf("it has %q in it:\n%s", resource, svg)
		}
	}
}

func TestChart_drawNeedsAllFigures(t *testing.T) {
	_, err := things.draw(timed(map[string][]float64{"Direct": {1}}))
	if want := "chart things.svg: round 1 has no p50-ns of benchmark Direct"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestDuration_takesTheLargestUnit(t *testing.T) {
	for ns, want := range map[float64]string{
		1: "1 ns", 269.5: "270 ns", 999: "999 ns", 999.6: "1.00 µs", 1000: "1 µs",
		5_728: "5.73 µs", 3_915_776: "3.92 ms", 1e9: "1 s",
	} {
		if got := duration(ns); got != want {
			t.Errorf("%v: %s, want %s", ns, got, want)
		}
	}
}

func TestRun_writesTheChartsOfTheTablesItReplaces(t *testing.T) {
	inQuickModule(t)
	for i, name := range []string{"one", "two"} {
		tables[i].parts[0].chart = &chart{
			file:   name + ".svg",
			title:  "Chart " + name,
			units:  []string{"ns/op"},
			groups: []group{{name, tables[i].parts[0].rows[0].bench}},
		}
	}
	arguments := []string{"-only", "two", "-benchtime", "1x"}
	if err := run(t.Context(), append(arguments, "-quick"), io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("two.svg"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("-quick wrote a chart: %v", err)
	}
	if err := run(t.Context(), append(arguments, "-count", "6"), io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile("two.svg")
	if err != nil || !strings.Contains(string(svg), "Chart two") {
		t.Errorf("%v, and the chart is:\n%s", err, svg)
	}
	if _, err := os.Stat("one.svg"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the chart of another table was written: %v", err)
	}
	if !strings.Contains(readme(t), "![Chart two](two.svg)") {
		t.Errorf("README.md has no chart:\n%s", readme(t))
	}
}
