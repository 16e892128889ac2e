package main

func init() {
	const (
		tcp16 = "Socket/tcp/16"
		tcp64 = "Socket/tcp/64"
	)
	declare(table{
		name:  "socket",
		intro: "Records with five attributes over one connection on the loopback interface, encoded, sent, received, decoded and handed to a handler that does nothing, by one sender in the same process as the receiver.",
		parts: []part{
			{
				intro: "How many records arrive, by how many are handed over at once.",
				units: []string{"records/s"},
				rows: []row{
					{name: "tcp, one by one", bench: "Socket/tcp/1"},
					{name: "tcp, batches of 16", bench: tcp16, atLeast: 500_000},
					{name: "tcp, batches of 64", bench: tcp64, atLeast: 500_000},
					{name: "tls, one by one", bench: "Socket/tls/1", against: "Socket/tcp/1"},
					{name: "tls, batches of 16", bench: "Socket/tls/16", against: tcp16, atLeast: 0.8},
					{name: "tls, batches of 64", bench: "Socket/tls/64", against: tcp64, atLeast: 0.8},
					{name: "tcp, one by one, each acknowledged before the next", bench: "Socket/ack/1", against: "Socket/tcp/1"},
					{name: "tcp, batches of 16, each acknowledged before the next", bench: "Socket/ack/16", against: tcp16},
					{name: "tcp, batches of 64, each acknowledged before the next", bench: "Socket/ack/64", against: tcp64},
				},
			},
		},
	})
}
