package syslog

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slogworks/slogworks/internal/chain"
)

const (
	// maxName is how long the names in structured data may be (RFC 5424, section
	// 6.3.2 and 6.3.3).
	maxName = 32
	// maxApp is how long the name of the program may be in RFC 3164, section 4.1.3.
	maxApp = 32
	// minMessage has room for the longest head and a mark.
	minMessage = 1 << 10
	// maxDatagram is what a UDP datagram can carry over IPv4.
	maxDatagram = 65507

	truncated = "!truncated"
)

// form is what all messages of a handler have in common.
type form struct {
	is5424    bool
	facility  Facility
	head      string // between the time and the content
	sdID      string
	addSource bool
	keepLF    bool // in texts
	max       int
}

func newForm(o *Options, t target) form {
	f := form{
		is5424:    o.Format == RFC5424,
		facility:  o.Facility,
		sdID:      o.SDID,
		addSource: o.AddSource,
		keepLF:    o.Framing == Octet || t.IsDatagram(),
		max:       o.MaxRecordBytes,
	}
	if f.facility == 0 {
		f.facility = User
	}
	if f.sdID == "" {
		f.sdID = defaultSDID
	}
	if f.max <= 0 {
		f.max = 8000
	}
	f.max = max(f.max, minMessage)
	if t.Network == "udp" {
		f.max = min(f.max, maxDatagram)
	}
	hostname, app, proc := o.Hostname, o.AppName, o.ProcID
	if hostname == "" {
		hostname, _ = os.Hostname() // without a name, messages have none
	}
	if app == "" && len(os.Args) > 0 {
		app = filepath.Base(os.Args[0])
	}
	if proc == "" {
		proc = strconv.Itoa(os.Getpid())
	}
	if f.is5424 {
		f.head = " " + word(hostname, 255, "") + " " + word(app, 48, "") + " " + word(proc, 128, "") + " " + word(o.MsgID, 32, "") + " "
		return f
	}
	f.head = " "
	if !t.isHere() {
		f.head += word(hostname, 255, "") + " "
	}
	// A reader finds the end of the tag by what cannot be in it.
	f.head += word(app, maxApp, ":[]") + "[" + word(proc, 128, ":[]") + "]: "
	return f
}

// word returns s as one of the words in the head of a message: printable ASCII
// without spaces. None is a hyphen.
func word(s string, limit int, without string) string {
	if s == "" {
		return "-"
	}
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune(without, r) {
			return '_'
		}
		return r
	}, s)
	return s[:min(len(s), limit)]
}

// isSDID reports whether id is one that is not reserved (RFC 5424, section
// 6.3.2): a name, @ and an enterprise number, which may have parts.
func isSDID(id string) bool {
	name, number, ok := strings.Cut(id, "@")
	if !ok || name == "" || len(id) > maxName {
		return false
	}
	for i := range len(name) {
		if !isNameByte(name[i]) {
			return false
		}
	}
	for part := range strings.SplitSeq(number, ".") {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return true
}

func isNameByte(c byte) bool {
	return ' ' < c && c <= '~' && c != '=' && c != ']' && c != '"'
}

// encoder writes one message.
type encoder struct {
	*form
	buf    []byte
	name   []byte // of the groups that are open and the attribute, dotted
	params int    // written so far

	// In a message that is too long: how many bytes a text may have, how many the
	// message would have had, and where the attributes must end, if that matters.
	limit, size, end int
}

// append appends the record as one message.
func (e *encoder) append(dst []byte, f *form, r slog.Record) []byte {
	begin := len(dst)
	e.form, e.buf = f, dst
	e.limit, e.size, e.end = 0, 0, 0
	e.record(r)
	if size := len(e.buf) - begin; size > f.max {
		r = chain.FreezeRecord(r) // what marshals itself is asked once more, and not many times
		e.size = size
		const least = 16
		for e.limit = f.max * 7 / 8; ; e.limit = max(e.limit*3/4, least) {
			e.buf = e.buf[:begin]
			e.record(r)
			if len(e.buf)-begin <= f.max {
				break
			}
			if e.limit == least {
				e.buf = e.buf[:begin]
				e.end = begin + f.max
				e.record(r)
				break
			}
		}
	}
	dst = e.buf
	e.form, e.buf = nil, nil
	return dst
}

func (e *encoder) record(r slog.Record) {
	severity, exact := severityOf(r.Level)
	e.buf = append(e.buf, '<')
	e.buf = strconv.AppendInt(e.buf, int64(e.facility)*8+int64(severity), 10)
	e.buf = append(e.buf, '>')
	e.name, e.params = e.name[:0], 0
	if e.is5424 {
		e.buf = append(e.buf, "1 "...)
		e.stamp(r.Time)
		e.buf = append(e.buf, e.head...)
		e.attrs(&r, exact)
		if e.params > 0 {
			e.buf = append(e.buf, ']')
		} else {
			e.buf = append(e.buf, '-')
		}
		if r.Message != "" {
			e.buf = append(e.buf, ' ')
			if !isASCII(r.Message) {
				e.buf = append(e.buf, "\ufeff"...)
			}
			e.text(r.Message, "")
		}
		return
	}
	at := r.Time
	if at.IsZero() {
		at = time.Now() // the form has no other word for it
	}
	e.buf = at.Local().AppendFormat(e.buf, time.Stamp)
	e.buf = append(e.buf, e.head...)
	e.text(r.Message, "")
	e.attrs(&r, exact)
}

// stamp writes a TIMESTAMP of RFC 5424, section 6.2.3.
func (e *encoder) stamp(t time.Time) {
	_, offset := t.Zone()
	if t.IsZero() || t.Year() < 0 || t.Year() > 9999 || offset%60 != 0 || offset <= -24*60*60 || offset >= 24*60*60 {
		if t = t.UTC(); t.IsZero() || t.Year() < 0 || t.Year() > 9999 {
			e.buf = append(e.buf, '-')
			return
		}
	}
	e.buf = t.AppendFormat(e.buf, "2006-01-02T15:04:05.000000Z07:00")
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// text writes a text, of which a reader must not take anything for the end of
// the message. The bytes in special get a backslash.
func (e *encoder) text(s, special string) {
	isCut := e.limit > 0 && len(s) > e.limit
	if isCut {
		n := e.limit
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
			e.buf = append(append(e.buf, s[done:i]...), "\ufffd"...)
			i++
			done = i
			continue
		}
		isSpecial := special != "" && (c == '"' || c == '\\' || c == ']')
		if c >= ' ' && c != 0x7f && !isSpecial || c == '\t' || c == '\n' && e.keepLF {
			i++
			continue
		}
		e.buf = append(e.buf, s[done:i]...)
		if isSpecial {
			e.buf = append(e.buf, '\\', c)
		} else {
			e.buf = append(e.buf, '#', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		}
		i++
		done = i
	}
	e.buf = append(e.buf, s[done:]...)
	if isCut {
		e.buf = append(e.buf, truncated...)
	}
}
