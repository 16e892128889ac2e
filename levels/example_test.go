package levels_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/levels"
)

// printer writes text without the time and is open at every level, as the
// handler behind one of levels has to be.
func printer() slog.Handler {
	return slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug - 4,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		},
	})
}

func Example() {
	h := levels.New(printer(), nil)
	logger := slog.New(h)
	pool := slogworks.Named(logger, "shop.db.pool")

	pool.Debug("not written: every logger is at INFO")
	h.Table().Set("shop.db", slog.LevelDebug, 10*time.Minute)
	pool.Debug("written for ten minutes", "open", 3)
	logger.Debug("not written: another logger")
	// Output:
	// level=DEBUG msg="written for ten minutes" logger=shop.db.pool open=3
}

func ExampleNewTable() {
	// One table for two pipelines, at Warn but for one logger.
	table := levels.NewTable(slog.LevelWarn)
	table.Set("shop", slog.LevelInfo, 0)
	app := slogworks.Named(slog.New(levels.New(printer(), &levels.Options{Table: table})), "shop.orders")
	audit := slog.New(levels.New(printer(), &levels.Options{Table: table}))

	app.Info("order placed")
	audit.Info("not written")
	audit.Warn("login failed")
	// Output:
	// level=INFO msg="order placed" logger=shop.orders
	// level=WARN msg="login failed"
}

// What an operator does with
//
//	curl -X PUT localhost:8080/log/level -d level=debug
func ExampleTable_ServeHTTP() {
	h := levels.New(printer(), nil)
	mux := http.NewServeMux()
	mux.Handle("/log/level", h.Table())
	server := httptest.NewServer(mux)
	defer server.Close()

	curl := func(method, body string) {
		request, err := http.NewRequest(method, server.URL+"/log/level", strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			panic(err)
		}
		defer response.Body.Close()
		answer, _ := io.ReadAll(response.Body)
		fmt.Printf("%d %s", response.StatusCode, answer)
	}
	curl("GET", "")
	curl("PUT", "level=debug")
	curl("PUT", "logger=shop.db&level=error")
	curl("GET", "")
	curl("PUT", "level=verbose")
	// Output:
	// 200 {"level":"info"}
	// 200 {"level":"debug"}
	// 200 {"logger":"shop.db","level":"error"}
	// 200 {"level":"debug","loggers":{"shop.db":{"level":"error"}}}
	// 400 {"error":"levels: unknown level \"verbose\": want debug, info, warn or error, with an offset as in error+4; a number; trace, warning, critical or fatal"}
}

func ExampleParse() {
	for _, text := range []string{"debug", "WARNING", "error+2", "-4", "loud"} {
		level, err := levels.Parse(text)
		fmt.Println(level, err != nil)
	}
	// Output:
	// DEBUG false
	// WARN false
	// ERROR+2 false
	// DEBUG false
	// INFO true
}
