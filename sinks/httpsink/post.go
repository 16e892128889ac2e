package httpsink

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// errTooLarge is in the error of a 413.
var errTooLarge = errors.New("too large for the collector")

func isTooLarge(err error) bool { return errors.Is(err, errTooLarge) }

// newClient returns the user's client, or one of its own, that is careful where
// it is sent to.
func (c *core) newClient() *http.Client {
	client := new(http.Client)
	if c.Client != nil {
		*client = *c.Client
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		// Of its own, so that a Shutdown can close its connections.
		c.transport = t.Clone()
		client.Transport = c.transport
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
	return client
}

// post sends lines in one request. Whether the collector says that they are too
// large comes beside the error.
func (c *core) post(ctx context.Context, key string, e *encoder, first, end int) (tooLarge bool, err *slogworks.DeliveryError) {
	began, caller := time.Now(), ctx
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	var underWay atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { underWay.Store(true) },
	})
	bearer, bearerErr := c.bearer(ctx)
	if bearerErr != nil {
		return false, c.noAnswer(caller, began, fmt.Errorf("httpsink: bearer token: %w", bearerErr))
	}
	p := c.newPayload(e, first, end)
	defer p.release()
	resp, doErr := c.do(c.request(ctx, p, key, bearer))
	if doErr != nil {
		var withURL *url.Error
		if errors.As(doErr, &withURL) {
			doErr = withURL.Err
		}
		failure := c.noAnswer(caller, began, fmt.Errorf("httpsink: %s: %w", c.url.Host, c.hideError(doErr, bearer)))
		failure.Uncertain = underWay.Load()
		return false, failure
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		// Read, so that the connection can be used again.
		_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
		c.up()
		return false, nil
	}
	return resp.StatusCode == http.StatusRequestEntityTooLarge, c.refusal(began, resp, bearer)
}

// noAnswer is the failure of a request that has got no answer. That the caller
// gave up says nothing about the collector.
func (c *core) noAnswer(caller context.Context, began time.Time, err error) *slogworks.DeliveryError {
	if caller.Err() == context.Canceled {
		return &slogworks.DeliveryError{Err: err}
	}
	return c.down(began, err, 0)
}

// do makes the request. The transport may be the user's, and so may be a panic.
func (c *core) do(req *http.Request) (resp *http.Response, err error) {
	defer stage.Rescue(&err)
	return c.client.Do(req)
}

func (c *core) bearer(ctx context.Context) (string, error) {
	if c.BearerFunc == nil {
		return c.Bearer, nil
	}
	type answer struct {
		token string
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		a := answer{err: errors.New("BearerFunc has ended its goroutine")}
		defer func() { answers <- a }()
		defer stage.Rescue(&a.err)
		a.token, a.err = c.BearerFunc(ctx)
	}()
	select {
	case a := <-answers:
		if a.err == nil && !isHeaderValue(a.token) {
			a.err = errors.New("it has a character that no header can have")
		}
		return a.token, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (c *core) request(ctx context.Context, p *payload, key, bearer string) *http.Request {
	to := *c.url
	req := (&http.Request{
		Method:        http.MethodPost,
		URL:           &to,
		Host:          to.Host,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        make(http.Header, 8+len(c.Header)),
		Body:          p.reader(),
		GetBody:       func() (io.ReadCloser, error) { return p.reader(), nil },
		ContentLength: int64(len(p.bytes)),
	}).WithContext(ctx)
	req.Header.Set("Content-Type", contentTypes[c.Format])
	req.Header.Set("User-Agent", "slogworks")
	if c.Gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	if len(c.HMACKey) > 0 {
		mac := hmac.New(sha256.New, c.HMACKey)
		mac.Write(p.bytes)
		req.Header.Set(c.HMACHeader, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	for name, values := range c.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	return req
}

var contentTypes = [...]string{NDJSON: "application/x-ndjson", Array: "application/json", Wire: "application/x-ndjson"}

// maxAnswer is how much of an answer is read.
const maxAnswer = 4 << 10

// refusal is an answer other than 2xx as an error.
func (c *core) refusal(began time.Time, resp *http.Response, bearer string) *slogworks.DeliveryError {
	text := fmt.Sprintf("httpsink: %s: %d %s", c.url.Host, resp.StatusCode, http.StatusText(resp.StatusCode))
	if resp.StatusCode/100 == 3 {
		text += ", a redirect that is not followed"
	}
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if said := c.quote(string(answer), len(answer) == maxAnswer, bearer); said != "" {
		text += ": " + said
	}
	switch code := resp.StatusCode; {
	case code == http.StatusRequestEntityTooLarge:
		c.up()
		return &slogworks.DeliveryError{Permanent: true, Err: fmt.Errorf("%s: %w", text, errTooLarge)}
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		return c.down(began, errors.New(text), retryAfter(resp.Header.Get("Retry-After")))
	}
	c.up()
	return &slogworks.DeliveryError{Permanent: true, Err: errors.New(text)}
}

// retryAfter returns the time that a Retry-After header asks for (RFC 9110,
// section 10.2.3), at most a day.
func retryAfter(value string) time.Duration {
	const longest = 24 * time.Hour
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(longest/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(0, time.Until(date)), longest)
	}
	return 0
}
