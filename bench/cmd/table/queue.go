package main

import "strconv"

func init() {
	// The subjects of the latency in the order of the table and the chart.
	subjects := []struct{ name, label, bench string }{
		{"`slog.JSONHandler`, no queue", "slog, no queue", "sync"},
		{"`queue.New`", "slogworks queue", "queue"},
		{"a channel of `slog.Record`", "channel of slog.Record", "channel"},
		{"phuslu/log, `AsyncWriter`", "phuslu AsyncWriter", "phuslu"},
		{"zerolog, `diode.Writer`", "zerolog diode.Writer", "zerolog"},
		{"zap, `BufferedWriteSyncer`", "zap BufferedWriteSyncer", "zap"},
	}
	const charted = 16
	latency := part{
		intro: "How long a call takes, in bursts of 4096 records into room for 8192, by one goroutine or several. What is behind writes JSON into a real file, and is done before the next burst. Reading the clock is part of each figure.\n" +
			"Other loggers are called by their own API; unlike slog, they do not look up who called. " +
			"`BufferedWriteSyncer` is no queue: the caller that fills its buffer writes it into the file.",
		units: []string{"p50-ns", "p99-ns", "p99.9-ns"},
		chart: &chart{
			file:  "latency.svg",
			title: "How long a call takes that logs to a file, 16 goroutines",
			units: []string{"p50-ns", "p99-ns", "p99.9-ns"},
		},
	}
	for _, goroutines := range []int{1, 4, charted} {
		for _, s := range subjects {
			r := row{
				name:  plural(goroutines, "goroutine") + ": " + s.name,
				bench: "QueueLatency/" + strconv.Itoa(goroutines) + "/" + s.bench,
			}
			if goroutines == charted {
				latency.chart.groups = append(latency.chart.groups, group{s.label, r.bench})
				if s.bench == "queue" {
					r.limits = map[string]float64{"p99-ns": 1000}
				}
			}
			latency.rows = append(latency.rows, r)
		}
	}

	declare(table{
		name:  "queue",
		intro: "A queue hands records on from a goroutine of its own, so that what it saves its callers is what its handler takes.",
		peers: []string{"github.com/phuslu/log", "github.com/rs/zerolog", "go.uber.org/zap"},
		parts: []part{
			{
				intro: "What a call costs while there is room, in front of a handler that does nothing.",
				rows: []row{
					{name: "no queue", bench: "Queue/sync"},
					{name: "`queue.New`", bench: "Queue/queue", against: "Queue/sync", difference: true, atMost: 80},
					{name: "a channel of `slog.Record`", bench: "Queue/channel", against: "Queue/sync", difference: true},
				},
			},
			latency,
			{
				intro: "A storm: 16 goroutines log as fast as they can for a second, to a handler that takes 100 µs, and what finds no room is dropped. How many records come through, and how long the slowest call took.",
				units: []string{"records/s", "stall-ms"},
				rows: []row{
					{name: "`queue.New`", bench: "QueueStorm/queue", atLeast: 4000, limits: map[string]float64{"stall-ms": 50}},
					{name: "a channel of `slog.Record`, `select` with `default`", bench: "QueueStorm/channel"},
				},
			},
			{
				intro: "How many records one goroutine gets into a file of JSON, one by one, when all wait for room and the queue is flushed.",
				units: []string{"records/s"},
				rows: []row{
					{name: "no queue", bench: "QueueThroughput/sync"},
					{name: "`queue.New`", bench: "QueueThroughput/queue", against: "QueueThroughput/sync", atLeast: 0.85},
				},
			},
		},
	})
}
