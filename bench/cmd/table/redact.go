package main

func init() {
	const direct = "Redact/none/json"
	declare(table{
		name: "redact",
		intro: "All handlers write JSON and discard it. Records have five attributes, and 20 keys are forbidden. `ReplaceAttr` looks each key up in a map, as it is written; `redact.New` knows the keys in any case and with any separators, and is the only one to look into the struct.\n" +
			"github.com/m-mizutani/masq and github.com/samber/slog-formatter are not here, because they are not in the registry used.",
		parts: []part{{rows: []row{
			{name: "nothing to redact: `slog.JSONHandler`", bench: direct},
			{name: "nothing to redact: `ReplaceAttr`", bench: "Redact/none/ReplaceAttr", against: direct},
			{name: "nothing to redact: `redact.New`", bench: "Redact/none/redact", against: direct, atMost: 1.25, limits: map[string]float64{"allocs/op": 0}},

			{name: "a key: `slog.JSONHandler`, redacting nothing", bench: "Redact/key/json"},
			{name: "a key: `ReplaceAttr`", bench: "Redact/key/ReplaceAttr", against: "Redact/key/json"},
			{name: "a key: `redact.New`", bench: "Redact/key/redact", against: "Redact/key/json"},

			{name: "a key in a group: `slog.JSONHandler`, redacting nothing", bench: "Redact/group/json"},
			{name: "a key in a group: `ReplaceAttr`", bench: "Redact/group/ReplaceAttr", against: "Redact/group/json"},
			{name: "a key in a group: `redact.New`", bench: "Redact/group/redact", against: "Redact/group/json"},

			{name: "a field of a struct: `slog.JSONHandler`, redacting nothing", bench: "Redact/struct/json"},
			{name: "a field of a struct: `ReplaceAttr`, which does not see it", bench: "Redact/struct/ReplaceAttr", against: "Redact/struct/json"},
			{name: "a field of a struct: `redact.New`", bench: "Redact/struct/redact", against: "Redact/struct/json"},
		}}},
	})
}
