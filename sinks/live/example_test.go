package live_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/sinks/live"
)

// A service shows its log beside what else it serves.
func Example() {
	hub := live.New(&live.Options{Token: "secret"})
	logger := slog.New(hub.Handler(slog.LevelDebug))

	mux := http.NewServeMux()
	mux.Handle("/debug/log/", hub)
	server := httptest.NewServer(mux)
	defer server.Close()
	server.Config.RegisterOnShutdown(func() { _ = hub.Close() })

	slogworks.Named(logger, "shop.db").Warn("slow query", "took", "2s")
	logger.Info("order placed", "order", 7)

	// A person opens server.URL + "/debug/log/?token=secret". A program sends
	// the token with each request.
	request, _ := http.NewRequest("GET", server.URL+"/debug/log/download?format=text&q=took>1", nil)
	request.Header.Set("Authorization", "Bearer secret")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	fmt.Println(answer.Status)

	request, _ = http.NewRequest("GET", server.URL+"/debug/log/download?format=text&logger=shop", nil)
	request.Header.Set("Authorization", "Bearer secret")
	answer, err = http.DefaultClient.Do(request)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	line, _ := bufio.NewReader(answer.Body).ReadString('\n')
	_, line, _ = strings.Cut(line, " level=")
	line, _, _ = strings.Cut(line, " source=")
	fmt.Println("level=" + line)
	// Output:
	// 200 OK
	// level=WARN msg="slow query" logger=shop.db took=2s
}

// A program that receives the records of others says where each comes from.
func ExampleHub_Publish() {
	hub := live.New(&live.Options{Token: "secret"})
	r := slog.Record{Level: slog.LevelError, Message: "disk full"}
	_ = hub.Publish(r, live.Origin{Host: "web1", Process: "worker", PID: 4711})

	answer := httptest.NewRecorder()
	request := httptest.NewRequest("GET", "http://localhost/download?host=web1", nil)
	request.Header.Set("Authorization", "Bearer secret")
	hub.ServeHTTP(answer, request)
	text, _ := io.ReadAll(answer.Body)
	fmt.Print(string(text))
	// Output: {"l":8,"m":"disk full","h":"web1","p":"worker","pid":4711,"a":[]}
}

// Shutdown ends the streams, for which http.Server.Shutdown would wait.
func ExampleHub_Shutdown() {
	hub := live.New(nil)
	handler := hub.Handler(nil)
	if err := hub.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(handler.Handle(context.Background(), slog.Record{Message: "too late"}))
	fmt.Println(slogworks.Books(handler)[0].Dropped["closed"])
	// Output:
	// live: closed
	// 1
}
