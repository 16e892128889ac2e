package fanout_test

import (
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
)

func TestLevelHandler_readsItsLevelForEveryRecord(t *testing.T) {
	var level slog.LevelVar
	rec := &handlertest.Recorder{Level: slog.LevelInfo}
	h := fanout.AtLeast(rec, &level)
	for _, h := range []slog.Handler{h, h.WithAttrs([]slog.Attr{slog.Int("k", 1)}), h.WithGroup("g")} {
		for _, lowest := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelInfo + 1, slog.LevelError} {
			level.Set(lowest)
			for l := slog.LevelDebug; l <= 12; l++ {
				want := l >= max(lowest, slog.LevelInfo)
				if got := h.Enabled(t.Context(), l); got != want {
					t.Fatalf("with a lowest level of %v over one of INFO, Enabled(%v) = %v", lowest, l, got)
				}
				before := len(rec.Items())
				if err := h.Handle(t.Context(), record(l, "message")); err != nil {
					t.Error(err)
				}
				if got := len(rec.Items()) > before; got != want {
					t.Fatalf("with a lowest level of %v over one of INFO, a record of %v arrived: %v", lowest, l, got)
				}
			}
		}
	}
}

func TestLevelHandler_isOpenFromInfoOnWithoutALevel(t *testing.T) {
	h := fanout.AtLeast(new(handlertest.Recorder), nil)
	if h.Enabled(t.Context(), slog.LevelInfo-1) || !h.Enabled(t.Context(), slog.LevelInfo) {
		t.Error("AtLeast(h, nil) does not open at INFO")
	}
}

func TestLevelHandler_returnsWhatItsHandlerReturns(t *testing.T) {
	if err := fanout.AtLeast(failing(errBroken), nil).Handle(t.Context(), record(slog.LevelInfo, "message")); err != errBroken {
		t.Errorf("Handle returned %v", err)
	}
}
