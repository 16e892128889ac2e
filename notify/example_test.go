package notify_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/notify"
	"github.com/slogworks/slogworks/queue"
)

// screen shows what a person would see.
var screen = notify.SenderFunc(func(_ context.Context, m *notify.Message) error {
	fmt.Printf("%s: %s\n", m.Title, m.Body)
	return nil
})

// A notification on the desktop when something grave happens, and the log beside
// it as ever.
func Example() {
	desktop, err := notify.New(notify.NotifySend("shop"), nil)
	if err != nil {
		log.Fatal(err) // notify-send is not installed
	}
	h := fanout.New(slog.NewTextHandler(os.Stderr, nil), desktop)
	defer slogworks.Shutdown(context.Background(), h)
	logger := slog.New(h)
	logger.Info("open")                        // the log only
	logger.Error("payment failed", "order", 7) // the log and the desktop
}

// Ten thousand errors make two messages.
func ExampleNew() {
	h, err := notify.New(notify.SenderFunc(func(_ context.Context, m *notify.Message) error {
		fmt.Println(m.Title)
		return nil
	}), nil)
	if err != nil {
		log.Fatal(err)
	}
	logger := slog.New(h)
	for i := range 10_000 {
		logger.Error("disk full", "block", i)
	}
	if err := h.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", h.Stats())
	// Output:
	// ERROR disk full
	// ERROR disk full (+9998 more)
	// {Records:10000 Messages:2 Failed:0 Coalesced:9979 Dropped:0 Pending:0}
}

// Render says what a message reads like.
func ExampleOptions_render() {
	h, err := notify.New(screen, &notify.Options{
		Render: func(m *notify.Message) (title, body string) {
			return fmt.Sprintf("shop: %d × %v", m.Count, m.Level), m.Records[0].Message
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	slog.New(h).Error("payment failed")
	// Output:
	// shop: 1 × ERROR: payment failed
}

// A program gets the text in arguments, where "--" keeps it from being an
// option, or by its stdin. Here it goes to everybody who is logged in on another
// machine.
func ExampleCommand() {
	c := &notify.Command{
		Path:  "ssh",
		Args:  []string{"ops@example.com", "wall"},
		Stdin: "{title}\n{body}\n",
	}
	h, err := notify.New(c, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
}

// A template in which what somebody typed could become an option, or a command
// of a shell, is an error when the program starts.
func ExampleCommand_Check() {
	for _, c := range []*notify.Command{
		{Path: "go", Args: []string{"{title}"}},
		{Path: "sh", Args: []string{"-c", "echo {title}"}},
	} {
		fmt.Println(c.Check())
	}
	// Output:
	// notify: command go: argument 1, "{title}", could become an option: put an argument "--" before it, if the program knows that, or literal text in front
	// notify: command sh: argument 2, "echo {title}", would be run as a script with whatever text there is: give the text by Stdin or Env
}

// A webhook of one's own kind: here, a form as browsers post it.
func ExampleWebhook() {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.PostFormValue("text"))
	}))
	defer server.Close()

	h, err := notify.New(&notify.Webhook{
		URL: server.URL,
		Encode: func(m *notify.Message) ([]byte, string, error) {
			form := url.Values{"text": {m.Title}}
			return []byte(form.Encode()), "application/x-www-form-urlencoded", nil
		},
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	slog.New(h).Error("payment failed")
	// Output: POST ERROR payment failed
}

// mailer is a service of another module: github.com/nikoksr/notify has 30 such.
type mailer struct{}

func (mailer) Send(_ context.Context, subject, message string) error {
	fmt.Println(subject)
	return nil
}

func ExampleAdapt() {
	h, err := notify.New(notify.Adapt(mailer{}), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	slog.New(h).Error("payment failed")
	// Output: ERROR payment failed
}

// Direct returns what became of a message, so that a queue tries it again.
func ExampleDirect() {
	attempts := 0
	q := queue.New(notify.Direct(notify.SenderFunc(func(_ context.Context, m *notify.Message) error {
		if attempts++; attempts == 1 {
			return &slogworks.DeliveryError{After: time.Millisecond, Err: errors.New("too many requests")}
		}
		fmt.Println(m.Title)
		return nil
	})), nil)
	slog.New(q).Error("payment failed")
	if err := q.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(attempts)
	// Output:
	// ERROR payment failed
	// 2
}
