package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun_writesWhatWasAskedOfIt(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	name := filepath.Join(t.TempDir(), "service.log")
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, listener, name, io.Discard) }()

	response, err := http.Get("http://" + listener.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if string(body) != "hello\n" {
		t.Errorf("the service says %q", body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	written, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(written), "token") {
		t.Errorf("the token of the page is in the file:\n%s", written)
	}
	for _, message := range []string{"listening", "visited", "shutting down"} {
		if n := strings.Count(string(written), `"msg":"`+message+`"`); n != 1 {
			t.Errorf("%q stands in the file %d times:\n%s", message, n, written)
		}
	}
}
