package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/outbound"
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

	// Header is added to the request, and replaces what it has otherwise, Host
	// included: that is Content-Type and, for receivers that recognise what they
	// have already got, Idempotency-Key with the message's ID.
	Header http.Header

	// Timeout is how long the whole exchange may take. Default 10s; below 0: as
	// long as the context of Send allows.
	Timeout time.Duration

	// Encode makes the body of the request. Default: the Message as JSON.
	Encode func(m *Message) (body []byte, contentType string, err error)

	topic string // of ntfy
}

// Check reports whether URL is a complete http or https URL, and whether Header
// can be sent.
func (w *Webhook) Check() error {
	_, err := outbound.ParseURL(w.URL)
	if err == nil {
		err = outbound.CheckHeader(w.Header)
	}
	if err != nil {
		return fmt.Errorf("notify: webhook: %w", err)
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
	req, err := w.request(ctx, m)
	if err != nil {
		return &slogworks.DeliveryError{Permanent: true, Err: fmt.Errorf("notify: webhook: %w", err)}
	}
	client := w.Client
	if client == nil {
		client = http.DefaultClient
	}
	answer, underWay, err := outbound.Do(outbound.Careful(client), req)
	switch {
	case err != nil:
		return &slogworks.DeliveryError{Uncertain: underWay, Err: fmt.Errorf("notify: webhook %s: %w", req.URL.Host, w.secrets(req).Error(err))}
	case answer.IsSuccess():
		return nil
	}
	refusal := &slogworks.DeliveryError{Err: fmt.Errorf("notify: webhook %s: %s", req.URL.Host, answer.Refusal(w.secrets(req)))}
	if answer.IsTemporary() {
		refusal.After = answer.RetryAfter
	} else {
		refusal.Permanent = true
	}
	return refusal
}

func (w *Webhook) request(ctx context.Context, m *Message) (*http.Request, error) {
	body, contentType, err := w.encode(m)
	if err != nil {
		return nil, err
	}
	if !outbound.IsHeaderValue(contentType) {
		return nil, fmt.Errorf("the content type %.100q has a character that no header can have", contentType)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL is not valid") // without it: it may be secret
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "slogworks")
	outbound.SetKey(req.Header, m.ID)
	outbound.SetHeader(req, w.Header)
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

// secrets returns what an answer could repeat of the request.
func (w *Webhook) secrets(req *http.Request) outbound.Secrets {
	var s outbound.Secrets
	s.AddURL(req.URL)
	s.AddHeader(w.Header)
	s.Add(w.topic)
	return s
}
