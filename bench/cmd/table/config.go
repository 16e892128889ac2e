package main

func init() {
	const (
		direct   = "Config/direct"
		pipeline = "Config/pipeline"
		off      = "ConfigOff/pipeline"
		parallel = "ConfigParallel/pipeline"
	)
	none := map[string]float64{"allocs/op": 0}
	declare(table{
		name: "config",
		intro: "A document with a rule for the logger, that leads to a `slog.JSONHandler` which writes to nowhere. `Document.Build` is the pipeline as it is; the handler of a manager can be led to another one while it is used, and knows when nobody is in the former any more.\n" +
			"On all cores at once the records lead to a handler that does nothing, because a `slog.JSONHandler` has a lock.",
		parts: []part{{rows: []row{
			{name: "`slog.JSONHandler`", bench: direct},
			{name: "the pipeline: `Document.Build`", bench: pipeline, against: direct, limits: none},
			{name: "a manager's: `Manager.Handler`", bench: "Config/manager", against: pipeline, atMost: 1.05, limits: none},
			{name: "refused, the handler itself", bench: "ConfigOff/direct"},
			{name: "refused, the pipeline", bench: off},
			{name: "refused, a manager's", bench: "ConfigOff/manager", against: off, difference: true, limits: none},
			{name: "on all cores, the handler itself", bench: "ConfigParallel/direct"},
			{name: "on all cores, the pipeline", bench: parallel},
			{name: "on all cores, a manager's", bench: "ConfigParallel/manager", against: parallel, difference: true, limits: none},
		}}},
	})
}
