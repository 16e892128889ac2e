package httpsink_test

import (
	"bytes"
	"io"
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/sinks/httpsink"
)

func TestHandler_conforms(t *testing.T) {
	for name, opts := range map[string]httpsink.Options{
		"by lines":      {},
		"by arrays":     {Format: httpsink.Array, Gzip: true},
		"by NewHandler": {NewHandler: func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }},
	} {
		t.Run(name, func(t *testing.T) {
			handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
				c := newCollector(t, nil)
				h := newHandler(t, c.URL, opts)
				var written bytes.Buffer
				lines := handlertest.JSON(t, &written)
				return h, func() []map[string]any {
					written.Reset()
					c.mu.Lock()
					defer c.mu.Unlock()
					for _, line := range c.taken {
						written.WriteString(line + "\n")
					}
					return lines()
				}
			})
		})
	}
}
