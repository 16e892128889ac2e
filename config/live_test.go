package config_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/config"
)

// freeAddress returns an address of this machine that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// stats returns what the page answers, "" if nobody does.
func stats(t *testing.T, address string) string {
	t.Helper()
	req, err := http.NewRequest("GET", "http://"+address+"/records", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer t")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	var b strings.Builder
	if err := resp.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A page whose options change stays at its address, and the old one answers
// until it is shut down.
func TestLive_keepsItsAddressWhenItsOptionsChange(t *testing.T) {
	address := freeAddress(t)
	document := func(records int) string {
		return fmt.Sprintf("version: 1\nhandlers: {l: {kind: live, http: %q, token: t, max_records: %d}}\nroot: {to: l}\n", address, records)
	}
	w := newWorkshop()
	first := w.build(t, document(10), nil)
	slog.New(first).Info("to the first")
	second := w.build(t, document(20), first)
	slog.New(second).Info("to the second")
	if got := stats(t, address); !strings.Contains(got, "to the first") || strings.Contains(got, "to the second") {
		t.Errorf("before the first is retired the page has %s", got)
	}
	if err := config.Retire(t.Context(), first, second); err != nil {
		t.Error(err)
	}
	if got := stats(t, address); !strings.Contains(got, "to the second") {
		t.Errorf("then the page has %s", got)
	}
	third := w.build(t, document(30), second)
	if err := slogworks.Shutdown(t.Context(), third); err != nil { // as after a dry run
		t.Error(err)
	}
	if got := stats(t, address); !strings.Contains(got, "to the second") {
		t.Errorf("what was given up has taken the page: %s", got)
	}
	if err := slogworks.Shutdown(t.Context(), second); err != nil {
		t.Error(err)
	}
	if got := stats(t, address); got != "" {
		t.Errorf("at the end the page has %s", got)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = w.parse(t, document(1)).Build(context.Background())
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
}

func TestLive_changesLevelsIfThereIsAManager(t *testing.T) {
	address := freeAddress(t)
	document := fmt.Sprintf("version: 1\nhandlers: {l: {kind: live, http: %q, token: t}}\nroot: {to: l}\nloggers: {a.b: {level: warn}}\n", address)
	ask := func(method, path, body, token string) string {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+address+path, strings.NewReader(body))
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(req)
		must(t, err)
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		must(t, err)
		return fmt.Sprint(resp.StatusCode, " ", string(answer))
	}
	s := open(t, document)
	check(t, "levels", ask("GET", "/levels", "", "t"), `200 {"root":"info","loggers":{"a.b":{"level":"warn"}}}`+"\n")
	check(t, "a change", ask("PUT", "/levels/a.b", `{"level":"debug"}`, "t"), `200 {"logger":"a.b","level":"debug"}`+"\n")
	logger := slogworks.Named(slog.New(s.Handler()), "a.b")
	check(t, "a.b is at debug", logger.Enabled(t.Context(), slog.LevelDebug), true)
	if got := ask("DELETE", "/levels/a.b", "", "wrong"); !strings.HasPrefix(got, "401 ") {
		t.Errorf("without the token: %s", got)
	}
	check(t, "a.b is at debug", logger.Enabled(t.Context(), slog.LevelDebug), true)
	must(t, s.Shutdown(t.Context()))

	p := newWorkshop().build(t, document, nil)
	defer slogworks.Shutdown(t.Context(), p)
	if got := ask("GET", "/levels", "", "t"); !strings.HasPrefix(got, "404 ") {
		t.Errorf("without a manager: %s", got)
	}
}
