package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// render returns the section of README.md with the table.
func (t table) render(m measurement, o options) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n## %s\n\n%s\n\n", beginMark(t.name), t.name, t.intro)
	for _, p := range t.parts {
		if err := p.render(&b, m); err != nil {
			return "", fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	fmt.Fprintf(&b, "%s. %s of %s a benchmark.%s\n\n", m.machine, plural(len(m.rounds), "round"), o.benchtime, m.peers(t))
	fmt.Fprintf(&b, "\t%s\n\n%s\n", o.command(t.name), endMark(t.name))
	return b.String(), nil
}

func (p part) render(b *strings.Builder, m measurement) error {
	if p.intro != "" {
		fmt.Fprintf(b, "%s\n\n", p.intro)
	}
	head, rule := []string{""}, "|---|"
	for _, unit := range p.columns() {
		head = append(head, heading(unit))
		rule += "---:|"
	}
	if p.hasComparisons() {
		head = append(head, "compared", "with")
		rule += "---:|---|"
	}
	if p.hasTargets() {
		head = append(head, "target", "result")
		rule += "---:|---|"
	}
	writeCells(b, head)
	fmt.Fprintln(b, rule)
	for _, r := range p.rows {
		cells, err := p.cells(r, m)
		if err != nil {
			return err
		}
		writeCells(b, cells)
	}
	fmt.Fprintln(b)
	if p.chart != nil {
		fmt.Fprintf(b, "![%s](%s)\n\n", p.chart.title, p.chart.file)
	}
	return nil
}

func writeCells(b *strings.Builder, cells []string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

func (p part) hasComparisons() bool {
	return slices.ContainsFunc(p.rows, func(r row) bool { return r.against != "" })
}

func (p part) hasTargets() bool {
	return slices.ContainsFunc(p.rows, func(r row) bool { return r.atMost != 0 || r.atLeast != 0 || len(r.limits) > 0 })
}

func (p part) cells(r row, m measurement) ([]string, error) {
	cells := []string{r.name}
	figures := map[string]figure{}
	for _, unit := range p.columns() {
		values, err := m.values(r.bench, unit)
		if err != nil {
			return nil, err
		}
		figures[unit] = summarise(values)
		cells = append(cells, figures[unit].cell(unit))
	}

	first := p.columns()[0]
	judged := target{figures[first].median, number, formatOf(first), r.atMost, r.atLeast}
	switch {
	case r.against != "":
		f, err := m.compare(r, first)
		if err != nil {
			return nil, err
		}
		compared := f.ratio()
		judged.figure, judged.round, judged.format = f.median, ratio, "%s %s"
		if r.difference {
			compared = f.difference()
			judged.round, judged.format = number, "%s +%s ns"
		}
		cells = append(cells, compared, p.rowOf(r.against).name)
	case p.hasComparisons():
		cells = append(cells, "", "")
	}
	if !p.hasTargets() {
		return cells, nil
	}
	targets := []target{judged}
	for _, unit := range slices.Sorted(maps.Keys(r.limits)) {
		f, ok := figures[unit]
		if !ok {
			return nil, fmt.Errorf("row %q: there is a limit for %s and no column", r.name, unit)
		}
		targets = append(targets, target{f.median, number, formatOf(unit), r.limits[unit], 0})
	}
	return append(cells, results(targets)...), nil
}

// rowOf returns the row of the benchmark.
func (p part) rowOf(bench string) row {
	for _, r := range p.rows {
		if r.bench == bench {
			return r
		}
	}
	return row{}
}

// target is what a figure should be.
type target struct {
	figure          float64
	round           func(float64) string // as the table shows it
	format          string               // of the sign and the limit
	atMost, atLeast float64              // 0 is none
}

// formatOf is the format of a target for figures of the unit.
func formatOf(unit string) string {
	of, unit := splitUnit(unit)
	if of != "" {
		of += " "
	}
	return of + "%s %s " + strings.TrimSuffix(unit, "/op")
}

// splitUnit splits what benchmarks report, such as p99-ns, into what is
// measured, if it says so, and the unit.
func splitUnit(s string) (of, unit string) {
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		return s[:i], s[i+1:]
	}
	return "", s
}

func heading(unit string) string {
	if of, unit := splitUnit(unit); of != "" {
		return of + ", " + unit
	}
	return unit
}

func (t target) String() string {
	if t.atLeast != 0 {
		return fmt.Sprintf(t.format, "≥", t.round(t.atLeast))
	}
	return fmt.Sprintf(t.format, "≤", t.round(t.atMost))
}

// results returns the cells that say what the targets are and whether they are
// met.
func results(targets []target) []string {
	var all, missed []string
	for _, t := range targets {
		if t.atMost == 0 && t.atLeast == 0 {
			continue
		}
		all = append(all, t.String())
		if !meets(t.round(t.figure), t.atMost, t.atLeast) {
			missed = append(missed, t.String())
		}
	}
	result := ""
	switch {
	case len(missed) == len(all) && len(all) > 0:
		result = "**missed**"
	case len(missed) > 0:
		result = "**missed**: " + strings.Join(missed, ", ")
	case len(all) > 0:
		result = "met"
	}
	return []string{strings.Join(all, ", "), result}
}

// peers says which versions of the peers were measured.
func (m measurement) peers(t table) string {
	if len(t.peers) == 0 {
		return ""
	}
	var peers []string
	for _, path := range t.peers {
		peers = append(peers, path+" "+m.versions[path])
	}
	return " Peers: " + strings.Join(peers, ", ") + "."
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
