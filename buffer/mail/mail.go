// Package mail delivers log records by electronic mail: a batch of records is
// one mail, with what is alike grouped and counted.
//
// Use it for what a person must learn about without looking: put it behind the
// package buffer, which collects records over restarts, waits for enough of them
// and tries again while the server is away, or behind queue, where a mail per
// burst is what you want. For a program that mails one text now and then,
// net/smtp is enough.
//
// A Handler talks to the server on the goroutine that calls it: Handle and
// HandleBatch block until the mail is accepted or refused, which takes as long as
// the server takes, see [Config].Timeout. Each mail has a connection of its own.
// No goroutine is left running, nothing is kept between calls and there is nothing
// to close. A mail of a hundred records takes half a megabyte while it is made.
//
// Nothing is tried twice here, and nothing is dropped: what was not delivered
// comes back as an error that says whether to try again. os.Exit, SIGKILL or a
// panic while a mail is under way lose it, unless what stands in front keeps it
// on disk; then it may arrive twice, both times with the same Message-ID.
//
//	h, err := mail.New(mail.Config{
//		Host:     "smtp.example.com",
//		Username: "shop",
//		Password: mail.Password(os.Getenv("SMTP_PASSWORD")),
//		From:     "Shop <shop@example.com>",
//		To:       []string{"ops@example.com"},
//	})
//	if err != nil {
//		return err
//	}
//	logger := slog.New(queue.New(fanout.AtLeast(h, slog.LevelError), nil))
package mail

import (
	"context"
	"log/slog"
	"slices"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
)

// Handler sends mails. It accepts every level: what is worth a mail is decided
// in front of it.
//
// It is safe for concurrent use; mails that are sent at the same time have
// connections of their own and arrive in any order. Handlers derived by WithAttrs
// and WithGroup send to the same recipients. Make one with [New]; the zero
// Handler is of no use.
type Handler struct {
	core  *core
	chain *chain.Node
}

var _ slogworks.BatchHandler = (*Handler)(nil)

// New returns a Handler that sends as cfg says. It does not touch the network:
// that is [Handler.Verify]. The error names the field of cfg that cannot be used.
func New(cfg Config) (*Handler, error) {
	c, err := newCore(cfg)
	if err != nil {
		return nil, err
	}
	return &Handler{core: c}, nil
}

// Enabled returns true.
func (h *Handler) Enabled(context.Context, slog.Level) bool { return true }

// Handle sends the record as a mail of its own and blocks until that is done or
// has failed. A mail is often about the request that was cancelled, so the
// cancellation of ctx does not stop it; [Config].Timeout does. The error is as
// for [Handler.HandleBatch].
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx = context.WithoutCancel(ctx)
	return h.HandleBatch(ctx, slogworks.Batch{
		Items: []slogworks.Item{{Context: ctx, Record: chain.FreezeRecord(r)}},
	})
}

// HandleBatch sends the batch as one mail, whatever its Kind, and blocks until
// that is done, has failed or ctx has ended. Recipients in b.Done are left out. A
// batch that holds nothing and has lost nothing is no mail.
//
// An error is a [*slogworks.DeliveryError] whose Err is an [*Error]:
//
//   - Done names the recipients that have the mail, where the server took it for
//     some and refused others. They include those of b.Done.
//   - Permanent is set if the server refused this very mail: if it answered MAIL,
//     DATA, the end of the data, or RCPT for every recipient, with 5xx.
//   - Uncertain is set if the whole mail was sent and no answer came. The server
//     may have taken it, so that sending it again can mean a second one.
//   - After is 15 minutes if somebody has to do something about it: if the
//     password could not be had, the certificate is not trusted, encryption is
//     not offered, or the server rejects the program as such. For all else, such as
//     a server that cannot be reached or answers 4xx, it is 0.
func (h *Handler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	if ctx == nil {
		ctx = context.Background()
	}
	to := slices.DeleteFunc(slices.Clone(h.core.envelope), func(address string) bool {
		return slices.Contains(b.Done, address)
	})
	if len(to) == 0 || len(b.Items) == 0 && b.Dropped == 0 {
		return nil
	}
	return h.core.deliver(ctx, h.flat(b), to)
}

// Message returns the mail that HandleBatch would send for b, headers and all,
// without sending it. Lines end with CRLF, and recipients in Bcc do not show. The
// Message-ID is that of b.ID; without one it is another each time.
func (h *Handler) Message(b slogworks.Batch) ([]byte, error) {
	return h.core.compose(h.flat(b), messageID(b.ID), h.core.maxAttach)
}

// Verify connects to the server, encrypts and authenticates as for a mail, and
// takes its leave. An error is an [*Error]. Whether the server takes mail for
// the recipients is not asked, since servers that are asked for no reason soon
// give no answers.
func (h *Handler) Verify(ctx context.Context) error {
	if ctx == nil {
		ctx = context.Background()
	}
	s, err := h.core.open(ctx)
	if err != nil {
		return err
	}
	s.close()
	return nil
}

// WithAttrs returns a Handler that adds attrs to each record.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &Handler{core: h.core, chain: h.chain.WithAttrs(attrs)}
}

// WithGroup returns a Handler that opens a group in each record.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &Handler{core: h.core, chain: h.chain.WithGroup(name)}
}

// flat returns b with the attributes and groups of h in its records.
func (h *Handler) flat(b slogworks.Batch) slogworks.Batch {
	if h.chain == nil {
		return b
	}
	b.Items = slices.Clone(b.Items)
	for i, item := range b.Items {
		b.Items[i].Record = h.chain.Flatten(item.Record)
	}
	return b
}
