package main

import (
	"maps"
	"strings"
	"testing"
)

func TestParse_readsWhatGoTestPrints(t *testing.T) {
	r, cpu, err := parse([]byte(`goos: linux
goarch: amd64
pkg: example.com/bench
cpu: Some CPU @ 2.00GHz
BenchmarkFanout/direct-8         	  193376	       629.7 ns/op	       0 B/op	       0 allocs/op
BenchmarkFanout/router/level-2-8 	   76774	      1473 ns/op	     832 B/op	       4 allocs/op
BenchmarkQueue                   	   76774	      1473 ns/op	     0.5 lost/op
BenchmarkQueueLatency/16/New-8   	      13	       441.5 p99-ns	      2688 B/op
PASS
`))
	if err != nil {
		t.Fatal(err)
	}
	if cpu != "Some CPU @ 2.00GHz" {
		t.Errorf("the CPU is %q", cpu)
	}
	want := round{
		"Fanout/direct":         {"ns/op": 629.7, "B/op": 0, "allocs/op": 0},
		"Fanout/router/level-2": {"ns/op": 1473, "B/op": 832, "allocs/op": 4},
		"Queue":                 {"ns/op": 1473, "lost/op": 0.5},
		"QueueLatency/16/New":   {"p99-ns": 441.5, "B/op": 2688},
	}
	if !maps.EqualFunc(r, want, maps.Equal[map[string]float64]) {
		t.Errorf("%v, want %v", r, want)
	}
}

func TestParse_refuses(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"a line it cannot read", "BenchmarkA-2 100 fast ns/op\n", "parsing measurement"},
		{"a benchmark that ran twice", "BenchmarkA-2 100 5 ns/op\nBenchmarkA-2 100 6 ns/op\n", "benchmark A ran twice"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := parse([]byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestPattern_selectsWholeFunctions(t *testing.T) {
	got := pattern([]table{
		{parts: []part{{rows: []row{{bench: "Fanout/direct"}, {bench: "FanoutDisabled/direct"}, {bench: "Fanout/2/New"}}}}},
		{parts: []part{{rows: []row{{bench: "Queue"}}}, {rows: []row{{bench: "QueueStorm/New"}}}}},
	})
	if want := "^Benchmark(Fanout|FanoutDisabled|Queue|QueueStorm)$"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
