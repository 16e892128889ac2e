package console_test

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/slogworks/slogworks/sinks/console"
)

// dropTime makes the output of the examples the same each time.
func dropTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}

func Example() {
	h := console.New(os.Stdout, &console.Options{
		Level:       slog.LevelDebug,
		ReplaceAttr: dropTime,
	})
	log := slog.New(h)

	log.Debug("configuration read", "path", "/etc/app.yaml")
	log.Info("server started", slog.Group("http", "addr", ":8080", "tls", true))
	log.With("request", 17).WithGroup("db").Warn("slow query", "table", "users", "took", "1.2s")
	log.Error("cannot save", "err", errors.New("disk full"))
	// Output:
	// DBG configuration read path=/etc/app.yaml
	// INF server started http.addr=:8080 http.tls=true
	// WRN slow query request=17 db.table=users db.took=1.2s
	// ERR cannot save err="disk full"
}

// What comes from outside cannot forge a line, nor reach the terminal.
func ExampleHandler() {
	log := slog.New(console.New(os.Stdout, &console.Options{ReplaceAttr: dropTime}))

	log.Info("login", "user", "eve\n15:04:05.000 INF login user=root")
	log.Info("\x1b[2Jnothing to see")
	// Output:
	// INF login user="eve\n15:04:05.000 INF login user=root"
	// INF "\x1b[2Jnothing to see"
}

func ExampleOptions_replaceAttr() {
	const LevelTrace = slog.LevelDebug - 4
	h := console.New(os.Stdout, &console.Options{
		Level: LevelTrace,
		Color: console.ColorNever,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.LevelKey && a.Value.Any() == LevelTrace {
				return slog.String(a.Key, "TRC")
			}
			return dropTime(groups, a)
		},
	})

	slog.New(h).Log(context.Background(), LevelTrace, "packet", "bytes", 48)
	// Output:
	// TRC packet bytes=48
}
