package notify_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/notify"
)

const secret = "T0KEN-abc%2Fdef"

// request is what a server got.
type request struct {
	header http.Header
	path   string
	body   string
}

// serve starts a server, which answers as h says, and returns its URL with a
// secret path and the requests that it gets.
func serve(t *testing.T, h http.HandlerFunc) (url string, got chan request) {
	t.Helper()
	got = make(chan request, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- request{r.Header, r.URL.EscapedPath(), string(body)}
		if h != nil {
			h(w, r)
		}
	}))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		server.Close()
	})
	return server.URL + "/services/" + secret + "?key=s3cretkey", got
}

func answer(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		// Frameworks name the path that they do not know.
		_, _ = io.WriteString(w, "no service\nat "+r.URL.Path+" "+r.URL.RawQuery+" "+r.URL.EscapedPath()+" "+r.Header.Get("Authorization"))
	}
}

// sendError sends a message by w and returns the error, in which there must be
// no secret.
func sendError(t *testing.T, w *notify.Webhook) *slogworks.DeliveryError {
	t.Helper()
	err := w.Send(t.Context(), &notify.Message{ID: "id", Title: "title", Body: "body"})
	if err == nil {
		t.Fatal("no error")
	}
	delivery, ok := err.(*slogworks.DeliveryError)
	if !ok {
		t.Fatalf("no DeliveryError: %v", err)
	}
	for _, part := range []string{"T0KEN", "abc", "def", "s3cret", "hunter22", "services"} {
		if strings.Contains(err.Error(), part) {
			t.Errorf("the error has the secret %q: %v", part, err)
		}
	}
	if !strings.HasPrefix(err.Error(), "notify: webhook") {
		t.Errorf("%v", err)
	}
	return delivery
}

func TestWebhook_postsTheMessage(t *testing.T) {
	url, got := serve(t, answer(http.StatusNoContent))
	w := notify.JSON(url)
	w.Header = http.Header{"x-custom": {"a", "b"}}
	m := messageOf(t, "title", "body", slog.Int("order", 7))
	if err := w.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	r := <-got
	doc, err := m.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if r.body != string(doc) || r.path != "/services/"+secret {
		t.Errorf("the server got %s at %s", r.body, r.path)
	}
	if r.header.Get("Content-Type") != "application/json" || r.header.Get("Idempotency-Key") != m.ID || len(r.header["X-Custom"]) != 2 {
		t.Errorf("with %v", r.header)
	}
}

func TestWebhook_tellsWhenToTryAgain(t *testing.T) {
	for name, test := range map[string]struct {
		answer    http.HandlerFunc
		permanent bool
		after     time.Duration
	}{
		"200 is success":                     {answer(200), false, -1},
		"429 after the time":                 {answer(429, "Retry-After", "30"), false, 30 * time.Second},
		"429 after a fraction":               {answer(429, "Retry-After", "0.65"), false, 650 * time.Millisecond},
		"429 without a time":                 {answer(429), false, 0},
		"429 with a time nobody understands": {answer(429, "Retry-After", "soon"), false, 0},
		"429 with no number":                 {answer(429, "Retry-After", "NaN"), false, 0},
		"429 with a time that has gone by":   {answer(429, "Retry-After", "Fri, 02 Jan 2026 12:00:00 GMT"), false, 0},
		"429 with less than no time":         {answer(429, "Retry-After", "-5"), false, 0},
		"503 after a century":                {answer(503, "Retry-After", "3153600000"), false, 24 * time.Hour},
		"429 until a date after a century":   {answer(429, "Retry-After", "Fri, 02 Jan 2126 12:00:00 GMT"), false, 24 * time.Hour},
		"408":                                {answer(408), false, 0},
		"500":                                {answer(500), false, 0},
		"400 for good":                       {answer(400), true, 0},
		"404 for good":                       {answer(404, "Retry-After", "30"), true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := serve(t, test.answer)
			w := notify.JSON(url)
			w.Header = http.Header{"Authorization": {"Bearer hunter22"}}
			if test.after < 0 {
				if err := w.Send(t.Context(), new(notify.Message)); err != nil {
					t.Error(err)
				}
				return
			}
			err := sendError(t, w)
			if err.Permanent != test.permanent || err.After != test.after || err.Uncertain {
				t.Errorf("%+v", err)
			}
			if !strings.Contains(err.Error(), ": no service at /***/*** *** /***/*** ***") {
				t.Errorf("the answer is missing: %v", err)
			}
		})
	}
	t.Run("429 until a date", func(t *testing.T) {
		url, _ := serve(t, answer(429, "Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)))
		if err := sendError(t, notify.JSON(url)); err.After < 50*time.Minute || err.After > time.Hour {
			t.Errorf("after %v", err.After)
		}
	})
}

// A server may put into the status line what it likes.
func TestWebhook_doesNotRepeatTheWordsOfAStatusLine(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = buffered.WriteString("HTTP/1.1 404 No " + r.URL.Path + " here\x1b[31m\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		_ = buffered.Flush()
	})
	if err := sendError(t, notify.JSON(url)); !strings.Contains(err.Error(), ": 404 Not Found;") || strings.ContainsRune(err.Error(), '\x1b') {
		t.Errorf("%q", err)
	}
}

// What a client of the user's own makes of a URL must not get out either.
func TestWebhook_hidesSecretsInTheErrorsOfItsClient(t *testing.T) {
	const target = "https://joe:hunter22@example.com/services/" + secret + "?s3cret-token"
	for name, err := range map[string]error{
		"that name the URL":            fmt.Errorf("cannot reach %s", target),
		"that have an error with one":  fmt.Errorf("oauth2: %w", &url.Error{Op: "Post", URL: target, Err: io.ErrUnexpectedEOF}),
		"that name the token":          errors.New("unknown token s3cret-token"),
		"that name what it is sent as": errors.New("refused: Basic " + base64.StdEncoding.EncodeToString([]byte("joe:hunter22"))),
	} {
		t.Run(name, func(t *testing.T) {
			w := notify.JSON(target)
			w.Client = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return nil, err })}
			delivery := sendError(t, w)
			if !strings.Contains(delivery.Error(), "example.com") || strings.Contains(delivery.Error(), "am9l") {
				t.Errorf("%v", delivery)
			}
			if errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(delivery, io.ErrUnexpectedEOF) {
				t.Errorf("the cause is lost: %v", delivery)
			}
		})
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A certificate that nobody vouches for is no reason to send without.
func TestWebhook_refusesACertificateThatNobodyVouchesFor(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	err := sendError(t, notify.JSON(server.URL+"/services/"+secret))
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) || err.Uncertain || err.Permanent || asked.Load() != 0 {
		t.Errorf("%+v", err)
	}
}

// The message has arrived when the answer begins, however that goes on.
func TestWebhook_succeedsThoughTheAnswerDoesNotEnd(t *testing.T) {
	w := notify.JSON("http://127.0.0.1:1/")
	w.Timeout = 10 * time.Millisecond
	w.Client = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		body, ends := io.Pipe()
		context.AfterFunc(r.Context(), func() { ends.CloseWithError(r.Context().Err()) })
		return &http.Response{StatusCode: 200, Body: body, Request: r}, nil
	})}
	if err := w.Send(t.Context(), new(notify.Message)); err != nil {
		t.Error(err)
	}
}

func TestWebhook_followsARedirectToTheSameHostOnly(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for name, test := range map[string]struct {
		status   int
		location string
		followed bool
	}{
		"307 to the same host": {307, "/moved", true},
		"308 to the same host": {308, "/moved", true},
		"302 to the same host": {302, "/moved", false},
		"303 to the same host": {303, "/moved", false},
		"307 to another host":  {307, other.URL + "/services/T0KEN", false},
		"302 to another host":  {302, other.URL + "/services/T0KEN", false},
	} {
		t.Run(name, func(t *testing.T) {
			url, got := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/moved" {
					http.Redirect(w, r, test.location, test.status)
				}
			})
			if test.followed {
				w := notify.JSON(url)
				asked := 0
				w.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { asked++; return nil }}
				if err := w.Send(t.Context(), new(notify.Message)); err != nil {
					t.Fatal(err)
				}
				w.Client.CloseIdleConnections()
				if first, second := <-got, <-got; second.path != "/moved" || second.body != first.body || asked != 1 {
					t.Errorf("the server got %v, then %v", first, second)
				}
				return
			}
			if err := sendError(t, notify.JSON(url)); !err.Permanent || !strings.Contains(err.Error(), "a redirect that is not followed") {
				t.Errorf("%+v", err)
			}
			if len(got) != 1 || elsewhere.Load() != 0 {
				t.Error("the redirect was followed")
			}
		})
	}
	t.Run("and not in a circle", func(t *testing.T) {
		url, got := serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		})
		if err := sendError(t, notify.JSON(url)); !err.Permanent || len(got) != 4 {
			t.Errorf("%v, %d requests", err, len(got))
		}
	})
}

func TestWebhook_tellsWhatMayHaveArrived(t *testing.T) {
	t.Run("nothing if nobody listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		delivery := sendError(t, notify.JSON("http://joe:hunter22@"+l.Addr().String()+"/services/"+secret))
		if delivery.Uncertain || delivery.Permanent || !strings.Contains(delivery.Error(), l.Addr().String()) {
			t.Errorf("%+v", delivery)
		}
	})
	t.Run("perhaps if the connection breaks", func(t *testing.T) {
		url, _ := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		if err := sendError(t, notify.JSON(url)); !err.Uncertain || err.Permanent {
			t.Errorf("%+v", err)
		}
	})
	t.Run("perhaps if no answer comes in time", func(t *testing.T) {
		url, got := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		w := notify.JSON(url)
		for w.Timeout = 50 * time.Millisecond; ; w.Timeout *= 2 {
			err := sendError(t, w)
			if len(got) == 0 && w.Timeout < time.Minute {
				continue // it was not enough to ask
			}
			if !err.Uncertain || err.Permanent || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%+v", err)
			}
			break
		}
	})
	t.Run("perhaps if the context ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		url, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
		w := notify.JSON(url)
		w.Timeout = -1
		if err := w.Send(ctx, new(notify.Message)); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

func TestWebhook_checksItsURL(t *testing.T) {
	for _, url := range []string{"", "example.com/T0KEN", "ftp://example.com/T0KEN", "https:///T0KEN", "http://[::1/T0KEN", "https://example.com/T0KEN\x7f"} {
		if err := notify.JSON(url).Check(); err == nil || strings.Contains(err.Error(), "T0KEN") {
			t.Errorf("%q: %v", url, err)
		}
		if err := sendError(t, notify.JSON(url)); !err.Permanent {
			t.Errorf("%q: %+v", url, err)
		}
	}
	for _, url := range []string{"http://example.com", "https://example.com:8443/T0KEN?a=b"} {
		if err := notify.JSON(url).Check(); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// net/http would refuse it with each message, and look like a network that is down.
func TestWebhook_checksItsHeader(t *testing.T) {
	for _, header := range []http.Header{{"Authorization": {"Bearer hunter22\n"}}, {"X y": {"hunter22"}}} {
		w := notify.JSON("http://127.0.0.1:1/")
		w.Header = header
		if err := w.Check(); err == nil || strings.Contains(err.Error(), "hunter22") || !strings.HasPrefix(err.Error(), "notify: webhook: ") {
			t.Errorf("%q: %v", header, err)
		}
		if err := sendError(t, w); !err.Permanent {
			t.Errorf("%q: %+v", header, err)
		}
	}
	w := &notify.Webhook{URL: "http://127.0.0.1:1/", Encode: func(*notify.Message) ([]byte, string, error) { return nil, "text/plain\n", nil }}
	if err := sendError(t, w); !err.Permanent || !strings.Contains(err.Error(), "the content type") {
		t.Errorf("%+v", err)
	}
}

// A batch brings its ID along, and so may a message of the user's own.
func TestWebhook_anIDIsNoWayIntoTheHeader(t *testing.T) {
	url, got := serve(t, nil)
	for id, want := range map[string]http.Header{"": {}, "a\r\nX-Forged: b": {"Idempotency-Key": {"a%0D%0AX-Forged%3A+b"}}} {
		if err := notify.JSON(url).Send(t.Context(), &notify.Message{ID: id}); err != nil {
			t.Fatal(err)
		}
		header := (<-got).header
		if !slices.Equal(header["Idempotency-Key"], want["Idempotency-Key"]) || header.Get("X-Forged") != "" {
			t.Errorf("with %v", header)
		}
	}
}

func TestWebhook_failsForGoodIfItsEncodeDoes(t *testing.T) {
	for name, encode := range map[string]func(*notify.Message) ([]byte, string, error){
		"an error": func(*notify.Message) ([]byte, string, error) { return nil, "", errors.New("cannot") },
		"a panic":  func(*notify.Message) ([]byte, string, error) { panic("cannot") },
	} {
		t.Run(name, func(t *testing.T) {
			url, got := serve(t, nil)
			err := sendError(t, &notify.Webhook{URL: url, Encode: encode})
			if !err.Permanent || !strings.Contains(err.Error(), "cannot") || len(got) != 0 {
				t.Errorf("%+v", err)
			}
		})
	}
}

// hostile is what somebody types who would like to be heard by all.
const hostile = "<!channel> @everyone @here <@U123> *bold* `code` ``` [click](http://evil.example) <b>&amp; \\ @/etc/passwd"

// posted returns what a server gets by a webhook.
func posted(t *testing.T, w func(url string) *notify.Webhook, m *notify.Message) (doc map[string]any, r request) {
	t.Helper()
	url, got := serve(t, nil)
	if err := w(url).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	r = <-got
	if err := json.Unmarshal([]byte(r.body), &doc); err != nil {
		t.Fatal(err)
	}
	return doc, r
}

func TestSlack_mentionsNobody(t *testing.T) {
	doc, _ := posted(t, notify.Slack, &notify.Message{Title: "title " + hostile, Body: hostile})
	want := "&lt;!channel&gt; @everyone @here &lt;@U123&gt; *bold* `code` ``` [click](http://evil.example) &lt;b&gt;&amp;amp; \\ @/etc/passwd"
	if doc["text"] != "title "+want+"\n"+want {
		t.Errorf("text %q", doc["text"])
	}
	if doc["mrkdwn"] != false || doc["unfurl_links"] != false || doc["unfurl_media"] != false || len(doc) != 4 {
		t.Errorf("posted %v", doc)
	}
	doc, _ = posted(t, notify.Slack, &notify.Message{Title: "title", Body: strings.Repeat("<", 100_000)})
	if text := doc["text"].(string); len(text) > 35_000 || len(text) < 34_000 || !strings.HasSuffix(text, "&lt;…") {
		t.Errorf("%d bytes that end with %q", len(text), text[len(text)-10:])
	}
}

func TestDiscord_mentionsNobody(t *testing.T) {
	doc, r := posted(t, notify.Discord, &notify.Message{Title: "title " + hostile, Body: hostile})
	want := strings.ReplaceAll(hostile, "`", "`\u200b")
	if doc["content"] != "```\ntitle "+want+"\n"+want+"\n```" {
		t.Errorf("content %q", doc["content"])
	}
	if !strings.Contains(r.body, `"allowed_mentions":{"parse":[]}`) || doc["flags"] != 4.0 {
		t.Errorf("posted %s", r.body)
	}
	for _, text := range []string{strings.Repeat("x", 5000), strings.Repeat("💥", 5000), strings.Repeat("`", 5000), "x" + strings.Repeat("💥", 5000)} {
		doc, _ := posted(t, notify.Discord, &notify.Message{Title: "title", Body: text})
		content := doc["content"].(string)
		if n := len(utf16.Encode([]rune(content))); n > 2000 || n < 1997 || !strings.HasSuffix(content, "…\n```") {
			t.Errorf("%d characters that end with %q", n, content[len(content)-10:])
		}
	}
}

func TestNtfy_publishesJSON(t *testing.T) {
	ntfy := func(url string) *notify.Webhook { return notify.Ntfy(url, "alerts", "tk_hunter22") }
	doc, r := posted(t, ntfy, &notify.Message{Title: "title", Body: hostile, Level: slog.LevelError})
	if doc["topic"] != "alerts" || doc["title"] != "title" || doc["message"] != hostile || doc["priority"] != 4.0 || len(doc) != 5 {
		t.Errorf("published %v", doc)
	}
	if r.header.Get("Authorization") != "Bearer tk_hunter22" {
		t.Errorf("with %v", r.header)
	}
	for level, priority := range map[slog.Level]float64{slog.LevelWarn: 3, slog.LevelInfo: 3, 12: 4} {
		doc, _ := posted(t, ntfy, &notify.Message{Title: "title", Level: level, Body: strings.Repeat("ä", 5000)})
		if message := doc["message"].(string); doc["priority"] != priority || len(message) > 4096 {
			t.Errorf("%v: priority %v, %d bytes", level, doc["priority"], len(message))
		}
	}
	doc, r = posted(t, func(url string) *notify.Webhook { return notify.Ntfy(url, "alerts", "") }, &notify.Message{Title: "title"})
	if doc["message"] != "title" || r.header.Get("Authorization") != "" {
		t.Errorf("published %v with %v", doc, r.header)
	}
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		answer(401)(w, r)
		_, _ = io.WriteString(w, " no access to alerts")
	})
	if err := sendError(t, ntfy(url)); !err.Permanent || strings.Contains(err.Error(), "alerts") {
		t.Errorf("%+v", err)
	}
}
