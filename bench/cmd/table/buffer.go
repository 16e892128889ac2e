package main

func init() {
	const (
		write = "Buffer/write"
		each  = "BufferSync/each"
	)
	declare(table{
		name:  "buffer",
		intro: "What it costs that records outlive the program. Files are on the disk that holds the temporary directory.",
		parts: []part{
			{
				intro: "A record, without a sync. A buffer locks the spool against other processes, looks whether the journal is still there, and adds a checksum.",
				rows: []row{
					{name: "`write(2)` of the same bytes", bench: write},
					{name: "`buffer.Open`, `Manual`", bench: "Buffer/manual", against: write, atMost: 4},
					{name: "`buffer.Open`, the trigger asked after each record", bench: "Buffer/trigger", against: write, atMost: 4},
					{name: "`buffer.Open` without a directory", bench: "Buffer/memory", against: write},
				},
			},
			{
				intro: "A record that is safe from a power failure when the call returns.",
				units: []string{"ns/op"},
				rows: []row{
					{name: "`write(2)` and `fsync(2)` for each", bench: each},
					{name: "`buffer.Open`, `SyncAlways`, by 64 goroutines", bench: "BufferSync/64", against: each, atMost: 0.1},
				},
			},
			{
				intro: "A spool of 100,000 records.",
				units: []string{"ms"},
				rows: []row{
					{name: "`buffer.Open`", bench: "BufferLarge/open", atMost: 1000},
					{name: "`Deliver` until it is empty", bench: "BufferLarge/deliver"},
				},
			},
		},
	})
}
