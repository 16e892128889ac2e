package mail

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"slices"
	"strings"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

const attachment = "records.jsonl"

// messageID returns the part of a Message-ID before the @ for a batch. It is the
// batch's own ID if that can stand there by RFC 5322, 3.2.3. An ID that is made
// of one is always the same, and one that is made for a batch without is unique.
func messageID(batch string) string {
	switch {
	case batch == "":
		return strings.ToLower(rand.Text())
	case len(batch) <= 128 && isDotAtom(batch):
		return batch
	}
	sum := sha256.Sum256([]byte(batch))
	return hex.EncodeToString(sum[:16])
}

func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
		}) {
			return false
		}
	}
	return true
}

// domain is what follows the @ in a Message-ID. The sender's is the same on
// whichever machine a batch is tried again.
func (c *core) domain() string {
	domain := c.from.Address[strings.LastIndexByte(c.from.Address, '@')+1:]
	if !isDotAtom(domain) {
		return "localhost"
	}
	return domain
}

// composeWithin returns the mail for b in at most limit bytes, if leaving out
// attached records can make it so.
func (c *core) composeWithin(limit int64, b slogworks.Batch, id string) ([]byte, error) {
	bare, err := c.compose(b, id, -1)
	if err != nil {
		return nil, err
	}
	// Lines of 76 characters hold 57 bytes in base64, and the part has headers.
	room := (limit - int64(len(bare)) - 1024) * 57 / 78
	if room <= 0 || c.maxAttach < 0 {
		return bare, nil
	}
	return c.compose(b, id, min(room, c.maxAttach))
}

// compose returns the mail for b with at most maxAttach bytes of records
// attached, none if that is below 0.
func (c *core) compose(b slogworks.Batch, id string, maxAttach int64) ([]byte, error) {
	d := c.digest(b)
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(clone(c.from)[0])
	if len(c.to) > 0 {
		m.ToMailAddress(clone(c.to...)...)
	}
	if len(c.cc) > 0 {
		m.CcMailAddress(clone(c.cc...)...)
	}
	m.SetMessageIDWithValue(id + "@" + c.domain())
	m.SetDate()
	// RFC 3834: nobody who is on holiday needs to say so to a program.
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader("X-Auto-Response-Suppress", "All")
	subject := d.Subject()
	if c.subject != nil {
		custom, err := guarded(c.subject, d)
		if err == nil {
			subject = custom
		} else {
			d.note("Subject failed: ", err.Error())
		}
	}
	m.Subject(header(subject))

	lines, kept := c.attach(d, maxAttach)
	if kept < len(d.Records) && c.maxAttach >= 0 {
		d.note(attachment+" has ", fmt.Sprintf("the newest %d of %d records; the others do not fit.", kept, len(d.Records)))
	}
	text, html := c.bodies(d)
	m.SetBodyString(gomail.TypeTextPlain, text)
	m.AddAlternativeString(gomail.TypeTextHTML, html)
	if kept > 0 {
		m.AttachReadSeeker(attachment, bytes.NewReader(lines), gomail.WithFileContentType("application/x-ndjson"))
	}
	var out bytes.Buffer
	if _, err := m.WriteTo(&out); err != nil {
		return nil, fmt.Errorf("mail: making the mail: %w", err)
	}
	return out.Bytes(), nil
}

// clone copies what go-mail keeps.
func clone(addresses ...*netmail.Address) []*netmail.Address {
	copies := make([]*netmail.Address, len(addresses))
	for i, a := range addresses {
		c := *a
		copies[i] = &c
	}
	return copies
}

// attach returns the newest records that fit into limit bytes as lines, and how
// many these are.
func (c *core) attach(d *Digest, limit int64) (lines []byte, kept int) {
	if limit < 0 {
		return nil, 0
	}
	var written bytes.Buffer
	h := slog.NewJSONHandler(&written, &slog.HandlerOptions{AddSource: true})
	var newestFirst [][]byte
	for _, item := range slices.Backward(d.Batch.Items) {
		written.Reset()
		if err := stage.Handle(context.Background(), h, item.Record.Clone()); err != nil {
			d.note("a record could not be attached: ", err.Error())
			continue
		}
		if limit -= int64(written.Len()); limit < 0 {
			break
		}
		newestFirst = append(newestFirst, bytes.Clone(written.Bytes()))
	}
	slices.Reverse(newestFirst)
	return bytes.Join(newestFirst, nil), len(newestFirst)
}

// header returns s as it can stand in a header: one line, and not so long that
// RFC 5322, 2.1.1 forbids it.
func header(s string) string {
	// What looks like an encoded word would be shown as what it encodes.
	return strings.ReplaceAll(line(cut(s, 200)), "=?", "= ?")
}

// line returns s as a single line without what could end it, hide in it or
// reorder it.
func line(s string) string {
	return strings.Join(strings.Fields(clean(s, ' ')), " ")
}

// block returns s with its lines and tabs, and of the other control characters
// the replacement character. It keeps a terminal's escapes out of mail readers
// that run in one.
func block(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	return clean(s, unicode.ReplacementChar)
}

// clean replaces control characters and those that change the direction of
// text, but for LF and tab.
func clean(s string, by rune) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), r == '\u2028', r == '\u2029', unicode.Is(unicode.Bidi_Control, r):
			return by
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
}

// cut returns s, or its first n characters and an ellipsis.
func cut(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i] + "…"
		}
		n--
	}
	return s
}

// bodies returns the two forms of the mail.
func (c *core) bodies(d *Digest) (text, html string) {
	if c.text != nil {
		text = d.custom("Text", c.text)
	}
	if c.html != nil {
		html = d.custom("HTML", c.html)
	}
	// These come last because they show the notes about the others.
	if text == "" {
		text = defaultBody(textTemplate, d)
	}
	if html == "" {
		html = defaultBody(htmlTemplate, d)
	}
	return text, html
}

// custom returns what a template makes of d, or nothing and a note if it fails.
func (d *Digest) custom(field string, t executer) string {
	var b strings.Builder
	if err := execute(t, &b, d); err != nil {
		d.note("the "+field+" template failed: ", err.Error())
		return ""
	}
	return b.String()
}
