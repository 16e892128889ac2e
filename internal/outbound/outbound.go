// Package outbound holds the rules by which everything in this module that asks
// others over HTTP does it: where it lets itself be sent to, how it reads what an
// answer asks for, and what an error must not repeat of the request. Callers build
// the requests, and the errors of their package.
package outbound

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks/internal/stage"
)

// ParseURL returns the URL, which must be a whole one of http or https. The error,
// without its package, does not repeat it: webhooks have nothing else to be secret.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the URL must be http://HOST/PATH or https://HOST/PATH")
	}
	return u, nil
}

// Careful returns a copy of the client that follows a redirect only to the same
// host, by the same method, never from https to http, and three times at most. Any
// other is the answer. CheckRedirect of the client is asked about those that would
// be followed.
func Careful(client *http.Client) *http.Client {
	careful := *client
	further := careful.CheckRedirect
	careful.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		// A 302 turns the POST into a GET, whose success would mean nothing.
		from := via[0]
		if len(via) > 3 || req.Method != from.Method || req.URL.Host != from.URL.Host || from.URL.Scheme == "https" && req.URL.Scheme != "https" {
			return http.ErrUseLastResponse
		}
		if further != nil {
			return further(req, via)
		}
		return nil
	}
	return &careful
}

// Answer is what came of a request.
type Answer struct {
	Status     int
	RetryAfter time.Duration // what the answer asks for, 0 if nothing
	Body       []byte        // the beginning, of an answer that is no success
	isCut      bool          // there is more of it, or may be
}

// maxAnswer is how much of an answer is read.
const maxAnswer = 4 << 10

// Do makes the request. Without an answer, it reports whether the request was
// under way: it may have arrived then. The transport may be the user's, and so may
// be a panic, which is an error.
func Do(client *http.Client, req *http.Request) (a *Answer, underWay bool, err error) {
	var wrote atomic.Bool // by a goroutine of the transport, which may outlive the request
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		WroteHeaders: func() { wrote.Store(true) },
	})
	resp, err := do(client, req.WithContext(ctx))
	if err != nil {
		return nil, wrote.Load(), err
	}
	a = &Answer{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header.Get("Retry-After"))}
	// It has arrived when the answer begins, however that goes on.
	if err := a.read(resp.Body); err != nil {
		a.isCut = true
	}
	return a, true, nil
}

func do(client *http.Client, req *http.Request) (resp *http.Response, err error) {
	defer stage.Rescue(&err)
	return client.Do(req)
}

func (a *Answer) read(body io.ReadCloser) (err error) {
	defer stage.Rescue(&err)
	defer body.Close()
	switch {
	case a.Status < 200:
		// After a 101 the connection is ours to read from, for ever if we like: no
		// context ends that.
		return nil
	case a.IsSuccess():
		// Read, so that the connection can be used again.
		_, err = io.CopyN(io.Discard, body, maxAnswer)
		return err
	}
	a.Body, err = io.ReadAll(io.LimitReader(body, maxAnswer))
	a.isCut = len(a.Body) == maxAnswer
	return err
}

// IsSuccess reports whether the status is one of 2xx.
func (a *Answer) IsSuccess() bool { return a.Status/100 == 2 }

// IsTemporary reports whether the same request may succeed later.
func (a *Answer) IsTemporary() bool {
	switch a.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return a.Status >= 500
}

// Refusal says in a line what an answer other than a success is: its status, and
// the beginning of its body without the secrets.
func (a *Answer) Refusal(secrets Secrets) string {
	// Not the text of the status line, in which the server may repeat the path.
	text := strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status)))
	if a.Status/100 == 3 {
		text += ", a redirect that is not followed"
	}
	if said := secrets.quote(string(a.Body), a.isCut); said != "" {
		text += ": " + said
	}
	return text
}

// retryAfter returns the time that a Retry-After header asks for (RFC 9110,
// section 10.2.3), also with the decimals that Discord gives, but no more than a
// day. What it does not understand is 0.
func retryAfter(value string) time.Duration {
	const longest = 24 * time.Hour
	if strings.Trim(value, "0123456789.") == "" { // else Inf would be a number too
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil && seconds == 0 {
			return 0
		}
		return time.Duration(min(seconds, longest.Seconds()) * float64(time.Second))
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(0, time.Until(date)), longest)
	}
	return 0
}
