package httpsink

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"github.com/slogworks/slogworks/internal/intake"
)

// receive hands on the records of a request, or refuses it as a whole.
func (r *Receiver) receive(req *http.Request) (outcome, *Refusal) {
	d := request{r, peerOf(req), new(outcome), false}
	refusal := d.receive(req)
	return *d.done, refusal
}

// request is what the records of a request are handed on with.
type request struct {
	*Receiver
	peer    string
	done    *outcome
	isAlone bool // no other has anything long
}

func (d request) receive(req *http.Request) *Refusal {
	if req.Method == http.MethodGet {
		return d.form(req.URL.RawQuery)
	}
	kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	var take func(d request, body []byte) *Refusal
	switch kind {
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines":
		take = request.lines
	case "application/json":
		take = request.json
	case "application/x-www-form-urlencoded":
		take = func(d request, body []byte) *Refusal { return d.form(string(body)) }
	default:
		return refuse(badType, "%.100q, want application/x-ndjson, application/json or application/x-www-form-urlencoded", kind)
	}
	isPacked := false
	switch encoding := strings.ToLower(req.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		isPacked = true
	default:
		return refuse(badEncoding, "%.20q, want gzip or none", encoding)
	}
	body := receiverBody{receiver: d.Receiver}
	defer body.free()
	if refusal := body.read(req); refusal != nil {
		return refusal
	}
	if isPacked || len(body.buf) > intake.FreeBuffer {
		return d.whileAlone(func(d request) (refusal *Refusal) {
			text := body.buf
			if isPacked {
				if text, refusal = d.unpacker.unpack(text, d.maxBody); refusal != nil {
					return refusal
				}
			}
			return take(d, text)
		})
	}
	return take(d, body.buf)
}

// whileAlone calls f when no other has anything long.
func (d request) whileAlone(f func(request) *Refusal) (refusal *Refusal) {
	if d.isAlone {
		return f(d)
	}
	d.isAlone = true
	if d.budget.Alone(d.life.Done(), func() error {
		refusal = f(d)
		return nil
	}) != nil {
		return refuse(closed, "the receiver is being shut down")
	}
	return refusal
}

func (d request) form(form string) *Refusal {
	if len(form) > d.limits.MaxFrame {
		return d.tooLong(len(form))
	}
	if !d.isAlone && (len(form) > intake.FreeBuffer || strings.Count(form, "&") > intake.ShortValues) {
		return d.whileAlone(func(d request) *Refusal { return d.form(form) })
	}
	record, err := parseForm(form)
	if err != nil {
		return refuse(notARecord, "%v", err)
	}
	d.hand(d.peer, &record)
	d.done.accepted++
	return nil
}

func (d request) lines(body []byte) *Refusal {
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if refusal := d.object(line); refusal != nil {
				return refusal
			}
		}
	}
	return d.done.empty()
}

func (d request) json(body []byte) *Refusal {
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] != '[' {
		if len(body) == 0 {
			return d.done.empty()
		}
		return d.object(body)
	}
	// Before the first is handed on, it is known where the last ends.
	for _, err := range elementsOf(body) {
		if err != nil {
			return refuse(badJSON, "%v", err)
		}
	}
	for element := range elementsOf(body) {
		if refusal := d.object(element); refusal != nil {
			return refusal
		}
	}
	return nil
}

func (o *outcome) empty() *Refusal {
	if o.accepted+o.refused == 0 {
		return refuse(notARecord, "an empty body")
	}
	return nil
}

// object hands on a record, or refuses it. What it returns is that of the request:
// after a Shutdown there is nothing wrong with a record, and a sender that is told
// so sends it to another, even if some of its request comes twice then.
func (d request) object(text []byte) *Refusal {
	why := d.tryObject(text)
	switch {
	case why == nil:
		d.done.accepted++
		return nil
	case why.Reason == closed:
		return why
	}
	d.refuse(d.peer, why)
	if d.done.refused++; d.done.first == nil {
		d.done.first = why
	}
	return nil
}

func (d request) tryObject(text []byte) *Refusal {
	if len(text) > d.limits.MaxFrame {
		return d.tooLong(len(text))
	}
	var record intake.Record
	var isLong bool
	var err error
	if d.isAlone {
		record, err = intake.ReadJSON(text)
	} else if record, isLong, err = intake.ReadShortJSON(text); isLong {
		return d.whileAlone(func(d request) *Refusal { return d.tryObject(text) })
	}
	if err != nil {
		return refuse(badJSON, "record %d: %v", d.done.accepted+d.done.refused+1, err)
	}
	d.hand(d.peer, &record)
	return nil
}

func (r *Receiver) tooLong(n int) *Refusal {
	return refuse(frameTooLong, "a record of %d bytes, at most %d", n, r.limits.MaxFrame)
}

// receiverBody is a body as it came. Its buffer grows with what has come, not with
// what was announced.
type receiverBody struct {
	receiver *Receiver
	buf      []byte
	share    intake.Share
}

func (b *receiverBody) free() { b.receiver.budget.Give(&b.share) }

func (b *receiverBody) read(req *http.Request) *Refusal {
	limit := b.receiver.maxBody
	if req.ContentLength > int64(limit) {
		return refuse(bodyTooLong, "%d bytes announced, at most %d", req.ContentLength, limit)
	}
	for {
		if len(b.buf) == cap(b.buf) {
			if refusal := b.grow(); refusal != nil {
				return refusal
			}
		}
		n, err := req.Body.Read(b.buf[len(b.buf):cap(b.buf)])
		b.buf = b.buf[:len(b.buf)+n]
		switch {
		case len(b.buf) > limit:
			return refuse(bodyTooLong, "more than %d bytes", limit)
		case err == io.EOF:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return refuse(bodyTimeout, "%d bytes came in time", len(b.buf))
		case err != nil:
			return refuse(cutShort, "after %d bytes: %v", len(b.buf), err)
		}
	}
}

func (b *receiverBody) grow() *Refusal {
	size := min(max(2*cap(b.buf), 4<<10), b.receiver.maxBody+1)
	if size > intake.FreeBuffer {
		switch b.receiver.budget.Take(&b.share, size, b.receiver.limits.FrameTimeout, b.receiver.life.Done()) {
		case intake.ErrNoMemory:
			return refuse(bodyTimeout, "no memory for a body of more than %d bytes became free in time", len(b.buf))
		case intake.ErrDrained:
			return refuse(closed, "the receiver is being shut down")
		}
	}
	b.buf = append(make([]byte, 0, size), b.buf...)
	return nil
}

// unpacker unpacks bodies that are there as a whole, one at a time, so that nobody
// waits for a peer while others wait for what it unpacks.
type unpacker struct{ from gzip.Reader }

// unpack returns what was packed, of up to limit bytes. It unpacks twice: what is
// too long costs no memory then, and what is not only what it needs.
func (u *unpacker) unpack(body []byte, limit int) ([]byte, *Refusal) {
	n, err := u.copy(io.Discard, body, limit+1)
	var text bytes.Buffer
	if err == nil && n <= limit {
		text.Grow(n + bytes.MinRead)
		n, err = u.copy(&text, body, limit)
	}
	switch {
	case n > limit:
		return nil, refuse(bodyTooLong, "more than %d bytes", limit)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, refuse(cutShort, "after %d bytes: %v", n, err)
	case err != nil:
		return nil, refuse(badEncoding, "after %d bytes: %v", n, err)
	}
	return text.Bytes(), nil
}

func (u *unpacker) copy(to io.Writer, body []byte, limit int) (int, error) {
	if err := u.from.Reset(bytes.NewReader(body)); err != nil {
		return 0, err
	}
	n, err := io.Copy(to, io.LimitReader(&u.from, int64(limit)))
	return int(n), err
}
