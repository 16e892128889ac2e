//go:build unix

package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/png"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/notify"
)

var picture = flag.String("picture", "", "where to put the picture of a notification that docs show")

func newNotifier(t *testing.T, s notify.Sender, opts *notify.Options) *notify.Handler {
	t.Helper()
	if opts == nil {
		opts = new(notify.Options)
	}
	opts.OnResult = func(m *notify.Message, err error) {
		if err != nil {
			t.Errorf("message %q: %v", m.Title, err)
		}
	}
	h, err := notify.New(s, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func mustFlush(t *testing.T, h *notify.Handler) {
	t.Helper()
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestNotifySend_showsTenThousandErrorsAsTwoNotifications(t *testing.T) {
	d := startDesktop(t)
	h := newNotifier(t, notify.NotifySend("shop"), nil)
	logger := slog.New(h).With("order", 7)
	for range 10_000 {
		logger.Error("payment failed", "err", errors.New("card declined"), "amount", "<b>19 €</b>")
	}
	mustFlush(t, h)
	first := d.notifications(t, 1)[0]
	if first.app != "shop" || first.title != "ERROR payment failed" || first.urgency != "2" ||
		!strings.HasSuffix(first.body, ` order=7 err="card declined" amount="&lt;b&gt;19 €&lt;/b&gt;"`) {
		t.Errorf("the first is %+v", first)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	second := d.notifications(t, 2)[1]
	if second.title != "ERROR payment failed (+9998 more)" || !strings.HasSuffix(second.body, "\nand 9979 more") {
		t.Errorf("the second is %+v", second)
	}
}

func TestNotifySend_isSeen(t *testing.T) {
	d := startDesktop(t)
	h := newNotifier(t, notify.NotifySend("shop"), nil)
	logger := slog.New(h)
	logger.Error("payment failed", "order", 7, "err", errors.New("card declined"))
	mustFlush(t, h)
	d.notifications(t, 1)
	logger.Error("payment failed", "order", 8, "err", errors.New("timeout"))
	logger.Error("payment failed", "order", 9, "err", errors.New("timeout"))
	logger.Error("template broken", "name", "<b>\\new</b>")
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	d.notifications(t, 2)

	file := filepath.Join(t.TempDir(), "screen.png")
	real.WaitFor(t, "two notifications on the screen", func() bool {
		d.screenshot(t, file)
		size, colors := seenIn(t, file)
		return size.Y > 120 && colors > 10
	})
	if *picture == "" {
		return
	}
	shot, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*picture, shot, 0o644); err != nil {
		t.Fatal(err)
	}
}

// seenIn returns the size of a picture and how many colours it has.
func seenIn(t *testing.T, file string) (size image.Point, colors int) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y++ {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
			seen[fmt.Sprint(img.At(x, y))] = true
		}
	}
	return img.Bounds().Size(), len(seen)
}

func TestNotifySend_takesTextForText(t *testing.T) {
	d := startDesktop(t)
	c := notify.NotifySend("{title} & co")
	for i, test := range []struct{ title, body, shownTitle, shownBody string }{
		{"--version", "--help", "--version", "--help"},
		{"-t", "-", "-t", "-"},
		{"<b>a</b> &amp; {body}", `C:\new\table <i>&amp;</i> \x41\u0042`, "<b>a</b> &amp; {body}", `C:\new\table &lt;i&gt;&amp;amp;&lt;/i&gt; \x41\u0042`},
		{"a\x00b\xffc", "d\x00e\xfff\x1b[31m", "a\ufffdb\ufffdc", "d\ufffde\ufffdf\ufffd[31m"},
		{"", "two\nlines", "ERROR", "two\nlines"},
		{"$(id) `id` ; id", "$HOME | id", "$(id) `id` ; id", "$HOME | id"},
	} {
		if err := c.Send(t.Context(), messageWith(t, test.title, test.body)); err != nil {
			t.Fatal(err)
		}
		all := d.notifications(t, i+1)
		want := notified{"{title} & co", test.shownTitle, test.shownBody, "2"}
		if got := all[i]; got != want {
			t.Errorf("shown %q, want %q", got, want)
		}
	}
}

// messageWith returns a message with that text, as a handler makes it.
func messageWith(t *testing.T, title, body string) (m *notify.Message) {
	t.Helper()
	h := newNotifier(t, notify.SenderFunc(func(_ context.Context, sent *notify.Message) error {
		m = sent
		return nil
	}), &notify.Options{Render: func(*notify.Message) (string, string) { return title, body }})
	slog.New(h).Error("message")
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNotifySend_saysThatThereIsNoDesktop(t *testing.T) {
	real.Program(t, "notify-send")
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
	err := notify.NotifySend("shop").Send(t.Context(), messageWith(t, "title", "body"))
	var exit *notify.ExitError
	if !errors.As(err, &exit) || exit.Code != 1 || exit.Output == "" {
		t.Errorf("%v", err)
	}
}

var (
	entryDate  = regexp.MustCompile(`^<11>\w+ +\d+ \d\d:\d\d:\d\d `)
	entryClock = regexp.MustCompile(`\d\d:\d\d:\d\d`)
)

func TestLogger_writesAnEntryPerLine(t *testing.T) {
	real.Program(t, "logger")
	socket := filepath.Join(t.TempDir(), "log")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c := notify.Logger("shop{title}")
	c.Args = append(c.Args, "--socket="+socket, "--socket-errors=on") // instead of /dev/log
	h := newNotifier(t, c, nil)
	slog.New(h).Error("-t root\n<0>payment failed", "order", 7)
	mustFlush(t, h)
	slog.New(h).Error("one")
	slog.New(h).Error("two", "k", "a\nb")
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"<11> shop{title}: ERROR -t root <0>payment failed TIME order=7",
		"<11> shop{title}: ERROR one (+1 more)",
		"<11> shop{title}: TIME ERROR one",
		`<11> shop{title}: TIME ERROR two k="a\nb"`,
	} {
		entry := make([]byte, 4096)
		n, err := conn.Read(entry)
		if err != nil {
			t.Fatalf("waiting for %q: %v", want, err)
		}
		got := entryClock.ReplaceAllString(entryDate.ReplaceAllString(string(entry[:n]), "<11> "), "TIME")
		if strings.TrimRight(got, "\x00\n") != want {
			t.Errorf("entry %q, want %q", got, want)
		}
	}
}

func TestWall_runs(t *testing.T) {
	real.Program(t, "wall")
	if err := notify.Wall().Send(t.Context(), messageWith(t, "--version", "--help")); err != nil {
		t.Error(err)
	}
}

func TestApprise_sendsTextAsItIs(t *testing.T) {
	real.Program(t, "apprise")
	got := make(chan map[string]any, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var doc map[string]any
		_ = json.Unmarshal(body, &doc)
		got <- doc
		if r.URL.Path == "/fail" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "http://")

	const title, body = "--body=x <b>&amp;</b>", "-x --help\n$(id) {title} <b>&amp;</b> C:\\new"
	if err := notify.Apprise("json://joe:hunter22%7B@"+address+"/a", "json://"+address+"/b").Send(t.Context(), messageWith(t, title, body)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if doc := <-got; doc["title"] != title || doc["message"] != body {
			t.Errorf("the server got %q", doc)
		}
	}

	err := notify.Apprise("json://joe:hunter22@"+address+"/fail").Send(t.Context(), messageWith(t, title, body))
	var exit *notify.ExitError
	if !errors.As(err, &exit) || exit.Code != 1 || strings.Contains(err.Error(), "hunter22") {
		t.Errorf("%v", err)
	}
}
