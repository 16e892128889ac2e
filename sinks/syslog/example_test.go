package syslog_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"regexp"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/syslog"
)

// A program logs to a daemon, here one that prints what it gets, through a queue.
func Example() {
	daemon, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer daemon.Close()

	q := queue.New(syslog.New("udp://"+daemon.LocalAddr().String(), &syslog.Options{
		Facility: syslog.Daemon, Hostname: "web1", AppName: "shop", ProcID: "7",
	}), nil)
	logger := slogworks.Named(slog.New(q), "shop.db")
	logger.WithGroup("query").Warn("slow query\n<34>", "took", 1500*time.Millisecond, "table", `the "new" one`)

	if err := slogworks.Shutdown(context.Background(), q); err != nil {
		log.Fatal(err)
	}
	message := make([]byte, 1024)
	n, _, err := daemon.ReadFrom(message)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", regexp.MustCompile(`20\S+Z?`).ReplaceAll(message[:n], []byte("TIME")))
	// Output:
	// <28>1 TIME web1 shop 7 - [slog@32473 logger="shop.db" query.took="1.5s" query.table="the \"new\" one"] slow query
	// <34>
}

func ExampleCheck() {
	fmt.Println(syslog.Check("tcp://logs.example.com", nil))
	fmt.Println(syslog.Check("udp://127.0.0.1:514", &syslog.Options{SDID: "shop"}))
	fmt.Println(syslog.Check(syslog.Local, nil))
	// Output:
	// syslog: target "tcp://logs.example.com": want tcp://HOST:PORT
	// syslog: SDID "shop": want a name and a number as in slog@32473, at most 32 characters
	// <nil>
}
