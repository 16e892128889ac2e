package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
)

var (
	pageLine  = regexp.MustCompile(`^slogworks demo: page (http://127\.0\.0\.1:\d+/)\?token=(\S+)\n`)
	startLine = regexp.MustCompile(`(?m)^slogworks demo: service (http://127\.0\.0\.1:\d+/)$`)
	fileLine  = regexp.MustCompile(`(?m)^file written=(\d+) path=(.+)$`)
	lineCount = regexp.MustCompile(`(?m)^console written=(\d+) discarded=\d+$`)
	pageCount = regexp.MustCompile(`(?m)^page written=(\d+)$`)
	mailLine  = regexp.MustCompile(`(?m)^mail sent=(\d+) records=(\d+)$`)
)

// session is a demo that runs until it is cancelled.
type session struct {
	url            string
	stdout, stderr output
	cancel         context.CancelFunc
	ended          chan struct{}
	code           int
}

func start(t *testing.T, args ...string) *session {
	t.Helper()
	leavesNoGoroutine(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := &session{cancel: cancel, ended: make(chan struct{})}
	go func() {
		s.code = run(ctx, append([]string{"demo"}, args...), &s.stdout, &s.stderr)
		close(s.ended)
	}()
	t.Cleanup(func() { s.end() })
	if !eventually(func() bool { return startLine.MatchString(s.stdout.String()) }) {
		t.Fatalf("no URL: exit %d, stdout %q, stderr %q", s.end(), s.stdout.String(), s.stderr.String())
	}
	s.url = startLine.FindStringSubmatch(s.stdout.String())[1]
	return s
}

func (s *session) end() int {
	s.cancel()
	<-s.ended
	return s.code
}

// checkSummary checks the numbers at the end of a demo's stdout against what
// the file and the console got, and returns the records of the file.
func checkSummary(t *testing.T, stdout, stderr string) []map[string]any {
	t.Helper()
	file, lines, mails := fileLine.FindStringSubmatch(stdout), lineCount.FindStringSubmatch(stdout), mailLine.FindStringSubmatch(stdout)
	page := pageCount.FindStringSubmatch(stdout)
	if file == nil || lines == nil || page == nil || mails == nil ||
		!strings.HasSuffix(stdout, file[0]+"\n"+lines[0]+"\n"+page[0]+"\n"+mails[0]+"\n") {
		t.Fatalf("stdout does not end with a line per sink:\n%s", stdout)
	}
	if page[1] != lines[1] {
		t.Errorf("the page has %s records, the console %s", page[1], lines[1])
	}
	if got := strconv.Itoa(strings.Count(stderr, "\n")); got != lines[1] {
		t.Errorf("%s lines on the console; the summary says %s", got, lines[1])
	}
	content, err := os.ReadFile(file[2])
	if err != nil {
		t.Fatal(err)
	}
	if got := strconv.Itoa(bytes.Count(content, []byte("\n"))); got != file[1] {
		t.Errorf("%s lines in the file; the summary says %s", got, file[1])
	}
	var records []map[string]any
	for scanner := bufio.NewScanner(bytes.NewReader(content)); scanner.Scan(); {
		var record map[string]any
		if err := json.Unmarshal(scanner.Bytes(), &record); err != nil {
			t.Fatalf("%v: %s", err, scanner.Text())
		}
		records = append(records, record)
	}
	return records
}

// access returns the level of the record of a request, or "" if there is none.
func access(records []map[string]any, agent, method, path string, status int) string {
	for _, r := range records {
		if r["logger"] == "shop.http" && r["agent"] == agent &&
			r["method"] == method && r["path"] == path && r["status"] == float64(status) {
			return r["level"].(string)
		}
	}
	return ""
}

func TestDemo_endsWhenItsTimeIsOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "directory")
	code, stdout, stderr := runArgs(t, "demo", "-for", "300ms", "--dir", dir)
	if code != 0 {
		t.Errorf("exit %d; want 0; stderr:\n%s", code, stderr)
	}
	records := checkSummary(t, stdout, stderr)
	if !strings.Contains(stdout, " path="+filepath.Join(dir, "demo.log")+"\n") {
		t.Errorf("the file is not in %s:\n%s", dir, stdout)
	}
	if access(records, "customer", "GET", "/", 200) != "INFO" {
		t.Error("no customer came")
	}
	last := records[len(records)-1]
	if last["msg"] != "shop closing" || last["because"] != "its time is over" {
		t.Errorf("the last record is %v", last)
	}
	url := startLine.FindStringSubmatch(stdout)
	if url == nil {
		t.Fatalf("no URL:\n%s", stdout)
	}
	page := pageLine.FindStringSubmatch(stdout)
	if page == nil {
		t.Fatalf("the page is not named first:\n%s", stdout)
	}
	for _, url := range []string{url[1], page[1]} {
		if _, err := http.Get(url); err == nil {
			t.Errorf("%s still answers", url)
		}
	}
}

func TestDemo_servesOthersThanItsCustomers(t *testing.T) {
	s := start(t, "-dir", t.TempDir())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	do := func(method, path, body string, wantStatus int) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", "test")
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != wantStatus {
			t.Errorf("%s /%s: status %d, want %d: %s", method, path, response.StatusCode, wantStatus, answer)
		}
		return string(answer)
	}

	var placed, found order
	if err := json.Unmarshal([]byte(do("POST", "orders", `{"item":"tea","quantity":2}`, 201)), &placed); err != nil {
		t.Fatal(err)
	}
	if want := (order{ID: placed.ID, Item: "tea", Quantity: 2, Cents: 900}); placed != want || placed.ID < 1 {
		t.Errorf("placed %+v; want %+v", placed, want)
	}
	if err := json.Unmarshal([]byte(do("GET", fmt.Sprintf("orders/%d", placed.ID), "", 200)), &found); err != nil || found != placed {
		t.Errorf("found %+v, %v; want %+v", found, err, placed)
	}
	do("GET", "orders/0", "", 404)
	do("GET", "orders/first", "", 400)
	do("POST", "orders", `{"item":"unicorn","quantity":1}`, 422)
	do("POST", "orders", `{"item":"tea","quantity":0}`, 422)
	do("POST", "orders", `{"item":"`+strings.Repeat("a", 5000)+`"}`, 400)
	do("POST", "orders", ``, 400)
	do("GET", "slow", "", 200)
	if answer := do("GET", "broken", "", 500); strings.Contains(answer, "provider") {
		t.Errorf("the inside of a failure is shown to everyone: %s", answer)
	}
	do("DELETE", "orders/1", "", 404)
	page := pageLine.FindStringSubmatch(s.stdout.String())
	shown := asked(t, page[1], page[2], "download?format=text")

	if code := s.end(); code != 0 {
		t.Errorf("exit %d; want 0", code)
	}
	records := checkSummary(t, s.stdout.String(), s.stderr.String())
	for _, want := range []struct {
		method, path string
		status       int
		level        string
	}{
		{"POST", "/orders", 201, "INFO"},
		{"GET", fmt.Sprintf("/orders/%d", placed.ID), 200, "INFO"},
		{"GET", "/orders/0", 404, "INFO"},
		{"GET", "/broken", 500, "ERROR"},
		{"DELETE", "/orders/1", 404, "INFO"},
	} {
		if level := access(records, "test", want.method, want.path, want.status); level != want.level {
			t.Errorf("%s %s is logged at level %q; want %s", want.method, want.path, level, want.level)
		}
	}
	for _, message := range []string{"shop opened", "query", "slow query", "order placed", "http request"} {
		found := false
		for _, r := range records {
			found = found || r["msg"] == message
		}
		if !found {
			t.Errorf("no record %q", message)
		}
	}
	if !strings.Contains(s.stderr.String(), "charge card: payment provider: connection refused") {
		t.Errorf("the console does not show the error:\n%s", s.stderr.String())
	}
	checkStories(t, s.stderr.String())
	if story := stories(shown); len(story) == 0 || !slices.Equal(story, stories(s.stderr.String())[:len(story)]) {
		t.Errorf("the page shows\n%q\nthe console\n%q", story, stories(s.stderr.String()))
	}
	if sent := mailLine.FindStringSubmatch(s.stdout.String()); sent[1] != "1" || !strings.Contains(s.stdout.String(), "\nThe mail: ERROR http request") {
		t.Errorf("there is no mail of the errors:\n%s", s.stdout.String())
	}
}

var requestID = regexp.MustCompile(`request_id=(\S+) `)

// checkStories checks that the console has the debug records of the requests
// that failed or took long, and of no other.
func checkStories(t *testing.T, console string) {
	t.Helper()
	told := map[string]bool{} // whether a request has debug records
	for line := range strings.Lines(console) {
		id := requestID.FindStringSubmatch(line)
		if id == nil {
			continue // not of a request
		}
		if strings.Contains(line, " DBG ") {
			told[id[1]] = true
		}
		if strings.Contains(line, "path=") { // the last one
			want := strings.Contains(line, "path=/broken ") || strings.Contains(line, "path=/slow ")
			if told[id[1]] != want {
				t.Errorf("that this request has debug records is %v, want %v: %s", told[id[1]], want, line)
			}
		}
	}
	if len(told) < 2 {
		t.Errorf("the console has the debug records of %d requests; want two or more:\n%s", len(told), console)
	}
}

// stories returns the request ids of the debug records in a log, in their order.
func stories(log string) (ids []string) {
	for line := range strings.Lines(log) {
		if id := requestID.FindStringSubmatch(line); id != nil && regexp.MustCompile(` DBG | level=DEBUG `).MatchString(line) {
			ids = append(ids, id[1])
		}
	}
	return ids
}

// asked returns what a page answers.
func asked(t *testing.T, url, token, path string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: anyServer}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%s: %s, %v: %s", path, response.Status, err, body)
	}
	return string(body)
}

func TestDemo_finishesRequestsUnderWay(t *testing.T) {
	s := start(t, "-dir", t.TempDir())
	answered := make(chan error, 1)
	arrived, body := io.Pipe()
	defer body.Close()
	r, err := http.NewRequest("POST", s.url+"orders", arrived)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "test")
	r.Header.Set("Expect", "100-continue") // so that the write below waits for the handler
	go func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Minute}}
		response, err := client.Do(r)
		if err == nil {
			response.Body.Close()
			if response.StatusCode != 201 {
				err = errors.New(response.Status)
			}
		}
		answered <- err
	}()
	io.WriteString(body, `{"item":"cake",`)
	s.cancel()
	if !eventually(func() bool { return strings.Contains(s.stderr.String(), "shop closing") }) {
		t.Fatal("the demo does not end")
	}
	io.WriteString(body, `"quantity":1}`)
	body.Close()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if code := s.end(); code != 0 {
		t.Errorf("exit %d; want 0", code)
	}
	records := checkSummary(t, s.stdout.String(), s.stderr.String())
	if access(records, "test", "POST", "/orders", 201) != "INFO" {
		t.Error("the last request is not in the log")
	}
}

func TestDemo_showsThePageToTheEnd(t *testing.T) {
	s := start(t, "-dir", t.TempDir())
	page := pageLine.FindStringSubmatch(s.stdout.String())
	r, err := http.NewRequestWithContext(t.Context(), "GET", page[1]+"events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+page[2])
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if code := s.end(); code != 0 {
		t.Errorf("exit %d; want 0", code)
	}
	events, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(events), "shop opened") || !strings.Contains(string(events), "shop closing") {
		t.Errorf("%v, the page got:\n%s", err, events)
	}
}

func TestDemo_keepsWhatItsFileHas(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "demo.log")
	if err := os.WriteFile(path, []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runArgs(t, "demo", "-for=1ms", "-dir", dir); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if content, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(content, []byte("mine\n{")) {
		t.Errorf("%v, now the file is:\n%s", err, content)
	}
}

func TestDemo_usesATemporaryDirectory(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp) // on Windows
	code, stdout, stderr := runArgs(t, "demo", "-for", "1ms")
	if code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	checkSummary(t, stdout, stderr)
	path := fileLine.FindStringSubmatch(stdout)[2]
	if !strings.HasPrefix(path, temp) || strings.Count(stdout, path) != 2 {
		t.Errorf("%s is not in %s and named at the start and at the end:\n%s", path, temp, stdout)
	}
	if all, err := filepath.Glob(filepath.Join(temp, "*", "*")); err != nil || !slices.Equal(all, []string{path, filepath.Join(filepath.Dir(path), "spool")}) {
		t.Errorf("files left: %v, %v; want only %s and a spool beside it", all, err, path)
	}
}

func TestDemo_saysWhatToDoIfThePortIsTaken(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	code, stdout, stderr := runArgs(t, "demo", "-for=1m", "-http", taken.Addr().String())
	if code != 1 || stdout != "" {
		t.Errorf("exit %d, stdout %q; want 1 and nothing", code, stdout)
	}
	if !strings.Contains(stderr, taken.Addr().String()) || !strings.Contains(stderr, "--http 127.0.0.1:0") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("stderr does not say in one line what is taken and what to do: %q", stderr)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("files left: %v, %v", left, err)
	}
}

func TestDemo_failsWithoutADirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := runArgs(t, "demo", "-for=1m", "-dir", filepath.Join(file, "below"))
	if code != 1 || stdout != "" {
		t.Errorf("exit %d, stdout %q; want 1 and nothing", code, stdout)
	}
	if !strings.Contains(stderr, file) || !strings.Contains(stderr, "--dir") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("stderr does not say in one line what is wrong and what to do: %q", stderr)
	}
}

func TestDemo_countsLostRecords(t *testing.T) {
	leavesNoGoroutine(t)
	var stdout output
	code := run(t.Context(), []string{"demo", "-for", "1ms", "-dir", t.TempDir()}, &stdout, full{})
	if code != 3 {
		t.Errorf("exit %d; want 3", code)
	}
	if !regexp.MustCompile(`(?m)^console written=0 lost=[1-9]\d* discarded=\d+$`).MatchString(stdout.String()) {
		t.Errorf("the summary does not tell of lost records:\n%s", stdout.String())
	}
}

func TestPipeline_countsRecordsTheFileLost(t *testing.T) {
	leavesNoGoroutine(t)
	dir := t.TempDir()
	var stdout, stderr output
	var reported []error
	p, err := newPipeline(&stderr, dir, func(err error) { reported = append(reported, err) })
	if err != nil {
		t.Fatal(err)
	}
	if err := p.file.Close(); err != nil {
		t.Fatal(err)
	}
	slog.New(p.records).Info("order placed")

	var lost *lostError
	if err := p.finish(&stdout); !errors.As(err, &lost) || lost.records != 1 {
		t.Errorf("finish returned %v; want one lost record", err)
	}
	if want := "file written=0 lost=1 path=" + filepath.Join(dir, "demo.log") + "\nconsole written=1 discarded=0\npage written=1\nmail sent=0 records=0\n"; stdout.String() != want {
		t.Errorf("got summary:\n%swant:\n%s", stdout.String(), want)
	}
	if len(reported) != 1 || !errors.Is(reported[0], os.ErrClosed) {
		t.Errorf("reported %v; want the error of the file", reported)
	}
}

// A mail that a demo before did not live to send is sent by the next.
func TestPipeline_sendsWhatWasLeft(t *testing.T) {
	leavesNoGoroutine(t)
	dir := t.TempDir()
	var stdout, stderr output
	report := func(err error) { t.Error(err) }
	first, err := newPipeline(&stderr, dir, report)
	if err != nil {
		t.Fatal(err)
	}
	slog.New(first.records).Error("disk is on fire", "disk", "sda")
	if err := slogworks.Shutdown(t.Context(), first.records); err != nil { // and no mail is sent
		t.Error(err)
	}
	first.box.close()

	second, err := newPipeline(&stderr, dir, report)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.finish(&stdout); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"\nThe mail: ERROR disk is on fire (", "disk = sda", "\nmail sent=1 records=1\n"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("there is no %q in\n%s", want, stdout.String())
		}
	}
}
