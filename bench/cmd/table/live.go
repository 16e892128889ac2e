package main

func init() {
	const (
		direct = "Live/json"
		alone  = "Live/browsers=0"
	)
	declare(table{
		name: "live",
		intro: "`slog.JSONHandler` writes to nothing; the hub keeps 20,000 records. The browsers are in the same process, on the same processors, and there is no network in between: they take all they are sent, or hang in their first read.\n" +
			"Records are logged without a pause, many times faster than any browser is sent them, and the time is that of the caller.",
		parts: []part{{rows: []row{
			{name: "`slog.JSONHandler`", bench: direct},
			{name: "nobody looks: `live.Hub`", bench: alone, against: direct, atMost: 2},
			{name: "10 browsers that hang: `live.Hub`", bench: "Live/hanging=10", against: alone, atMost: 1.10},
			{name: "1 browser: `live.Hub`", bench: "Live/browsers=1", against: alone},
			{name: "10 browsers: `live.Hub`", bench: "Live/browsers=10", against: alone},
			{name: "1 browser with a search: `live.Hub`", bench: "Live/searching=1", against: alone},
			{name: "10 browsers at 50 records a second: `live.Hub`", bench: "Live/rate=10", against: alone},
		}}},
	})
}
