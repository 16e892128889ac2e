package outbound_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/outbound"
)

// secrets returns those of a request that has them wherever it can.
func secrets(t testing.TB) outbound.Secrets {
	t.Helper()
	u, err := url.Parse("https://joe-user:p%40ss%20%22secret@example.com:8443/hook/path%2fsecret/" +
		"?query-secret&key=val%2fsecret&%zz-secret&a;b-secret#frag-secret")
	if err != nil {
		t.Fatal(err)
	}
	var s outbound.Secrets
	s.AddURL(u)
	s.AddHeader(http.Header{
		"X-Key":  {"Splunk head-secret"},
		"Cookie": {`a=cookie-secret==; sig="sign+secret=="`},
		"X-Auth": {"Basic " + base64.StdEncoding.EncodeToString([]byte("ann-user:ann:secret"))},
	})
	s.Add("<own>&secret\n")
	return s
}

func TestSecrets_hide(t *testing.T) {
	s := secrets(t)
	for name, text := range map[string]string{
		"the user":                    "joe-user",
		"the password":                `p@ss "secret`,
		"the password as it stood":    "p%40ss%20%22secret",
		"basic authentication":        base64.StdEncoding.EncodeToString([]byte(`joe-user:p@ss "secret`)),
		"the path":                    "path/secret",
		"the path as it stood":        "path%2fsecret",
		"the path in capitals":        "path%2Fsecret",
		"a query that is a token":     "query-secret",
		"a value of the query":        "val/secret",
		"a value as it stood":         "val%2fsecret",
		"a value that is no good":     "%zz-secret",
		"a field that Go's url drops": "a;b-secret",
		"the fragment":                "frag-secret",
		"a header":                    "Splunk head-secret",
		"a word of a header":          "head-secret",
		"a cookie":                    "cookie-secret==",
		"what a header has in quotes": "sign+secret==",
		"a user in a header":          "ann-user",
		"a password in a header":      "ann:secret",
		"a value in JSON of PHP":      `val\/secret`,
		"a text":                      "<own>&secret\n",
		"a text in HTML":              html.EscapeString("<own>&secret\n"),
		"a text in Go":                `<own>&secret\n`,
		"a text in JSON":              `\u003cown\u003e\u0026secret\n`,
	} {
		t.Run(name, func(t *testing.T) {
			if got := s.Hide("before " + text + " after"); got != "before *** after" {
				t.Errorf("%q becomes %q", text, got)
			}
		})
	}
	if got := s.Hide("https://example.com:8443 is a key of joe"); got != "https://example.com:8443 is a key of joe" {
		t.Errorf("what is no secret becomes %q", got)
	}
	if got := (outbound.Secrets)(nil).Hide("text"); got != "text" {
		t.Errorf("without secrets it becomes %q", got)
	}
}

// One may be part of another, in whatever order they were added.
func TestSecrets_hideTheLongestFirst(t *testing.T) {
	for _, order := range [][]string{{"token", "token-and-more"}, {"token-and-more", "token"}} {
		var s outbound.Secrets
		s.Add(order...)
		if got := s.Hide("a token-and-more and a token"); got != "a *** and a ***" {
			t.Errorf("%q: it becomes %q", order, got)
		}
	}
}

// A refusal never has a part of a secret because the answer was cut there.
func TestSecrets_areNotInARefusalThatWasCut(t *testing.T) {
	var s outbound.Secrets
	s.Add(strings.Repeat("long-secret", 90))
	for before := range 40 {
		// What is read ends within the secret, however much is before it.
		body := strings.Repeat(" ", 3*1024+before) + "said: " + strings.Repeat("long-secret", 1000)
		if text := do(t, respond(400, nil, strings.NewReader(body))).Refusal(s); strings.Contains(text, "secr") {
			t.Fatalf("the refusal is %q", text)
		}
	}
}

// asking is the error of a client that has asked for a token on the way.
type asking struct{ error }

func TestSecrets_areNotInAnError(t *testing.T) {
	s := secrets(t)
	const to = "https://joe-user:p%40ss%20%22secret@example.com/hook/path%2fsecret/?query-secret"
	for name, err := range map[string]error{
		"that names the URL":        fmt.Errorf("cannot reach %s", to),
		"that has an error with it": &url.Error{Op: "Post", URL: to, Err: fmt.Errorf("oauth2: %w", &url.Error{Op: "Get", URL: to, Err: io.ErrUnexpectedEOF})},
		"of another type":           asking{fmt.Errorf("head-secret: %w", io.ErrUnexpectedEOF)},
		"about a redirect":          errors.New(`failed to parse Location header "http://%%%query\u002dsecret"`),
	} {
		t.Run(name, func(t *testing.T) {
			got := s.Error(err)
			for e := got; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), "secret") || strings.Contains(e.Error(), "joe") {
					t.Errorf("there is a secret in %q", e)
				}
			}
			var a asking
			if errors.As(got, &a) {
				t.Error("the cause can be had")
			}
			if errors.Is(err, io.ErrUnexpectedEOF) != errors.Is(got, io.ErrUnexpectedEOF) {
				t.Errorf("the cause cannot be asked for: %v", got)
			}
		})
	}
	t.Run("and one without any is as it is", func(t *testing.T) {
		err := asking{errors.New("refused")}
		if s.Error(&url.Error{Op: "Post", URL: to, Err: err}) != error(err) {
			t.Error("it is changed")
		}
	})
}

// hollow is the error of a transport that has made a typed nil of none.
type hollow struct{ error }

func TestSecrets_anErrorThatPanicsIsAnError(t *testing.T) {
	for name, err := range map[string]error{
		"a nil pointer":    (*hollow)(nil),
		"an error of none": &url.Error{Op: "Post", URL: "https://h/"},
	} {
		t.Run(name, func(t *testing.T) {
			var panicked *slogworks.PanicError
			if got := secrets(t).Error(&url.Error{Op: "Post", URL: "https://h/", Err: err}); !errors.As(got, &panicked) {
				t.Errorf("it becomes %v", got)
			}
		})
	}
}

// What an error says anyway is no secret, and an error without it is a riddle.
func TestSecrets_areNotInTheHost(t *testing.T) {
	u, err := url.Parse("https://logs.example.com/logs/logs-secret")
	if err != nil {
		t.Fatal(err)
	}
	var s outbound.Secrets
	s.AddURL(u)
	if got := s.Hide("lookup logs.example.com: no such host, for logs-secret"); got != "lookup logs.example.com: no such host, for ***" {
		t.Errorf("it becomes %q", got)
	}
}

func FuzzRefusal(f *testing.F) {
	f.Add("said: query-secret \xff\n", "query-secret")
	f.Add(strings.Repeat("ab", 3000), "abab")
	f.Add("a\"b<c>", "a\"b<c>")
	f.Fuzz(func(t *testing.T, body, secret string) {
		var s outbound.Secrets
		s.Add(secret)
		text := do(t, respond(http.StatusBadRequest, nil, strings.NewReader(body))).Refusal(s)
		said, _ := strings.CutPrefix(text, "400 Bad Request")
		if len(said) > 210 || strings.ContainsAny(said, "\r\n\x00\x1b") {
			t.Errorf("it says %q", text)
		}
		if _, err := json.Marshal(text); err != nil {
			t.Error(err)
		}
		if len(secret) >= 4 && !strings.Contains(secret, "*") && strings.Contains(s.Hide(body), secret) {
			t.Errorf("%q is in %q", secret, s.Hide(body))
		}
	})
}
