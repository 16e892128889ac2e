package main

func init() {
	const (
		direct = "Live/json"
		alone  = "Live/browsers=0"
		encode = "LiveHandle/encode"
	)
	declare(table{
		name: "live",
		intro: "`slog.JSONHandler` writes to nothing; the hub keeps 20,000 records. The browsers of the first two tables are in the same process, on the same processors, and there is no network in between: they take all they are sent, or hang in their first read.\n" +
			"Records are logged without a pause, many times faster than any browser is sent them, and the time is that of the caller.",
		peers: []string{"github.com/tmaxmax/go-sse", "github.com/r3labs/sse/v2"},
		parts: []part{
			{rows: []row{
				{name: "`slog.JSONHandler`", bench: direct},
				{name: "nobody looks: `live.Hub`", bench: alone, against: direct, atMost: 2},
				{name: "10 browsers that hang: `live.Hub`", bench: "Live/hanging=10", against: alone, atMost: 1.10},
				{name: "1 browser: `live.Hub`", bench: "Live/browsers=1", against: alone},
				{name: "10 browsers: `live.Hub`", bench: "Live/browsers=10", against: alone},
				{name: "1 browser with a search: `live.Hub`", bench: "Live/searching=1", against: alone},
				{name: "10 browsers at 50 records a second: `live.Hub`", bench: "Live/rate=10", against: alone},
			}},
			{
				intro: "What a call usually costs beyond making the record's line, which is kept. Reading the clock is part of each figure.",
				units: []string{"p50-ns", "p99-ns", "allocs/op"},
				rows: []row{
					{name: "`wire.AppendRecord` into the same bytes again", bench: encode},
					{name: "`live.Hub`", bench: "LiveHandle/live", against: encode, difference: true, atMost: 150, limits: map[string]float64{"allocs/op": 0}},
				},
			},
			{
				intro: "50,000 records a second, as far as logging does not wait, for 50 browsers over TCP, which are a process of their own on the same machine: what the server's process uses of one processor, how many records a second were logged, how much of them all browsers got, and how long it took to end the streams. The hub keeps 100,000 records here.",
				units: []string{"cpu-percent", "records/s", "delivered-percent", "shutdown-ms"},
				rows: []row{
					{name: "`live.Hub`", bench: "LiveFanout/live", atMost: 50, limits: map[string]float64{"shutdown-ms": 100}},
					{name: "tmaxmax/go-sse, an event for each record", bench: "LiveFanout/go-sse"},
					{name: "r3labs/sse, an event for each record", bench: "LiveFanout/r3labs"},
				},
			},
		},
	})
}
