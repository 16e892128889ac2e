package intake_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/intake"
	"github.com/slogworks/slogworks/internal/wire"
)

func TestRecord_From(t *testing.T) {
	source := slog.Any(slog.SourceKey, &slog.Source{File: "a.go", Line: 7})
	for name, test := range map[string]struct {
		attrs      []slog.Attr
		origin     wire.Origin
		namedFirst bool
		peer, want string
	}{
		"is bare where there is nothing":    {want: ""},
		"puts who sent it in front":         {attrs: []slog.Attr{slog.Int("x", 1), source, slog.String("logger", "a")}, origin: wire.Origin{Host: "h", Process: "p", PID: 7}, peer: "1:2", want: `logger=a host=h process=p pid=7 peer=1:2 x=1 extra.source=a.go:7`},
		"puts the source last":              {attrs: []slog.Attr{slog.Int("x", 1), source}, peer: "1:2", want: `peer=1:2 x=1 source=a.go:7`},
		"renames what is called like ours":  {attrs: []slog.Attr{slog.Int("time", 1), slog.Int("level", 2), slog.Int("msg", 3), slog.Int("source", 4), slog.Int("logger", 5), slog.Int("host", 6), slog.Int("process", 7), slog.Int("pid", 8), slog.Int("peer", 9)}, want: `extra.time=1 extra.level=2 extra.msg=3 extra.source=4 extra.logger=5 extra.host=6 extra.process=7 extra.pid=8 extra.peer=9`},
		"looks into groups without name":    {attrs: []slog.Attr{slog.Group("", slog.Int("pid", 1)), slog.Group("g", slog.Int("pid", 2))}, want: `extra.pid=1 g.pid=2`},
		"takes the last name":               {attrs: []slog.Attr{slog.String("logger", "a"), slog.String("logger", "b")}, want: `logger=b extra.logger=a`},
		"takes the first name if it is one": {attrs: []slog.Attr{slog.String("logger", "a"), slog.String("logger", "b")}, namedFirst: true, want: `logger=a extra.logger=b`},
	} {
		t.Run(name, func(t *testing.T) {
			r := intake.Record{Record: slog.NewRecord(time.Time{}, 0, "m", 0), Origin: test.origin, NamedFirst: test.namedFirst}
			r.AddAttrs(test.attrs...)
			var line bytes.Buffer
			if err := slog.NewTextHandler(&line, nil).Handle(context.Background(), r.From(test.peer)); err != nil {
				t.Fatal(err)
			}
			want := strings.TrimSpace("level=INFO msg=m " + test.want)
			if got := strings.TrimSpace(line.String()); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestCounts_balance(t *testing.T) {
	failed := errors.New("failed")
	rec := &handlertest.Recorder{Level: slog.LevelInfo, Before: func(_ context.Context, b slogworks.Batch) error {
		if b.Items[0].Record.Message == "bad" {
			return failed
		}
		return nil
	}}
	var c intake.Counts
	for message, want := range map[string]error{"good": nil, "bad": failed} {
		if err := c.Hand(t.Context(), rec, slog.NewRecord(time.Time{}, slog.LevelInfo, message, 0)); !errors.Is(err, want) {
			t.Errorf("%s: %v", message, err)
		}
	}
	if err := c.Hand(t.Context(), rec, slog.NewRecord(time.Time{}, slog.LevelDebug, "good", 0)); err != nil {
		t.Error(err)
	}
	c.Refuse("a")
	c.Refuse("a")
	got := c.Totals()
	if got.Received != 4 || got.Written != 1 || got.Dropped != 1 || got.Ignored != 1 || got.Refused["a"] != 2 || len(got.Refused) != 1 {
		t.Errorf("the counts are %+v", got)
	}
	got.Refused["b"] = 1
	if c.Totals().Received != 4 {
		t.Error("the counts can be changed from outside")
	}
}

func TestReport_doesNotPanic(t *testing.T) {
	intake.Report(nil, io.EOF)
	intake.Report(func(error) { panic("bad OnError") }, io.EOF)
}

func TestBudget_letsOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := intake.NewBudget(10, 0)
		var first, second, third intake.Share
		if err := b.Take(&first, 7, time.Minute, nil); err != nil {
			t.Fatal("there is nothing to take")
		}
		if err := b.Take(&second, 9, time.Minute, nil); err != nil {
			t.Fatal("nobody goes beyond what there is")
		}
		if err := b.Take(&third, 1, time.Minute, nil); err != intake.ErrNoMemory {
			t.Errorf("a second went beyond what there is: %v", err)
		}
		if err := b.Take(&second, 100, time.Minute, nil); err != nil {
			t.Error("whoever goes beyond what there is cannot go on")
		}
		got := make(chan error, 1)
		go func() { got <- b.Take(&third, 10, time.Minute, nil) }()
		synctest.Wait()
		b.Give(&first)
		synctest.Wait()
		select {
		case <-got:
			t.Error("nobody waited")
		default:
		}
		b.Give(&second)
		b.Give(&second)
		if err := <-got; err != nil {
			t.Errorf("what was given back cannot be taken: %v", err)
		}
		giveUp := make(chan struct{})
		go func() { got <- b.Take(&first, 11, time.Minute, giveUp) }()
		if err := <-got; err != nil {
			t.Errorf("there is room beyond again, but %v", err)
		}
		go func() { got <- b.Take(&second, 1, time.Minute, giveUp) }()
		synctest.Wait()
		close(giveUp)
		if err := <-got; err != intake.ErrDrained {
			t.Errorf("whoever gives up gets %v", err)
		}
	})
}

// flaky is a listener that fails for a while, as without descriptors.
type flaky struct {
	net.Listener
	failures int
}

type passing struct{ error }

func (passing) Temporary() bool { return true }

func (l *flaky) Accept() (net.Conn, error) {
	if l.failures--; l.failures >= 0 {
		return nil, passing{errors.New("too many open files")}
	}
	return l.Listener.Accept()
}

func TestServer_outlivesFailuresThatPass(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := errors.New("closed")
	reports := 0
	s := intake.NewServer(intake.Config{Package: "pkg", ErrClosed: closed, Report: func(error) { reports++ }})
	served, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- s.Serve(&flaky{l, 3}, func(c *intake.Conn) { close(served) })
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	<-served
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != closed || reports != 3 {
		t.Errorf("Serve returned %v after %d reports", err, reports)
	}
}
