package main

func init() {
	const (
		encode  = "Wire/encode/scalars/slog"
		located = "Wire/encode/source/slog"
		decode  = "Wire/decode/scalars/json"
		sourced = "Wire/decode/source/json"
	)
	free := map[string]float64{"allocs/op": 0}
	declare(table{
		name:  "wire",
		intro: "The form in which records travel and wait on disk: a line of JSON that keeps the kind of every value. `encoding/json` decodes into a struct of the same fields and makes the same record of it.",
		parts: []part{
			{
				intro: "From a record to a line.",
				rows: []row{
					{name: "`slog.JSONHandler`", bench: encode},
					{name: "`wire.AppendRecord`", bench: "Wire/encode/scalars/wire", against: encode, atMost: 1.0, limits: free},
					{name: "with the caller's file and line: `slog.JSONHandler`, `AddSource`", bench: located},
					{name: "with the caller's file and line: `wire.AppendRecord`", bench: "Wire/encode/source/wire", against: located, atMost: 1.0, limits: free},
				},
			},
			{
				intro: "From a line to a record.",
				rows: []row{
					{name: "`encoding/json`", bench: decode},
					{name: "`wire.Decode`", bench: "Wire/decode/scalars/wire", against: decode, atMost: 0.15},
					{name: "with the caller's file and line: `encoding/json`", bench: sourced},
					{name: "with the caller's file and line: `wire.Decode`", bench: "Wire/decode/source/wire", against: sourced, atMost: 0.15},
				},
			},
		},
	})
}
