package redact_test

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"reflect"
	"regexp"

	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/redact"
)

// withoutTime are options under which the examples print the same every day.
var withoutTime = &slog.HandlerOptions{
	ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	},
}

func Example() {
	logger := slog.New(redact.New(slog.NewJSONHandler(os.Stdout, withoutTime), nil))

	logger.With("api-key", "k-123").Info("login", "user", "bob", "password", "hunter2")
	logger.Info("request", "header", http.Header{"Accept": {"*/*"}, "Authorization": {"Bearer abc"}})
	logger.Info("response", "body", `{"id":7,"token":"abc"}`)
	// Output:
	// {"level":"INFO","msg":"login","api-key":"[REDACTED]","user":"bob","password":"[REDACTED]"}
	// {"level":"INFO","msg":"request","header":{"Accept":["*/*"],"Authorization":"[REDACTED]"}}
	// {"level":"INFO","msg":"response","body":"{\"id\":7,\"token\":\"[REDACTED]\"}"}
}

func ExampleOptions() {
	type Password string
	logger := slog.New(redact.New(slog.NewTextHandler(os.Stdout, withoutTime), &redact.Options{
		Keys:          append(redact.CommonKeys(), "iban"),
		Paths:         []string{"user.name"},
		KeyPatterns:   []*regexp.Regexp{regexp.MustCompile(`(?i)(secret|token)$`)},
		ValuePatterns: []*regexp.Regexp{regexp.MustCompile(`://\w+:(?P<secret>[^@]+)@`)},
		Types:         []reflect.Type{reflect.TypeFor[Password]()},
		Text:          "***",
	}))

	logger.Info("keys", "IBAN", "DE02", "deployToken", "abc")
	logger.Info("paths", "name", "job 1", slog.Group("user", "name", "Bob"))
	logger.Warn("patterns", "err", errors.New("dial postgres://app:hunter2@db: refused"))
	logger.Info("types", "login", struct {
		User string
		With Password
	}{"bob", "hunter2"})
	// Output:
	// level=INFO msg=keys IBAN=*** deployToken=***
	// level=INFO msg=paths name="job 1" user.name=***
	// level=WARN msg=patterns err="dial postgres://app:***@db: refused"
	// level=INFO msg=types login="{\"User\":\"bob\",\"With\":\"***\"}"
}

func ExampleHash() {
	logger := slog.New(redact.New(slog.NewTextHandler(os.Stdout, withoutTime), &redact.Options{
		Mask: redact.Hash([]byte("a long random key, kept like a secret")),
	}))
	logger.Info("first", "session_id", "5f1c0a")
	logger.Info("other", "session_id", "77aa01")
	logger.Info("first again", "session_id", "5f1c0a")
	// Output:
	// level=INFO msg=first session_id=[REDACTED:4b2882c6804df7e1]
	// level=INFO msg=other session_id=[REDACTED:4169d7f070facd52]
	// level=INFO msg="first again" session_id=[REDACTED:4b2882c6804df7e1]
}

func ExampleLast() {
	cards := redact.New(slog.NewTextHandler(os.Stdout, withoutTime), &redact.Options{
		Keys: []string{"card"},
		Mask: redact.Last(4),
	})
	// Another kind of mask for other keys: one handler in front of another.
	logger := slog.New(redact.New(cards, &redact.Options{Remove: true}))
	logger.Info("paid", "card", "4111111111111111", "cvv", "123")
	// Output:
	// level=INFO msg=paid card=****1111
}

// Only what is behind the handler is redacted.
func ExampleNew_fanout() {
	logger := slog.New(fanout.New(
		redact.New(slog.NewJSONHandler(os.Stdout, withoutTime), nil),
		slog.NewTextHandler(os.Stdout, withoutTime), // for the auditors
	))
	logger.Info("login", "user", "bob", "password", "hunter2")
	// Output:
	// {"level":"INFO","msg":"login","user":"bob","password":"[REDACTED]"}
	// level=INFO msg=login user=bob password=hunter2
}
