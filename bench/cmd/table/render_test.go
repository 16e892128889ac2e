package main

import "testing"

func TestTable_render(t *testing.T) {
	m := timed(map[string][]float64{
		"Direct": {100, 100, 100, 100, 100, 100},
		"New":    {105.2, 105.2, 105.2, 105.2, 104, 107},
		"Old":    {210, 210, 230, 240, 220, 220},
		"Off":    {4, 4, 4, 4, 4, 4},
		"OffNew": {12.5, 12.4, 12.4, 12.4, 12.4, 12.3},
		"OffOld": {3.5, 3.5, 3.5, 3.5, 3.5, 3.5},
		"Wait":   {48.96, 48.96, 48.96, 50, 50, 50},
	})
	for i, storm := range []struct{ rate, stall float64 }{
		{4000, 10}, {4100, 20}, {4200, 30}, {4300, 30}, {4400, 40}, {4500, 90},
	} {
		m.rounds[i]["Storm"] = map[string]float64{"records/s": storm.rate, "stall-ms": storm.stall}
		m.rounds[i]["StormOld"] = map[string]float64{"records/s": storm.rate / 2, "stall-ms": 10 * storm.stall}
	}
	m.machine = "Some CPU, 8 cores, plan9/amd64, go1.26, 2026-01-02"
	m.versions = map[string]string{"example.com/old": "v1.2.3", "example.com/other": "v9.0.0"}
	things := table{
		name:  "things",
		intro: "What things cost.",
		peers: []string{"example.com/old"},
		parts: []part{
			{
				rows: []row{
					{name: "direct", bench: "Direct"},
					{name: "`things.New`", bench: "New", against: "Direct", atMost: 1.05},
					{name: "`old.New`", bench: "Old", against: "Direct", atMost: 2.15},
					{name: "off", bench: "Off"},
					{name: "off: `things.New`", bench: "OffNew", against: "Off", difference: true, atMost: 10},
					{name: "off: `old.New`", bench: "OffOld", against: "Off", difference: true},
					{name: "wait", bench: "Wait", atMost: 49},
				},
			},
			{
				intro: "And what they do in a storm.",
				units: []string{"records/s", "stall-ms"},
				rows: []row{
					{name: "`things.New`", bench: "Storm", atLeast: 4000, limits: map[string]float64{"stall-ms": 50}},
					{name: "`old.New`", bench: "StormOld", atLeast: 2000, limits: map[string]float64{"stall-ms": 50}},
				},
				chart: &chart{file: "storm.svg", title: "A storm"},
			},
			{
				units: []string{"records/s"},
				rows: []row{
					{name: "`things.New`", bench: "Storm"},
					{name: "`old.New`", bench: "StormOld", against: "Storm", atLeast: 0.55},
				},
			},
			{
				units: []string{"stall-ms"},
				rows:  []row{{name: "`things.New`", bench: "Storm"}},
			},
		},
	}
	got, err := things.render(m, defaults)
	if err != nil {
		t.Fatal(err)
	}
	want := `<!-- table things -->
## things

What things cost.

|  | ns/op | B/op | allocs/op | compared | with | target | result |
|---|---:|---:|---:|---:|---|---:|---|
| direct | 100 ± 0% | 16 | 1 |  |  |  |  |
| ` + "`things.New`" + ` | 105 ± 2% | 16 | 1 | 1.05 ± 0.02 | direct | ≤ 1.05 | met |
| ` + "`old.New`" + ` | 220 ± 9% | 16 | 1 | 2.20 ± 0.20 | direct | ≤ 2.15 | **missed** |
| off | 4 ± 0% | 16 | 1 |  |  |  |  |
| off: ` + "`things.New`" + ` | 12.4 ± 1% | 16 | 1 | +8.40 ± 0.10 ns | off | ≤ +10 ns | met |
| off: ` + "`old.New`" + ` | 3.50 ± 0% | 16 | 1 | -0.50 ± 0 ns | off |  |  |
| wait | 49.5 ± 1% | 16 | 1 |  |  | ≤ 49 ns | **missed** |

And what they do in a storm.

|  | records/s | stall, ms | target | result |
|---|---:|---:|---:|---|
| ` + "`things.New`" + ` | 4250 ± 6% | 30 ± 200% | ≥ 4000 records/s, stall ≤ 50 ms | met |
| ` + "`old.New`" + ` | 2125 ± 6% | 300 ± 200% | ≥ 2000 records/s, stall ≤ 50 ms | **missed**: stall ≤ 50 ms |

![A storm](storm.svg)

|  | records/s | compared | with | target | result |
|---|---:|---:|---|---:|---|
| ` + "`things.New`" + ` | 4250 ± 6% |  |  |  |  |
| ` + "`old.New`" + ` | 2125 ± 6% | 0.50 ± 0.00 | ` + "`things.New`" + ` | ≥ 0.55 | **missed** |

|  | stall, ms |
|---|---:|
| ` + "`things.New`" + ` | 30 ± 200% |

Some CPU, 8 cores, plan9/amd64, go1.26, 2026-01-02. 6 rounds of 100ms a benchmark. Peers: example.com/old v1.2.3.

	go -C bench run ./cmd/table -only things

<!-- end things -->
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestTable_renderNeedsAllFigures(t *testing.T) {
	direct := row{name: "direct", bench: "Direct"}
	limited := direct
	limited.limits = map[string]float64{"lost/op": 1}
	for _, test := range []struct {
		name, want string
		m          measurement
		part       part
	}{
		{
			"of the benchmark", "round 1 has no ns/op of benchmark Direct",
			timed(map[string][]float64{"Other": {1}}), part{rows: []row{direct}},
		},
		{
			"of a column", "round 1 has no lost/op of benchmark Direct",
			timed(map[string][]float64{"Direct": {1}}), part{units: []string{"ns/op", "lost/op"}, rows: []row{direct}},
		},
		{
			"of a limit", `row "direct": there is a limit for lost/op and no column`,
			timed(map[string][]float64{"Direct": {1}}), part{rows: []row{limited}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := table{name: "things", parts: []part{test.part}}.render(test.m, defaults)
			if want := "table things: " + test.want; err == nil || err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
		})
	}
}
