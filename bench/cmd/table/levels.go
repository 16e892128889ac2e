package main

func init() {
	const (
		direct = "Levels/json"
		off    = "LevelsOff/json"
	)
	declare(table{
		name: "levels",
		intro: "All handlers write JSON and discard it. The logger is named `shop.orders.db`; where there are rules, the one for `shop.orders` decides.\n" +
			"The rows of refused records compare with `slog.JSONHandler` at a level that refuses them.",
		parts: []part{{rows: []row{
			{name: "`slog.JSONHandler`", bench: direct},
			{name: "no rule: `levels.New`", bench: "Levels/rules=0", against: direct, atMost: 1.05},
			{name: "1 rule: `levels.New`", bench: "Levels/rules=1", against: direct, atMost: 1.15},
			{name: "100 rules: `levels.New`", bench: "Levels/rules=100", against: direct, atMost: 1.15},
			{name: "refused: `slog.JSONHandler`", bench: off},
			{name: "refused, no rule: `levels.New`", bench: "LevelsOff/rules=0", against: off, difference: true},
			{name: "refused, 100 rules: `levels.New`", bench: "LevelsOff/rules=100", against: off, difference: true},
		}}},
	})
}
