package bench_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/sinks/console"
)

// The pipeline that the README starts with, without its queue, and the same with
// what the standard library has.

func pipeline(terminal, file io.Writer) slog.Handler {
	return fanout.New(console.New(terminal, nil), slog.NewJSONHandler(file, nil))
}

func stdPipeline(terminal, file io.Writer) slog.Handler {
	return slog.NewMultiHandler(slog.NewTextHandler(terminal, nil), slog.NewJSONHandler(file, nil))
}

var pipelines = []struct {
	name string
	new  func(terminal, file io.Writer) slog.Handler
}{
	{"stdlib", stdPipeline},
	{"slogworks", pipeline},
}

func BenchmarkPipeline(b *testing.B) {
	for _, p := range pipelines {
		b.Run(p.name, func(b *testing.B) {
			file, err := os.Create(filepath.Join(b.TempDir(), "app.log"))
			if err != nil {
				b.Fatal(err)
			}
			defer file.Close()
			runHandler(b, context.Background(), slog.LevelInfo, p.new(io.Discard, file))
		})
	}
}

// The lines for the terminal differ, being made for people in one case and for
// programs in the other; both are one line that says everything.
func TestPipeline_writesTheSameToTheFile(t *testing.T) {
	var want bytes.Buffer
	logOne(t, t.Context(), slog.NewJSONHandler(&want, nil), slog.LevelInfo)
	for _, p := range pipelines {
		t.Run(p.name, func(t *testing.T) {
			var terminal, file bytes.Buffer
			logOne(t, t.Context(), p.new(&terminal, &file), slog.LevelInfo)
			if file.String() != want.String() {
				t.Errorf("the file has %q, want %q", file.String(), want.String())
			}
			line, rest, _ := bytes.Cut(terminal.Bytes(), []byte("\n"))
			if len(rest) > 0 {
				t.Errorf("the terminal got more than a line: %q", terminal.String())
			}
			if bytes.ContainsRune(line, '\x1b') {
				t.Errorf("the terminal got colours: %q", line)
			}
			if !bytes.Contains(line, []byte(message)) {
				t.Errorf("the terminal got %q, want %q in it", line, message)
			}
			for _, a := range attrs {
				if text := a.Key + "=" + a.Value.String(); !bytes.Contains(line, []byte(text)) {
					t.Errorf("the terminal got %q, want %q in it", line, text)
				}
			}
		})
	}
}
