package socket

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"

	"github.com/slogworks/slogworks/internal/wire"
)

// Limits of a frame, for both ends.
const (
	defaultMaxFrame = 1 << 20
	minFrame        = 2 << 10 // a record of which everything is cut, and its number
)

// frameLimit returns the limit that an option asks for. A longer length than
// wire.MaxLine would not begin with the byte 0, by which it is recognised.
func frameLimit(n int) int {
	if n <= 0 {
		return defaultMaxFrame
	}
	return min(max(n, minFrame), wire.MaxLine-1)
}

// hello is what a sender may say first.
type hello struct {
	Slogworks int    `json:"slogworks"` // version of the protocol
	Token     string `json:"token,omitempty"`
	Ack       bool   `json:"ack,omitempty"`
}

const helloVersion = 1

// helloPrefix is what no record begins with.
var helloPrefix = []byte(`{"slogworks":`)

// helloLine returns the line with its line feed, or nothing if there is nothing
// to say.
func helloLine(token string, ack bool) []byte {
	if token == "" && !ack {
		return nil
	}
	line, _ := json.Marshal(hello{helloVersion, token, ack}) // cannot fail
	return append(line, '\n')
}

// readHello returns what a frame says if it is a hello.
func readHello(frame []byte) (h hello, isHello bool) {
	if !bytes.HasPrefix(frame, helloPrefix) {
		return h, false
	}
	err := json.Unmarshal(frame, &h)
	return h, err == nil && h.Slogworks == helloVersion
}

// isToken compares in a time that tells nothing about the token.
func isToken(got, want string) bool {
	g, w := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(g[:], w[:]) == 1
}
