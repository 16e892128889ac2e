package main

func init() {
	const (
		direct   = "Fanout/direct"
		disabled = "FanoutDisabled/direct"
	)
	declare(table{
		name: "fanout",
		intro: "Each handler passes records on to `slog.JSONHandler`s that discard what they write. The routers have four routes, of which the last matches.\n" +
			"Fan-outs are compared with `slog.MultiHandler`, which guards no handler from another; all else with one `slog.JSONHandler`, since one line is what it encodes.",
		peers: []string{"github.com/samber/slog-multi"},
		parts: []part{{rows: []row{
			{name: "`slog.JSONHandler`", bench: direct},

			{name: "2 handlers: `slog.MultiHandler`", bench: "Fanout/2/MultiHandler"},
			{name: "2 handlers: `fanout.New`", bench: "Fanout/2/New", against: "Fanout/2/MultiHandler", atMost: 1.06},
			{name: "2 handlers: `slogmulti.Fanout`", bench: "Fanout/2/slogmulti", against: "Fanout/2/MultiHandler"},
			{name: "4 handlers: `slog.MultiHandler`", bench: "Fanout/4/MultiHandler"},
			{name: "4 handlers: `fanout.New`", bench: "Fanout/4/New", against: "Fanout/4/MultiHandler", atMost: 1.06},
			{name: "4 handlers: `slogmulti.Fanout`", bench: "Fanout/4/slogmulti", against: "Fanout/4/MultiHandler"},

			{name: "all that match, by level: `fanout.Router`", bench: "Fanout/router/level/Router", against: direct, atMost: 1.15},
			{name: "all that match, by level: `slogmulti.Router`", bench: "Fanout/router/level/slogmulti", against: direct},
			{name: "all that match, by attribute: `fanout.Router`", bench: "Fanout/router/attr/Router", against: direct},
			{name: "all that match, by attribute: `slogmulti.Router`", bench: "Fanout/router/attr/slogmulti", against: direct},
			{name: "first that matches, by level: `fanout.First`", bench: "Fanout/first/level/First", against: direct},
			{name: "first that matches, by level: `slogmulti.Router().FirstMatch()`", bench: "Fanout/first/level/slogmulti", against: direct},
			{name: "first that matches, by attribute: `fanout.First`", bench: "Fanout/first/attr/First", against: direct},
			{name: "first that matches, by attribute: `slogmulti.Router().FirstMatch()`", bench: "Fanout/first/attr/slogmulti", against: direct},
			{name: "first of 2 that takes it: `fanout.Failover`", bench: "Fanout/failover/Failover", against: direct},
			{name: "first of 2 that takes it: `slogmulti.Failover`", bench: "Fanout/failover/slogmulti", against: direct},

			{name: "2 writers: `slog.JSONHandler`, `io.MultiWriter`", bench: "Fanout/writers/2/MultiWriter", against: direct},
			{name: "2 writers: `fanout.Writers`", bench: "Fanout/writers/2/Writers", against: direct, atMost: 1.10},
			{name: "4 writers: `slog.JSONHandler`, `io.MultiWriter`", bench: "Fanout/writers/4/MultiWriter", against: direct},
			{name: "4 writers: `fanout.Writers`", bench: "Fanout/writers/4/Writers", against: direct, atMost: 1.20},

			{name: "disabled level: `slog.JSONHandler`", bench: disabled},
			{name: "disabled level, 4 handlers: `slog.MultiHandler`", bench: "FanoutDisabled/MultiHandler", against: disabled, difference: true},
			{name: "disabled level, 4 handlers: `fanout.New`", bench: "FanoutDisabled/New", against: disabled, difference: true, atMost: 15},
			{name: "disabled level, 4 handlers: `slogmulti.Fanout`", bench: "FanoutDisabled/slogmulti", against: disabled, difference: true},
		}}},
	})
}
