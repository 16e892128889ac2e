package main

func init() {
	const (
		direct = "Limit/json"
		kinds  = "LimitKinds/json"
	)
	declare(table{
		name: "limit",
		intro: "All handlers write JSON and discard it. A dropped record is one of a storm: the first of its kind was written, the next are not.\n" +
			"`zapcore.NewSamplerWithOptions` lets the same records pass and tells nobody how many did not. It drops them before their fields are taken; a slog.Handler gets a record that is made.",
		peers: []string{"go.uber.org/zap"},
		parts: []part{{rows: []row{
			{name: "`slog.JSONHandler`", bench: direct},
			{name: "passed: `limit.New`", bench: "Limit/passed", against: direct},
			{name: "dropped as one of its kind: `limit.New`", bench: "Limit/suppressed", against: direct, atMost: 0.50},
			{name: "dropped by `Sample`: `limit.New`", bench: "Limit/sampled", against: direct, atMost: 0.50},
			{name: "dropped by `Rate`: `limit.New`", bench: "Limit/rate", against: direct},
			{name: "dropped: `zapcore.NewSamplerWithOptions`", bench: "Limit/zap", against: direct},
			{name: "all of different kinds: `slog.JSONHandler`", bench: kinds},
			{name: "all of different kinds, each passed and another forgotten: `limit.New`", bench: "LimitKinds/passed", against: kinds},
		}}},
	})
}
