package mail

import (
	"encoding/base64"
	"errors"
	"net/textproto"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// secret is the password as it stands and in the forms in which it may come back.
type secret []string

func newSecret(username, password string) secret {
	if password == "" {
		return nil
	}
	encode := base64.StdEncoding.EncodeToString
	quoted := strconv.Quote(password) // as the errors of net/textproto have it
	return secret{
		password,
		quoted[1 : len(quoted)-1],
		encode([]byte(password)),
		encode([]byte("\x00" + username + "\x00" + password)),
		encode([]byte("user=" + username + "\x01auth=Bearer " + password + "\x01\x01")),
	}
}

const hidden = "(not shown: the password is in it)"

// hide returns text, or that it is not shown if it holds the secret. A hole where
// the secret was would not do: the words around it tell what it is, if it is a
// word itself or a part of one.
func (s secret) hide(text string) string {
	if s.in(text) {
		return hidden
	}
	return text
}

func (s secret) in(text string) bool {
	for _, form := range s {
		if holds(text, form) {
			return true
		}
	}
	return false
}

// holds reports whether form is in text. One of up to three characters has to be
// a word there, since every text has those as parts of others.
func holds(text, form string) bool {
	if utf8.RuneCountInString(form) > 3 {
		return strings.Contains(text, form)
	}
	for from := 0; ; from++ {
		i := strings.Index(text[from:], form)
		if i < 0 {
			return false
		}
		from += i
		before, _ := utf8.DecodeLastRuneInString(text[:from])
		after, _ := utf8.DecodeRuneInString(text[from+len(form):])
		if !isOfWord(before) && !isOfWord(after) {
			return true
		}
	}
}

func isOfWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// masked returns an error of what is not ours, the server, go-mail or
// Config.Password, without a text that holds the password. The network's errors
// and those of TLS, which do not quote what was sent, stay as they are, and so
// does what we say ourselves.
func (s *session) masked(err error) error {
	if err == nil || errors.Is(err, errIterations) {
		return err
	}
	var reply *textproto.Error
	if errors.As(err, &reply) {
		if s.secret.in(reply.Msg) || s.secret.in(err.Error()) {
			return &textproto.Error{Code: reply.Code, Msg: hidden}
		}
		return err
	}
	if s.phase == PhaseTLS || s.phase != PhasePassword && isPassing(err) || !s.secret.in(err.Error()) {
		return err
	}
	return errors.New(hidden)
}
