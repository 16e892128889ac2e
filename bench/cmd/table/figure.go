package main

import (
	"fmt"
	"math"
	"strconv"

	"golang.org/x/perf/benchmath"
)

// figure is a median over the rounds.
type figure struct {
	median float64
	spread float64 // how far the 95 % confidence interval goes; infinite if there is none
}

func summarise(values []float64) figure {
	sample := benchmath.NewSample(values, &benchmath.DefaultThresholds)
	s := benchmath.AssumeNothing.Summary(sample, 0.95)
	return figure{s.Center, max(s.Hi-s.Center, s.Center-s.Lo)}
}

// values are what the rounds measured of a benchmark.
func (m measurement) values(bench, unit string) ([]float64, error) {
	var values []float64
	for i, r := range m.rounds {
		v, ok := r[bench][unit]
		if !ok {
			return nil, fmt.Errorf("round %d has no %s of benchmark %s", i+1, unit, bench)
		}
		values = append(values, v)
	}
	return values, nil
}

// compare compares a row with its baseline in each round.
func (m measurement) compare(r row, unit string) (figure, error) {
	values, err := m.values(r.bench, unit)
	if err != nil {
		return figure{}, err
	}
	baseline, err := m.values(r.against, unit)
	if err != nil {
		return figure{}, err
	}
	for i := range values {
		if r.difference {
			values[i] -= baseline[i]
		} else {
			values[i] /= baseline[i]
		}
	}
	return summarise(values), nil
}

// number has three digits that say something, and all before the point.
func number(x float64) string {
	switch size := math.Abs(x); {
	case x == math.Trunc(x) || size >= 99.95:
		return fmt.Sprintf("%.0f", x)
	case size >= 9.995:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func ratio(x float64) string { return fmt.Sprintf("%.2f", x) }

// cell is the figure with its spread in per cent, but for allocations, which do
// not vary in a way that says anything.
func (f figure) cell(unit string) string {
	if math.IsInf(f.spread, 0) || f.median == 0 || unit == "B/op" || unit == "allocs/op" {
		return number(f.median)
	}
	return fmt.Sprintf("%s ± %.0f%%", number(f.median), 100*f.spread/f.median)
}

func (f figure) ratio() string {
	if math.IsInf(f.spread, 0) {
		return ratio(f.median)
	}
	return ratio(f.median) + " ± " + ratio(f.spread)
}

func (f figure) difference() string {
	sign := ""
	if f.median > 0 {
		sign = "+"
	}
	if math.IsInf(f.spread, 0) {
		return sign + number(f.median) + " ns"
	}
	return sign + number(f.median) + " ± " + number(f.spread) + " ns"
}

// meets compares what the table shows: a target of 1.05 that is missed by a
// figure shown as 1.05 would be a riddle. A bound of 0 is none.
func meets(shown string, atMost, atLeast float64) bool {
	x, err := strconv.ParseFloat(shown, 64)
	return err == nil && (atMost == 0 || x <= atMost) && (atLeast == 0 || x >= atLeast)
}
