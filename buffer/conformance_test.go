package buffer_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
	"github.com/slogworks/slogworks/handlertest"
)

// A buffer makes digests of its own and keeps no contexts, so it conforms as the
// end of a pipeline does.
func TestHandler_conforms(t *testing.T) {
	for name, opts := range map[string]buffer.Options{
		"by default":         {},
		"syncing always":     {Sync: buffer.SyncAlways},
		"never syncing":      {Sync: buffer.SyncNone},
		"with a fingerprint": {Fingerprint: slogworks.View.Message},
	} {
		for _, inMemory := range []bool{true, false} {
			where := "on disk, "
			if inMemory {
				where = "in memory, "
			}
			t.Run(where+name, func(t *testing.T) {
				handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
					opts := opts
					// What is delivered in the background arrives at any time.
					opts.Trigger, opts.Manual = buffer.All(), true
					opts.Level, opts.Limit.N = slog.LevelInfo, -1
					opts.MaxBytes = 64 << 20
					opts.MaxRecordBytes = 8 << 20
					if !inMemory {
						opts.Dir = t.TempDir()
					}
					rec := new(handlertest.Recorder)
					h, err := buffer.Open(rec, &opts)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { h.Close() })
					return h, func() []map[string]any {
						var lines bytes.Buffer
						to := slog.NewJSONHandler(&lines, nil)
						for _, item := range rec.Items() {
							if err := to.Handle(context.Background(), item.Record); err != nil {
								t.Error(err)
							}
						}
						return handlertest.JSON(t, &lines)()
					}
				})
			})
		}
	}
}
