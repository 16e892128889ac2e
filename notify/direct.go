package notify

import (
	"context"
	"log/slog"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// DirectHandler sends each record and each batch as one message, at once, and
// returns what became of it. It is the end of a pipeline in which a buffer or a
// queue decides when to send and tries again:
//
//	buffer.Open(notify.Direct(notify.Slack(url)), &buffer.Options{Dir: dir})
//
// A message has all records of its batch. Handle and HandleBatch block until the
// Sender returns, for which the context is their caller's and [Options] do not
// apply; there is no goroutine. Enabled accepts every level: what comes here was
// chosen before. Safe for concurrent use if the Sender is.
type DirectHandler struct {
	sender Sender
	with   *chain.Node
}

var _ slogworks.BatchHandler = (*DirectHandler)(nil)

// Direct returns a handler that sends by s. It panics if s is nil. A Sender that
// is not complete fails at the first message: call its method Check before.
func Direct(s Sender) *DirectHandler {
	if isNil(s) {
		panic("notify: nil Sender")
	}
	return &DirectHandler{sender: s}
}

// Enabled returns true.
func (h *DirectHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle sends the record and returns the error of the Sender. A context that
// has ended before does not keep it from being sent.
func (h *DirectHandler) Handle(ctx context.Context, r slog.Record) error {
	switch {
	case ctx == nil:
		ctx = context.Background()
	case ctx.Err() != nil:
		// What is logged about a request that was cancelled has to be told too.
		ctx = context.WithoutCancel(ctx)
	}
	d := draft{max: 1}
	d.add(chain.FreezeRecord(h.with.Flatten(r)))
	return h.send(ctx, d.message())
}

// HandleBatch sends the batch, whatever its Kind, and returns the error of the
// Sender. The message has the ID of the batch, if that has one. A batch without
// items is not sent.
func (h *DirectHandler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	if len(b.Items) == 0 {
		return nil
	}
	d := draft{max: len(b.Items)}
	d.takeBatch(h.with, b)
	m := d.message()
	if b.ID != "" {
		m.ID = b.ID
	}
	return h.send(ctx, m)
}

func (h *DirectHandler) send(ctx context.Context, m *Message) (err error) {
	defer stage.Rescue(&err)
	m.render(nil)
	return h.sender.Send(ctx, m)
}

// WithAttrs returns a handler that adds attrs to each record.
func (h *DirectHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &DirectHandler{h.sender, h.with.WithAttrs(attrs)}
}

// WithGroup returns a handler that opens a group in each record.
func (h *DirectHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &DirectHandler{h.sender, h.with.WithGroup(name)}
}
