package mail_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"text/template"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer/mail"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/queue"
)

// Errors by mail, from a queue so that nothing waits for the server. The package
// buffer in place of queue collects them over restarts.
func Example() {
	h, err := mail.New(mail.Config{
		Host:     "smtp.example.com",
		Username: "shop",
		Password: mail.Password(os.Getenv("SMTP_PASSWORD")),
		From:     "Shop <shop@example.com>",
		To:       []string{"ops@example.com"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mails := queue.New(h, &queue.Options{Linger: time.Second})
	defer mails.Close()

	logger := slog.New(fanout.New(
		slog.NewJSONHandler(os.Stdout, nil),
		fanout.AtLeast(mails, slog.LevelError),
	))
	fmt.Println(logger.Enabled(context.Background(), slog.LevelInfo))
	// Output: true
}

// A mistake in a Config is an error that names it.
func ExampleNew() {
	_, err := mail.New(mail.Config{
		Host: "smtp.example.com",
		From: "shop@example.com",
		To:   []string{"ops at example.com"},
	})
	fmt.Println(err)

	_, err = mail.New(mail.Config{
		Host:     "smtp.example.com",
		TLS:      mail.Plaintext,
		Username: "shop",
		Password: mail.Password("secret"),
		From:     "shop@example.com",
		To:       []string{"ops@example.com"},
	})
	fmt.Println(err)
	// Output:
	// mail: To[0] "ops at example.com": no angle-addr
	// mail: the password would go to smtp.example.com unencrypted: use StartTLS or Implicit
}

// A mail can be looked at before it is sent, with the texts of a program's own.
func ExampleHandler_Message() {
	h, err := mail.New(mail.Config{
		Host:    "smtp.example.com",
		From:    "Shop <shop@example.com>",
		To:      []string{"ops@example.com"},
		Subject: func(d *mail.Digest) string { return "[shop] " + d.Significant().Message() },
		Text: template.Must(template.New("text").Parse(
			`{{range .Groups}}{{.Count}} × {{.Level}} {{.Record.Message}}{{range .Record.Attrs}} {{.Key}}={{.Value}}{{end}}
{{end}}`)),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	record := func(level slog.Level, message string, args ...any) slogworks.Item {
		r := slog.NewRecord(time.Now(), level, message, 0)
		r.Add(args...)
		return slogworks.Item{Context: context.Background(), Record: r}
	}
	content, err := h.Message(slogworks.Batch{
		ID:   "20260102-7f3a",
		Kind: slogworks.Digest,
		Items: []slogworks.Item{
			record(slog.LevelWarn, "slow query", "took", "3s"),
			record(slog.LevelError, "payment failed", "order", 7),
			record(slog.LevelError, "payment failed", "order", 8),
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for line := range strings.Lines(string(content)) {
		for _, wanted := range []string{"Message-ID", "Subject", "To", "2 ", "1 "} {
			if strings.HasPrefix(line, wanted) {
				fmt.Println(strings.TrimSpace(line))
			}
		}
	}
	// Output:
	// Message-ID: <20260102-7f3a@example.com>
	// Subject: [shop] payment failed
	// To: <ops@example.com>
	// 2 =C3=97 ERROR payment failed order=3D8
	// 1 =C3=97 WARN slow query took=3D3s
}

// Verify finds out at start what a mail would find out too late.
func ExampleHandler_Verify() {
	server := newServer(nil, script{noTLS: true})
	defer server.close()
	h, err := mail.New(server.config())
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(h.Verify(ctx))

	server.close()
	err = h.Verify(ctx)
	var failure *mail.Error
	fmt.Println(errors.As(err, &failure) && failure.Phase == mail.PhaseConnect)
	// Output:
	// <nil>
	// true
}
