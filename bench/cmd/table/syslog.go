package main

func init() {
	const std = "Syslog/log/syslog"
	declare(table{
		name: "syslog",
		intro: "Records with five attributes over one TCP connection on the loopback interface to a daemon in the same process, which divides what it reads into messages and throws them away.\n" +
			"`log/syslog` of the standard library gets its text from slog.TextHandler, without time and level, which its head has.",
		parts: []part{
			{
				intro: "How many records arrive, by how many are handed over at once.",
				units: []string{"records/s"},
				rows: []row{
					{name: "`log/syslog`, one by one", bench: std},
					{name: "RFC 3164, line feeds, one by one", bench: "Syslog/3164/1", against: std, atLeast: 1},
					{name: "RFC 5424, octet counting, one by one", bench: "Syslog/5424/1", atLeast: 200_000},
					{name: "RFC 5424, octet counting, batches of 16", bench: "Syslog/5424/16", atLeast: 200_000},
					{name: "RFC 5424, octet counting, batches of 64", bench: "Syslog/5424/64", atLeast: 200_000},
				},
			},
		},
	})
}
