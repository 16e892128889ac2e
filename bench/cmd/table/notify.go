package main

func init() {
	const direct = "Notify/json"
	declare(table{
		name: "notify",
		intro: "What a record costs its caller in a storm, beside writing it: the window is open, and the message holds as many records as it may. " +
			"Nothing is sent meanwhile, so that this is all of the work.",
		parts: []part{{rows: []row{
			{name: "`slog.JSONHandler` to `io.Discard`", bench: direct},
			{name: "a record that is told by number: `notify.New`", bench: "Notify/storm", against: direct, atMost: 0.40, limits: map[string]float64{"allocs/op": 0}},
			{name: "the same from a logger with attributes and a group: `notify.New`", bench: "Notify/storm_of_derived", against: direct, atMost: 0.40, limits: map[string]float64{"allocs/op": 0}},
		}}, {
			intro: "How long single calls of a logger take in such a storm, reading the clock included.",
			units: []string{"p50-ns", "p99-ns"},
			rows: []row{
				{name: "a record that is told by number: `notify.New`", bench: "NotifyLatency", limits: map[string]float64{"p50-ns": 2000}},
			},
		}},
	})
}
