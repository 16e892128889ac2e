package main

func init() {
	declare(table{
		name:  "httpsink",
		intro: "Records with five attributes, of which four differ from record to record, posted over one connection on the loopback interface to a collector in the same process, which reads the body, throws it away, and answers 204 before the next is sent. It does not decompress.",
		parts: []part{
			{
				intro: "How many records are answered for, by how many are handed over at once.",
				units: []string{"records/s"},
				rows: []row{
					{name: "lines of JSON, one by one", bench: "HTTPSink/lines/1"},
					{name: "lines of JSON, batches of 64", bench: "HTTPSink/lines/64"},
					{name: "lines of JSON, batches of 500", bench: "HTTPSink/lines/500", atLeast: 200_000},
					{name: "an array, batches of 500", bench: "HTTPSink/array/500", atLeast: 200_000},
					{name: "wire lines, batches of 500", bench: "HTTPSink/wire/500", atLeast: 200_000},
					{name: "lines of JSON, gzip, batches of 500", bench: "HTTPSink/gzip/500", atLeast: 80_000},
					{name: "lines of JSON, gzip and HMAC, batches of 500", bench: "HTTPSink/gzip_signed/500", atLeast: 80_000},
				},
			},
		},
	})
}
