package main

func init() {
	const (
		xadd    = "Redis/goredis/xadd"
		publish = "Redis/goredis/publish"
		rpush   = "Redis/goredis/rpush"
	)
	declare(table{
		name: "redis",
		intro: "Records with five attributes, encoded and sent to a redis-server on the loopback interface, which runs beside the sender on the same processors and writes nothing to a disk; one sender, who waits for the answer to each round trip. " +
			"The peer sends the line of `slog.JSONHandler`, record by record, to the list with a pipeline of RPUSH and LTRIM as Python's python-redis-log does.",
		peers: []string{"github.com/redis/go-redis/v9"},
		parts: []part{
			{
				intro: "How many records the server has taken.",
				units: []string{"records/s"},
				rows: []row{
					{name: "go-redis: XADD with MAXLEN ~, one by one", bench: xadd},
					{name: "`redis.Handler`: stream, one by one", bench: "Redis/stream/1", against: xadd},
					{name: "`redis.Handler`: stream, batches of 100", bench: "Redis/stream/100", atLeast: 150_000},
					{name: "go-redis: PUBLISH, one by one", bench: publish},
					{name: "`redis.Handler`: channel, one by one", bench: "Redis/channel/1", against: publish},
					{name: "`redis.Handler`: channel, batches of 100", bench: "Redis/channel/100", atLeast: 150_000},
					{name: "go-redis: RPUSH and LTRIM, one by one", bench: rpush},
					{name: "`redis.Handler`: list, batches of 100", bench: "Redis/list/100", against: rpush},
					{name: "`redis.Handler`: stream, channel and list, batches of 100", bench: "Redis/all/100", against: xadd},
				},
			},
		},
	})
}
