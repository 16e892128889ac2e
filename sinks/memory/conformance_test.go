package memory_test

import (
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/sinks/memory"
)

func TestHandler_conforms(t *testing.T) {
	handlertest.RunSink(t, func(*testing.T) (slog.Handler, func() []map[string]any) {
		logs := memory.New(nil)
		return logs, func() []map[string]any {
			var maps []map[string]any
			for v := range logs.Records() {
				maps = append(maps, asMap(v))
			}
			return maps
		}
	})
}
