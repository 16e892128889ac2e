package main

func init() {
	declare(table{
		name:    "pipeline",
		overall: true,
		intro: "What a record costs in the pipeline that the README starts with, written synchronously, without its queue: to a console and to a real file of JSON. What goes to the console is discarded, without colours.\n" +
			"The standard library has no console for people; `slog.TextHandler` stands in for it.",
		parts: []part{{rows: []row{
			{name: "`slog.NewMultiHandler(text, json)`", bench: "Pipeline/stdlib"},
			{name: "`fanout.New(console, json)`", bench: "Pipeline/slogworks", against: "Pipeline/stdlib"},
		}}},
	})
}
