package slogctx

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/slogworks/slogworks/internal/stage"
)

// LogWriter returns a writer that makes a record of each Write, for what wants
// a *log.Logger: log.New(w, "", 0), or http.Server.ErrorLog. The record has the
// given level, read each time, nil being slog.LevelInfo, and the source of the
// code that called package log. The message is what is written without one
// newline at its end; other newlines stay in it, so that what was logged in one
// piece stays so. It is not parsed: give the log.Logger neither flags nor a
// prefix unless they are to stand in the message.
//
// The writer is safe for concurrent use. There is no context, so that h sees
// context.Background(). Write returns the error of h, which package log
// ignores. A log.Logger holds a lock while it writes: h must not log with it,
// nor take long.
//
// LogWriter panics if h is nil or is slog's own default handler, which writes
// to package log.
func LogWriter(h slog.Handler, level slog.Leveler) io.Writer {
	return newLogWriter(h, level)
}

// RedirectLog makes what is logged by the functions of package log records of
// h, as [LogWriter] does. Flags are cleared, since records have a time and a
// source of their own; a prefix stays and begins the message. log.Fatal hands
// the record to h before it ends the process; what h keeps for later is lost
// then.
//
// restore puts the output, the flags and the prefix of package log back as they
// were. It may be called more than once, and where several redirections end in
// another order than they began, the last to end puts back what the first found.
// If somebody else has set log's output in the meantime, restore leaves all as
// it is.
//
// slog.SetDefault redirects package log too. RedirectLog is for a handler that
// is not the default, for a level that slog.SetLogLoggerLevel does not give, to
// have the source, or to have an end. RedirectLog panics as LogWriter does.
func RedirectLog(h slog.Handler, level slog.Leveler) (restore func()) {
	redirecting.Lock()
	defer redirecting.Unlock()
	r := &redirection{
		logWriter: newLogWriter(h, level),
		output:    log.Writer(),
		flags:     log.Flags(),
		prefix:    log.Prefix(),
	}
	log.SetOutput(r)
	log.SetFlags(0)
	return r.restore
}

// redirecting is held where several settings of package log, which has a lock
// for each, are to change as one.
var redirecting sync.Mutex

// redirection is the output of package log, and what was there before.
type redirection struct {
	*logWriter
	output io.Writer
	flags  int
	prefix string
	ended  bool
}

func (r *redirection) restore() {
	redirecting.Lock()
	defer redirecting.Unlock()
	r.ended = true
	for {
		current, ok := log.Writer().(*redirection)
		if !ok || !current.ended {
			return
		}
		log.SetOutput(current.output)
		log.SetFlags(current.flags)
		log.SetPrefix(current.prefix)
	}
}

type logWriter struct {
	handler slog.Handler
	level   slog.Leveler
}

func newLogWriter(h slog.Handler, level slog.Leveler) *logWriter {
	return &logWriter{stage.Require("slogctx", h), stage.Level("slogctx", level, slog.LevelInfo)}
}

func (w *logWriter) Write(p []byte) (int, error) {
	ctx, level := context.Background(), w.level.Level()
	if !w.handler.Enabled(ctx, level) {
		return len(p), nil
	}
	message := string(bytes.TrimSuffix(p, []byte("\n")))
	r := slog.NewRecord(time.Now(), level, message, callerOfLog())
	if err := w.handler.Handle(ctx, r); err != nil {
		return 0, err
	}
	return len(p), nil
}

// callerOfLog returns the PC of what called package log, or of what called
// Write if that is not in the calls. A fixed number of calls to skip, as in
// slog, would be wrong for log.Output and for a writer between.
func callerOfLog() uintptr {
	const skip = 3 // runtime.Callers, callerOfLog, Write
	var calls [16]uintptr
	n := runtime.Callers(skip, calls[:])
	frames := runtime.CallersFrames(calls[:n])
	logging := false
	for _, pc := range calls[:n] {
		frame, _ := frames.Next()
		if isLogging(frame.Function) {
			logging = true
		} else if logging {
			return pc
		}
	}
	return calls[0]
}

// isLogging reports whether the function is one of package log, or of slog,
// whose initial handler writes to package log.
func isLogging(function string) bool {
	return strings.HasPrefix(function, "log.") || strings.HasPrefix(function, "log/slog.")
}
