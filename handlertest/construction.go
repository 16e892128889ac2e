package handlertest

import (
	"fmt"
	"log/slog"
	"strings"
)

// initialHandler is what slog starts with. It can only be had before anybody
// calls slog.SetDefault, since its type is not exported.
var initialHandler = slog.Default().Handler()

var constructionRules = []rule{
	{"a nil next panics", true, nilNext},
	{"slog's default handler as next panics", true, defaultNext},
}

func nilNext(c *check) {
	message, panicked := c.refusal(nil)
	switch {
	case !panicked:
		c.Errorf("a nil next was accepted: panic when the handler is built, with \"yourpackage: nil Handler\", instead of at the first record")
	case !strings.HasSuffix(message, "nil Handler"):
		c.Errorf("a nil next panics with %q: say \"yourpackage: nil Handler\", as slog does", message)
	}
}

func defaultNext(c *check) {
	if fmt.Sprintf("%T", initialHandler) != "*slog.defaultHandler" {
		c.Skipf("slog.SetDefault was called before this package was initialised")
	}
	message, panicked := c.refusal(initialHandler)
	switch {
	case !panicked:
		c.Errorf("slog's default handler (a *slog.defaultHandler) was accepted as next: it writes through package log, and once what wraps it is the default, log writes through it, which deadlocks; panic when the handler is built")
	case !strings.Contains(message, "slog.New"):
		c.Errorf("slog's default handler as next panics with %q, which does not name the remedy: say to wrap another, such as slog.NewTextHandler(os.Stderr, nil)", message)
	}
}

// refusal returns what newHandler panics with.
func (c *check) refusal(next slog.Handler) (message string, panicked bool) {
	defer func() {
		if p := recover(); p != nil {
			message, panicked = fmt.Sprint(p), true
		}
	}()
	if h := c.newHandler(next); h != nil {
		c.end(h)
	}
	return "", false
}
