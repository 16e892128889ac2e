package httpsink

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/outbound"
	"github.com/slogworks/slogworks/internal/stage"
)

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
	return outbound.Careful(client)
}

// post sends lines in one request. Beside a permanent error come the status of the
// answer, and how many of the lines were accepted all the same.
func (c *core) post(ctx context.Context, key string, e *encoder, first, end int) (status, accepted int, err *slogworks.DeliveryError) {
	began, caller := time.Now(), ctx
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	bearer, bearerErr := c.bearer(ctx)
	if bearerErr != nil {
		return 0, 0, c.noAnswer(caller, began, fmt.Errorf("httpsink: bearer token: %w", bearerErr))
	}
	p := c.newPayload(e, first, end)
	defer p.release()
	answer, underWay, noAnswer := outbound.Do(c.client, c.request(ctx, p, key, bearer))
	if noAnswer != nil {
		failure := c.noAnswer(caller, began, fmt.Errorf("httpsink: %s: %w", c.url.Host, c.secrets(bearer).Error(noAnswer)))
		failure.Uncertain = underWay
		return 0, 0, failure
	}
	if answer.IsSuccess() {
		c.up()
		return answer.Status, end - first, nil
	}
	refusal := fmt.Errorf("httpsink: %s: %s", c.url.Host, answer.Refusal(c.secrets(bearer)))
	if answer.IsTemporary() {
		return answer.Status, 0, c.down(began, refusal, answer.RetryAfter)
	}
	c.up()
	return answer.Status, acceptedOf(answer.Body, end-first), &slogworks.DeliveryError{Permanent: true, Err: refusal}
}

// acceptedOf returns how many of n records were accepted by an answer that is no
// success: some, if it is that of a [Receiver], and none if it does not add up.
func acceptedOf(answer []byte, n int) int {
	var said reply
	if json.Unmarshal(answer, &said) != nil || said.Accepted < 0 || said.Refused <= 0 || said.Accepted != n-said.Refused {
		return 0
	}
	return said.Accepted
}

// noAnswer is the failure of a request that has got no answer. That the caller
// gave up says nothing about the collector.
func (c *core) noAnswer(caller context.Context, began time.Time, err error) *slogworks.DeliveryError {
	if caller.Err() == context.Canceled {
		return &slogworks.DeliveryError{Err: err}
	}
	return c.down(began, err, 0)
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
		if a.err == nil && !outbound.IsHeaderValue(a.token) {
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
	outbound.SetKey(req.Header, key)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	if len(c.HMACKey) > 0 {
		mac := hmac.New(sha256.New, c.HMACKey)
		mac.Write(p.bytes)
		req.Header.Set(c.HMACHeader, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	outbound.SetHeader(req, c.Header)
	return req
}

var contentTypes = [...]string{NDJSON: "application/x-ndjson", Array: "application/json", Wire: "application/x-ndjson"}

// secrets returns what an error must not repeat of a request.
func (c *core) secrets(bearer string) outbound.Secrets {
	var s outbound.Secrets
	s.AddURL(c.url)
	s.AddHeader(c.Header)
	s.Add(bearer, string(c.HMACKey), base64.StdEncoding.EncodeToString(c.HMACKey))
	return s
}
