package rotate_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/rotate"
)

// temporary is a directory for an example, and what removes it.
func temporary() (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "rotate")
	if err != nil {
		log.Fatal(err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

// withoutTime makes the output of the examples the same each time.
func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func show(paths ...string) {
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s:\n%s", filepath.Base(path), text)
	}
}

func Example() {
	dir, remove := temporary()
	defer remove()
	path := filepath.Join(dir, "app.log")

	file, err := rotate.Open(path, &rotate.Options{
		MaxBytes:   100,
		MaxBackups: 2,
		Naming:     rotate.Numbered,
	})
	if err != nil {
		log.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(file, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	for i := range 5 {
		logger.Info("request served", "id", i, "status", 200)
	}
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}

	show(path, path+".1", path+".2")
	// Output:
	// app.log:
	// level=INFO msg="request served" id=4 status=200
	// app.log.1:
	// level=INFO msg="request served" id=2 status=200
	// level=INFO msg="request served" id=3 status=200
	// app.log.2:
	// level=INFO msg="request served" id=0 status=200
	// level=INFO msg="request served" id=1 status=200
}

// A queue in front hands on batches, and a batch is one write to the file. The
// three verbs of the root package reach both.
func ExampleNewHandler() {
	dir, remove := temporary()
	defer remove()
	path := filepath.Join(dir, "app.log")

	file, err := rotate.Open(path, &rotate.Options{Schedule: rotate.Daily(0, 0, nil), MaxAge: 30 * 24 * time.Hour, Compress: true})
	if err != nil {
		log.Fatal(err)
	}
	h := queue.New(rotate.NewHandler(file, func(w io.Writer) slog.Handler {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: withoutTime})
	}), nil)
	logger := slog.New(h)
	logger.Info("server started", "addr", ":8080")
	logger.Error("cannot save", "err", "disk full")
	if err := slogworks.Shutdown(context.Background(), h); err != nil {
		log.Fatal(err)
	}

	show(path)
	// Output:
	// app.log:
	// {"level":"INFO","msg":"server started","addr":":8080"}
	// {"level":"ERROR","msg":"cannot save","err":"disk full"}
}

func ExampleDaily() {
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		log.Fatal(err)
	}
	// On 10 March 2024, clocks went from 01:59:59 to 03:00.
	schedule := rotate.Daily(2, 30, newYork)
	t := time.Date(2024, 3, 9, 0, 0, 0, 0, newYork)
	for range 3 {
		t = schedule.Next(t)
		fmt.Println(t.In(newYork))
	}
	// Output:
	// 2024-03-09 02:30:00 -0500 EST
	// 2024-03-10 03:00:00 -0400 EDT
	// 2024-03-11 02:30:00 -0400 EDT
}

func ExampleOptions_onRotate() {
	dir, remove := temporary()
	defer remove()

	file, err := rotate.Open(filepath.Join(dir, "requests.csv"), &rotate.Options{
		Naming:   rotate.Numbered,
		Header:   func() []byte { return []byte("method,status\n") },
		OnRotate: func(e rotate.Event) { fmt.Println(filepath.Base(e.Backup), e.Reason, e.Bytes, "bytes") },
		OnError:  func(err error) { fmt.Fprintln(os.Stderr, err) }, // not to a logger that writes here
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(file, "GET,200")
	if err := file.Rotate(); err != nil {
		log.Fatal(err)
	}
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}
	show(file.Name(), file.Name()+".1")
	// Output:
	// requests.csv.1 manual 22 bytes
	// requests.csv:
	// method,status
	// requests.csv.1:
	// method,status
	// GET,200
}
