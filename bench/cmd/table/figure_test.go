package main

import (
	"math"
	"strings"
	"testing"
)

// timed is a measurement of benchmarks whose ns/op are given round by round.
func timed(benchmarks map[string][]float64) measurement {
	var m measurement
	for name, values := range benchmarks {
		for i, v := range values {
			if len(m.rounds) <= i {
				m.rounds = append(m.rounds, round{})
			}
			m.rounds[i][name] = map[string]float64{"ns/op": v, "B/op": 16, "allocs/op": 1}
		}
	}
	return m
}

// The machine was slower in some rounds than in others. The median of A is 300
// and that of B 100, but A does not take three times as long.
var unevenRounds = map[string][]float64{
	"A": {200, 300, 400, 250, 330},
	"B": {100, 150, 100, 100, 300},
}

func TestMeasurement_compareTakesTheRatioOfEachRound(t *testing.T) {
	// 2, 2, 4, 2.5, 1.1
	f, err := timed(unevenRounds).compare(row{bench: "A", against: "B"}, "ns/op")
	if err != nil {
		t.Fatal(err)
	}
	if f.median != 2 {
		t.Errorf("the ratio is %v, want 2", f.median)
	}
}

func TestMeasurement_compareTakesTheDifferenceOfEachRound(t *testing.T) {
	// 100, 150, 300, 150, 30
	f, err := timed(unevenRounds).compare(row{bench: "A", against: "B", difference: true}, "ns/op")
	if err != nil {
		t.Fatal(err)
	}
	if f.median != 150 {
		t.Errorf("the difference is %v, want 150", f.median)
	}
}

func TestMeasurement_compareNeedsBothInEachRound(t *testing.T) {
	m := timed(unevenRounds)
	delete(m.rounds[1], "B")
	_, err := m.compare(row{bench: "A", against: "B"}, "ns/op")
	if err == nil || !strings.Contains(err.Error(), "round 2 has no ns/op of benchmark B") {
		t.Errorf("error %v, want one that names the round and the benchmark", err)
	}
}

func TestSummarise_hasAnIntervalFromSixRoundsOn(t *testing.T) {
	if f := summarise([]float64{5, 1, 4, 2, 3}); f.median != 3 || !math.IsInf(f.spread, 1) {
		t.Errorf("five rounds: %v, want a median of 3 and no interval", f)
	}
	// The interval of six is from the lowest to the highest.
	if f := summarise([]float64{1, 2, 3, 5, 6, 11}); f.median != 4 || f.spread != 7 {
		t.Errorf("six rounds: %v, want 4 ± 7", f)
	}
}

func TestNumber_keepsThreeDigits(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 4: "4", 5.311: "5.31", 9.996: "10.0", 18.29: "18.3", 99.96: "100",
		629.7: "630", 12345.6: "12346", -6.189: "-6.19",
	} {
		if got := number(x); got != want {
			t.Errorf("%v: %s, want %s", x, got, want)
		}
	}
}

func TestFigure_texts(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{figure{812.4, 16}.cell("ns/op"), "812 ± 2%"},
		{figure{812.4, math.Inf(1)}.cell("ns/op"), "812"},
		{figure{0, 0}.cell("stall-ms"), "0"},
		{figure{16, 2}.cell("B/op"), "16"},
		{figure{2, 1}.cell("allocs/op"), "2"},
		{figure{1.034, 0.011}.ratio(), "1.03 ± 0.01"},
		{figure{1.034, math.Inf(1)}.ratio(), "1.03"},
		{figure{8.4, 0.2}.difference(), "+8.40 ± 0.20 ns"},
		{figure{-8.4, 0.2}.difference(), "-8.40 ± 0.20 ns"},
		{figure{8.4, math.Inf(1)}.difference(), "+8.40 ns"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}

func TestMeets_comparesWhatIsShown(t *testing.T) {
	for _, test := range []struct {
		shown           string
		atMost, atLeast float64
		want            bool
	}{
		{"1.05", 1.05, 0, true},
		{"1.06", 1.05, 0, false},
		{"0.85", 0, 0.85, true},
		{"0.84", 0, 0.85, false},
		{"3", 2, 0, false},
		{"3", 0, 0, true},
		{"-6.19", 80, 0, true},
		{"fast", 80, 0, false},
	} {
		if got := meets(test.shown, test.atMost, test.atLeast); got != test.want {
			t.Errorf("%s: at most %v, at least %v: %v, want %v", test.shown, test.atMost, test.atLeast, got, test.want)
		}
	}
}
