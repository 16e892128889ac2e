package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// Message is what a [Sender] sends: one or more records for a person to read.
// It marshals to the JSON object that the placeholder {json} and the webhook
// [JSON] have, with the keys id, time, level, title, body, count, dropped and
// records, these as slog.JSONHandler prints them, in a string if that is no JSON.
type Message struct {
	// ID is different for each message, and the same when a buffer or a queue
	// has [Direct] send one again.
	ID string

	// Time and Level are those of the record that matters most: of the most
	// severe the first, or that which an escalation is about. Time may be zero.
	Time  time.Time
	Level slog.Level

	// Title is one line and not empty. Body may have several. Both are valid
	// UTF-8 without control characters but for the Body's line feeds and tabs.
	Title, Body string

	// Count is how many records the message stands for. Of these, Dropped are
	// not in Records.
	Count, Dropped int

	// Records hold what With added, and values that no longer change. They are
	// shared: a Sender that adds attributes to one clones it first.
	Records []slog.Record

	significant int // where the record is that matters most
}

// record returns the record that matters most, or a zero one.
func (m *Message) record() slog.Record {
	if m.significant < 0 || m.significant >= len(m.Records) {
		return slog.Record{}
	}
	return m.Records[m.significant]
}

// attr returns the text of an attribute of the record that matters most, "" if
// there is none. Dots in the name lead into groups, unless there is an attribute
// of the whole name.
func (m *Message) attr(name string) string {
	view := slogworks.NewView(m.record())
	value, ok := view.Attr(name)
	if !ok {
		value, ok = view.Attr(strings.Split(name, ".")...)
	}
	switch {
	case !ok:
		return ""
	case value.Kind() == slog.KindTime:
		return value.Time().Format(time.RFC3339Nano)
	}
	if b, ok := value.Any().([]byte); ok {
		return string(b) // as slog.TextHandler does
	}
	return value.String()
}

// urgency is the level in the words of the Desktop Notifications Specification.
func (m *Message) urgency() string {
	switch {
	case m.Level >= slog.LevelError:
		return "critical"
	case m.Level >= slog.LevelInfo:
		return "normal"
	}
	return "low"
}

// MarshalJSON returns the message as a JSON object.
func (m *Message) MarshalJSON() ([]byte, error) {
	records := make([]json.RawMessage, len(m.Records))
	for i, r := range m.Records {
		var line bytes.Buffer
		if err := slog.NewJSONHandler(&line, nil).Handle(context.Background(), r); err != nil {
			return nil, err
		}
		records[i] = line.Bytes()
		if !json.Valid(records[i]) { // slog's own error about a year of five digits is no JSON
			records[i], _ = json.Marshal(strings.TrimSpace(line.String()))
		}
	}
	when := "" // and no time.Time, which fails with a year of five digits
	if !m.Time.IsZero() {
		when = m.Time.Format(time.RFC3339Nano)
	}
	return json.Marshal(struct {
		ID      string            `json:"id"`
		Time    string            `json:"time,omitempty"`
		Level   string            `json:"level"`
		Title   string            `json:"title"`
		Body    string            `json:"body"`
		Count   int               `json:"count"`
		Dropped int               `json:"dropped"`
		Records []json.RawMessage `json:"records"`
	}{m.ID, when, m.Level.String(), m.Title, m.Body, m.Count, m.Dropped, records})
}

// render sets title and body, by f if it is not nil.
func (m *Message) render(f func(*Message) (title, body string)) {
	var err error
	if f != nil {
		m.Title, m.Body, err = m.rendered(f)
	}
	if f == nil || err != nil {
		m.Title, m.Body = m.defaultTitle(), m.defaultBody()
	}
	if err != nil {
		m.Body += fmt.Sprintf("\nnotify: Render: %v", err)
	}
	m.Title, m.Body = oneLine(m.Title), clean(m.Body)
	if m.Title == "" {
		m.Title = m.Level.String() // notify-send, for one, takes no empty title
	}
}

func (m *Message) rendered(f func(*Message) (title, body string)) (title, body string, err error) {
	defer stage.Rescue(&err)
	title, body = f(m)
	return title, body, nil
}

const (
	maxTitle = 200  // bytes of the default title, without how many more there are
	maxLine  = 1000 // bytes of a line of the default body
)

func (m *Message) defaultTitle() string {
	title := cut(oneLine(m.Level.String()+" "+head(m.record().Message)), maxTitle)
	if m.Count > 1 {
		title += fmt.Sprintf(" (+%d more)", m.Count-1)
	}
	return title
}

func (m *Message) defaultBody() string {
	if m.Count == 1 && len(m.Records) == 1 {
		r := m.Records[0]
		var b strings.Builder
		if !r.Time.IsZero() {
			b.WriteString(r.Time.Format(time.TimeOnly))
		}
		if text := attrsText(r); text != "" {
			b.WriteString(" " + text)
		}
		// What the title cannot show.
		if text := oneLine(head(r.Message)); len(text) > maxTitle-len(r.Level.String())-1 {
			b.WriteString("\n" + text)
		}
		return cut(strings.TrimSpace(b.String()), 2*maxLine)
	}
	var b strings.Builder
	for _, r := range m.Records {
		if !r.Time.IsZero() {
			b.WriteString(r.Time.Format(time.TimeOnly) + " ")
		}
		line := r.Level.String() + " " + oneLine(head(r.Message))
		if text := attrsText(r); text != "" {
			line += " " + text
		}
		b.WriteString(cut(line, maxLine) + "\n")
	}
	if m.Dropped > 0 {
		fmt.Fprintf(&b, "and %d more", m.Dropped)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// attrsText returns the attributes as slog.TextHandler prints them, which quotes
// what could be taken for another line or another attribute.
func attrsText(r slog.Record) string {
	const empty = `level=INFO msg=""`
	r.Time, r.Level, r.Message, r.PC = time.Time{}, slog.LevelInfo, "", 0
	var line bytes.Buffer
	// A bytes.Buffer takes everything, so that there is no error.
	_ = slog.NewTextHandler(&line, nil).Handle(context.Background(), r)
	return strings.TrimSpace(strings.TrimPrefix(line.String(), empty))
}

// clean returns s without what programs and terminals take for more than text:
// invalid UTF-8, on which notify-send dies, and control characters, of which NUL
// is none that a process can be given, become U+FFFD. Line feeds and tabs stay.
func clean(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, string(utf8.RuneError)), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return utf8.RuneError
		}
		return r
	}, s)
}

// oneLine is clean for what has to be a single line: white space becomes one
// space.
func oneLine(s string) string { return strings.Join(strings.Fields(clean(s)), " ") }

// head returns more of s than is going to be shown of it, but not all of a giant
// text, of which oneLine would make many times its size.
func head(s string) string {
	const enough = 8 * maxLine
	s = strings.TrimSpace(s)
	if len(s) > enough {
		s = s[:enough] + ellipsis
	}
	return s
}

// ellipsis ends what was cut.
const ellipsis = "…"

// cut returns as much of s, which is valid UTF-8, as fits into limit bytes.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit - len(ellipsis)
	if end < 0 {
		return ""
	}
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}

// cutEscaped returns s escaped, and less of s if that is longer than limit
// bytes: to cut what is escaped could leave half an entity.
func cutEscaped(s string, limit int, escape func(string) string) string {
	for s = cut(s, limit); ; {
		escaped := escape(s)
		if len(escaped) <= limit {
			return escaped
		}
		if s == "" {
			return ""
		}
		s = cut(s, len(s)-max(1, min(len(s), (len(escaped)-limit)/8)))
	}
}
