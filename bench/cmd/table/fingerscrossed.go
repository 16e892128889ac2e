package main

func init() {
	const direct = "FingersCrossed/json"
	declare(table{
		name: "fingerscrossed",
		intro: "A request logs 20 records of level Debug, which is what an op is here; all handlers write JSON and discard it. Compared is what it costs to write the records at once.\n" +
			"`zerolog.TriggerLevelWriter` encodes records when they are logged, by zerolog's own encoder; held records of slog are encoded when they are written.\n" +
			"github.com/delicb/slogbuffer and github.com/josephwoodward/logtrap hold records too and are not here, because the Go module proxy did not serve them.",
		peers: []string{"github.com/rs/zerolog"},
		parts: []part{{rows: []row{
			{name: "`slog.JSONHandler`", bench: direct},
			{name: "no scope, while another request has one: `fingerscrossed.New`", bench: "FingersCrossed/outside", against: direct, atMost: 1.10},
			{name: "held, dropped: `fingerscrossed.New`", bench: "FingersCrossed/dropped", against: direct, atMost: 0.45},
			{name: "held, dropped: `zerolog.TriggerLevelWriter`", bench: "FingersCrossed/zerolog/dropped", against: direct},
			{name: "held, written: `fingerscrossed.New`", bench: "FingersCrossed/released", against: direct, atMost: 1.30},
			{name: "held, written: `zerolog.TriggerLevelWriter`", bench: "FingersCrossed/zerolog/released", against: direct},
			{name: "held in a full scope, each dropping the oldest: `fingerscrossed.New`", bench: "FingersCrossed/evicting", against: direct},
			{name: "not held: zerolog", bench: "FingersCrossed/zerolog", against: direct},
			{name: "a request that logs nothing: `Begin` and `End`", bench: "FingersCrossedScope", atMost: 250},
		}}},
	})
}
