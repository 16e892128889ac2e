package config

import (
	"encoding"
	"log/slog"
	"reflect"
	"time"

	"github.com/slogworks/slogworks/fanout"
)

// Duration is an option that is a time: 10s, 1h30m, 7d, or -1s where below 0
// means something.
type Duration time.Duration

// Std returns the duration as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// Size is an option that is a number of bytes: 1048576, 64KiB, 100MB.
type Size int64

// count is a whole number that cannot be below 0, where that means nothing.
type count int

// Secret is an option that nobody is to read: a password, a token, a URL that
// lets in whoever has it. A document has the text itself, which may be a
// variable as in "${SLOGWORKS_PASSWORD}", or under the option's name with _file
// added the path of a file that has it, which is read when the pipeline is
// built. It prints as ***.
type Secret struct {
	text, file string
}

// redacted is what stands in the place of a secret.
const redacted = "***"

// Reveal returns the secret, without a line feed at the end of its file.
func (s Secret) Reveal() string { return s.text }

// String returns *** if there is a secret.
func (s Secret) String() string {
	if s == (Secret{}) {
		return ""
	}
	return redacted
}

// GoString keeps the secret from being printed by %#v.
func (s Secret) GoString() string { return "config.Secret{" + s.String() + "}" }

// LogValue keeps the secret from being logged.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the secret from being marshalled.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Ref is an option that names what a handler wraps: another handler of the
// document, or a list of several, which then get each record as by
// [fanout.New]. A []Ref has them apart.
type Ref struct {
	names    []string
	handlers []slog.Handler
}

// Handler returns what is named, or nil if nothing is. Flush, Shutdown and
// Books do not reach through it: the Pipeline does that for all its handlers.
func (r Ref) Handler() slog.Handler {
	switch len(r.handlers) {
	case 0:
		return nil
	case 1:
		return r.handlers[0]
	}
	return fanout.New(r.handlers...)
}

// Names returns what the document says.
func (r Ref) Names() []string { return append([]string(nil), r.names...) }

var (
	durationType    = reflect.TypeFor[Duration]()
	countType       = reflect.TypeFor[count]()
	sizeType        = reflect.TypeFor[Size]()
	secretType      = reflect.TypeFor[Secret]()
	refType         = reflect.TypeFor[Ref]()
	tlsType         = reflect.TypeFor[TLS]()
	levelerType     = reflect.TypeFor[slog.Leveler]()
	unmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)
