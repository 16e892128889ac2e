package socket_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/socket"
)

// printed is a handler that prints what is the same every day.
func printed(w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		switch {
		case len(groups) > 0:
		case a.Key == slog.TimeKey, a.Key == "host", a.Key == "process", a.Key == "pid", a.Key == "peer", a.Key == slog.SourceKey:
			return slog.Attr{}
		}
		return a
	}})
}

// A program logs to another, through a queue and with acknowledgement.
func Example() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	r := &socket.Receiver{Handler: printed(os.Stdout)}
	defer r.Close()
	go r.Serve(l)

	q := queue.New(socket.New("tcp://"+l.Addr().String(), &socket.Options{Ack: true}), nil)
	slogworks.Named(slog.New(q), "shop.db").Warn("slow query", "took", 1500*time.Millisecond)

	// Waits until the record is acknowledged.
	if err := slogworks.Shutdown(context.Background(), q); err != nil {
		log.Fatal(err)
	}
	// Output:
	// level=WARN msg="slow query" logger=shop.db took=1.5s
}

// What is no record ends its connection and is counted.
func ExampleReceiver() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	refused := make(chan error, 1)
	r := &socket.Receiver{
		Handler: printed(os.Stdout),
		OnError: func(err error) { refused <- err },
	}
	go r.Serve(l)

	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, `{"level":"warn","logger":"db","msg":"slow","took":1.5}`)
	fmt.Fprint(conn, "\xff\xff\xff\xff")

	refusal := (<-refused).(*socket.Refusal)
	fmt.Println(refusal.Reason, refusal.Detail)
	r.Close()
	s := r.Stats()
	fmt.Println(s.Received, "received,", s.Written, "written,", s.Refused)
	// Output:
	// level=WARN msg=slow logger=db took=1.5
	// frame-too-long 4294967295 bytes announced, at most 1048576
	// 2 received, 1 written, map[frame-too-long:1]
}

func ExampleCheck() {
	fmt.Println(socket.Check("tcp://logs.example.com", nil))
	fmt.Println(socket.Check("udp://127.0.0.1:9020", &socket.Options{Ack: true}))
	fmt.Println(socket.Check("unix:///run/logs.sock", nil))
	// Output:
	// socket: target "tcp://logs.example.com": want tcp://HOST:PORT
	// socket: Ack for a target udp://: datagrams are not acknowledged
	// <nil>
}
