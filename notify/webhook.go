package notify

import (
	"bytes"
	"context"
	"encoding/base64"
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

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// Webhook is a [Sender] that posts each message to a URL. It is safe for
// concurrent use and must not be changed once it is in use.
//
// An answer of 2xx is success. Any other, and none, is a
// [*slogworks.DeliveryError]: temporary for 408, 425, 429 and 5xx, after the time
// that a Retry-After asks for, permanent for the rest; uncertain if the
// connection broke when the request was on its way. A redirect is followed only
// to the same host, by the same method, and never from https to http.
//
// URLs of webhooks are passwords. An error names the host and no more of it, and
// where the answer, of which the beginning is in the error, has parts of the URL
// or of the header, these are replaced by ***.
type Webhook struct {
	URL string

	// Client makes the request. Default: http.DefaultClient. Its CheckRedirect
	// is asked about the redirects that would be followed.
	Client *http.Client

	// Header is added to the request, which has Content-Type and, for receivers
	// that recognise what they have already got, Idempotency-Key with the
	// message's ID.
	Header http.Header

	// Timeout is how long the whole exchange may take. Default 10s; below 0: as
	// long as the context of Send allows.
	Timeout time.Duration

	// Encode makes the body of the request. Default: the Message as JSON.
	Encode func(m *Message) (body []byte, contentType string, err error)

	topic string // of ntfy
}

// Check reports whether URL is a complete http or https URL.
func (w *Webhook) Check() error {
	u, err := url.Parse(w.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("notify: webhook: the URL must be http://host/path or https://host/path") // without it: it may be secret
	}
	return nil
}

// Send posts the message and waits for the answer.
func (w *Webhook) Send(ctx context.Context, m *Message) error {
	if err := w.Check(); err != nil {
		return &slogworks.DeliveryError{Permanent: true, Err: err}
	}
	if w.Timeout >= 0 {
		timeout := w.Timeout
		if timeout == 0 {
			timeout = 10 * time.Second
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	var underWay atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { underWay.Store(true) },
	})
	req, err := w.request(ctx, m)
	if err != nil {
		return &slogworks.DeliveryError{Permanent: true, Err: fmt.Errorf("notify: webhook: %w", err)}
	}
	resp, err := w.client().Do(req)
	if err != nil {
		return &slogworks.DeliveryError{Uncertain: underWay.Load(), Err: w.failure(req, err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		// Read, so that the connection can be used again.
		_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
		return nil
	}
	return w.refusal(req, resp)
}

// maxAnswer is how much of an answer is read.
const maxAnswer = 4 << 10

func (w *Webhook) request(ctx context.Context, m *Message) (*http.Request, error) {
	body, contentType, err := w.encode(m)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL or the method is not valid")
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "slogworks")
	req.Header.Set("Idempotency-Key", m.ID)
	for key, values := range w.Header {
		req.Header[http.CanonicalHeaderKey(key)] = values
	}
	return req, nil
}

func (w *Webhook) encode(m *Message) (body []byte, contentType string, err error) {
	defer stage.Rescue(&err)
	if w.Encode != nil {
		return w.Encode(m)
	}
	body, err = m.MarshalJSON()
	return body, "application/json", err
}

func (w *Webhook) client() *http.Client {
	client := *http.DefaultClient
	if w.Client != nil {
		client = *w.Client
	}
	further := client.CheckRedirect
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
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
	return &client
}

// concealed is an error whose text has no secrets, for the sake of which it is
// not that of its cause.
type concealed struct {
	text  string
	cause error
}

func (e *concealed) Error() string { return e.text }

func (e *concealed) Unwrap() error { return e.cause }

// failure is what kept a request from being answered, as an error without
// secrets: the client gives the URL, and a Transport may say what it likes.
func (w *Webhook) failure(req *http.Request, err error) error {
	for withURL := (*url.Error)(nil); errors.As(err, &withURL) && withURL.Err != nil; {
		err = withURL.Err
	}
	return &concealed{fmt.Sprintf("notify: webhook %s: %s", req.URL.Host, hide(err.Error(), w.secrets(req))), err}
}

// refusal is an answer other than 2xx as an error.
func (w *Webhook) refusal(req *http.Request, resp *http.Response) error {
	// Not resp.Status, in which the server may repeat the path.
	text := strings.TrimSpace(fmt.Sprintf("notify: webhook %s: %d %s", req.URL.Host, resp.StatusCode, http.StatusText(resp.StatusCode)))
	if resp.StatusCode/100 == 3 {
		text += ", a redirect that is not followed"
	}
	// After a 101 the connection is ours to read from, for ever if we like: no
	// context ends that.
	if resp.StatusCode >= 200 {
		answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if said := cut(oneLine(hide(string(answer), w.secrets(req))), 200); said != "" {
			text += ": " + said
		}
	}
	e := &slogworks.DeliveryError{Err: errors.New(text)}
	switch code := resp.StatusCode; {
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		e.After = retryAfter(resp.Header.Get("Retry-After"))
	default:
		e.Permanent = true
	}
	return e
}

// retryAfter returns the time that a Retry-After header asks for (RFC 9110,
// section 10.2.3), also with the decimals that Discord gives, but no more than a
// day.
func retryAfter(value string) time.Duration {
	const longest = 24 * time.Hour
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds > 0 {
		return time.Duration(min(seconds, longest.Seconds()) * float64(time.Second))
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(0, time.Until(date)), longest)
	}
	return 0
}

// secrets returns what an answer could repeat of the request, in no order.
func (w *Webhook) secrets(req *http.Request) []string {
	var all []string
	add := func(texts ...string) {
		const shortest = 4
		for _, text := range texts {
			if len(text) >= shortest {
				all = append(all, text)
			}
		}
	}
	for segment := range strings.SplitSeq(req.URL.EscapedPath(), "/") {
		add(segment)
		if plain, err := url.PathUnescape(segment); err == nil {
			add(plain)
		}
	}
	add(req.URL.RawQuery, w.topic)
	for key, values := range req.URL.Query() {
		add(key) // a query may be nothing but a token
		add(values...)
	}
	if user := req.URL.User; user != nil {
		password, _ := user.Password()
		add(user.Username(), password, base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	for _, values := range w.Header {
		for _, value := range values {
			add(strings.Fields(value)...)
		}
	}
	return all
}
