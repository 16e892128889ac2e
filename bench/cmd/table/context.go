package main

func init() {
	const (
		direct = "Context/json"
		with   = "Context/attrs/With"
	)
	declare(table{
		name: "context",
		intro: "All handlers write JSON and discard it. Depth is how many contexts a handler looks into before it has found what it looks for, or knows that there is nothing.\n" +
			"github.com/veqryn/slog-context is not here, because the Go module proxy did not serve it.",
		parts: []part{{rows: []row{
			{name: "`slog.JSONHandler`", bench: direct},
			{name: "a context that carries nothing: `slogctx.New`", bench: "Context/nothing", against: direct, atMost: 1.05},
			{name: "one handler pushed, depth 1: `slogctx.Stack`", bench: "Context/pushed/1", against: direct, atMost: 1.10},
			{name: "one handler pushed, depth 8: `slogctx.Stack`", bench: "Context/pushed/8", against: direct, atMost: 1.10},
			{name: "one handler bound, depth 1: `slogctx.Stack`", bench: "Context/bound/1", against: direct, atMost: 1.10},
			{name: "one handler bound, depth 8: `slogctx.Stack`", bench: "Context/bound/8", against: direct, atMost: 1.10},
			{name: "2 attributes of the logger: `slog.Logger.With`", bench: with},
			{name: "2 attributes of the context: `slogctx.New`", bench: "Context/attrs/context", against: with, atMost: 1.40},
		}}},
	})
}
