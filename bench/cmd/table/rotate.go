package main

func init() {
	const (
		file    = "Rotate/os"
		peer    = "Rotate/lumberjack"
		atOnce  = "RotateQueue/sync"
		batches = "RotateQueue/queue"
	)
	declare(table{
		name:  "rotate",
		intro: "What costs most is the system call; what differs is how many there are, and what happens when a file is rotated.",
		peers: []string{"gopkg.in/natefinch/lumberjack.v2", "github.com/DeRuina/timberjack"},
		parts: []part{
			{
				intro: "A line of 200 bytes, while no rotation is due.",
				rows: []row{
					{name: "`os.File`", bench: file},
					{name: "`rotate.Open`", bench: "Rotate/rotate", against: file, atMost: 1.05},
					{name: "`rotate.Open`, `Daily`", bench: "Rotate/rotate/daily", against: file},
					{name: "`rotate.Open`, `Shared`", bench: "Rotate/rotate/shared", against: file, atMost: 1.1},
					{name: "`rotate/lumberjack.Open`", bench: "Rotate/rotate/lumberjack", against: file},
					{name: "lumberjack", bench: peer, against: file},
					{name: "timberjack", bench: "Rotate/timberjack", against: file},
				},
			},
			{
				intro: "The same, by how many lines there are in a second.",
				units: []string{"lines/s"},
				rows: []row{
					{name: "lumberjack", bench: peer},
					{name: "`rotate.Open`, `Buffer` of 64 KiB", bench: "Rotate/rotate/buffer", against: peer, atLeast: 10},
				},
			},
			{
				intro: "How many records one goroutine gets into a file of JSON in a row, the last flush included.",
				units: []string{"records/s"},
				rows: []row{
					{name: "`slog.JSONHandler` on `rotate.Open`", bench: atOnce},
					{name: "`queue.New` on `rotate.NewHandler`", bench: batches, against: atOnce, atLeast: 1.2},
				},
			},
			{
				intro: "How long the Write takes that rotates a file of 100 MB, of 20 in a row. A part of that is to create a file, which on ext4 depends on how many were removed nearby in the minutes before.",
				units: []string{"median-ms", "slowest-ms"},
				rows: []row{
					{name: "`rotate.Open`", bench: "RotateLarge/rotate", atMost: 0.5},
					{name: "`rotate/lumberjack.Open`", bench: "RotateLarge/rotate/lumberjack", atMost: 0.5},
					{name: "to create a file", bench: "RotateLarge/create"},
					{name: "lumberjack", bench: "RotateLarge/lumberjack"},
					{name: "timberjack", bench: "RotateLarge/timberjack"},
				},
			},
			{
				intro: "How long a Write takes while files of 10 MB are rotated and compressed, which goes on in the background. Reading the clock is part of each figure.",
				units: []string{"p50-ns", "p99-ns", "p99.99-ns"},
				rows: []row{
					{name: "`os.File`, no rotation", bench: "RotateGzip/os"},
					{name: "`rotate.Open`, `Compress`", bench: "RotateGzip/rotate", limits: map[string]float64{"p99.99-ns": 1e6}},
					{name: "lumberjack, `Compress`", bench: "RotateGzip/lumberjack"},
					{name: "timberjack, `Compress`", bench: "RotateGzip/timberjack"},
				},
			},
		},
	})
}
