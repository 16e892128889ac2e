package rotate_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/rotate"
)

// logFile is a file that handlertest.JSON reads.
type logFile struct {
	t    *testing.T
	path string
}

func (l logFile) Bytes() []byte {
	text, err := os.ReadFile(l.path)
	if err != nil {
		l.t.Error(err)
	}
	return text
}

func TestHandler_conforms(t *testing.T) {
	for name, opts := range map[string]*rotate.Options{
		"by default":      nil,
		"with a buffer":   {Buffer: 1 << 16},
		"with a schedule": {Schedule: rotate.Daily(0, 0, nil), Fsync: true},
		"shared":          {Shared: true, Buffer: 1 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
				path := filepath.Join(t.TempDir(), "app.log")
				f, err := rotate.Open(path, opts)
				opened(t, f, err)
				return rotate.NewHandler(f, nil), handlertest.JSON(t, logFile{t, path})
			})
		})
	}
	t.Run("behind a queue", func(t *testing.T) {
		handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
			path := filepath.Join(t.TempDir(), "app.log")
			f, err := rotate.Open(path, nil)
			opened(t, f, err)
			return queue.New(rotate.NewHandler(f, nil), nil), handlertest.JSON(t, logFile{t, path})
		})
	})
}
