package mail

import (
	_ "embed"
	"encoding"
	"fmt"
	htmltemplate "html/template"
	"log/slog"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// What is shown of a batch is bounded, because mail programs cut a mail at about
// 100 KB and some refuse it; all of it is attached.
const (
	maxGroups  = 100
	maxMessage = 2000 // characters
	maxAttrs   = 30
	maxValue   = 500 // characters
	maxKey     = 100 // characters; of other names too

	maxHeadline = 120  // characters
	maxMembers  = 1000 // records of a group that are compared
	maxValues   = 3    // of an attribute that differs in a group
)

var (
	//go:embed digest.txt
	textSource string
	//go:embed digest.html
	htmlSource string

	funcs = map[string]any{
		"attrs":    groupAttrs,
		"color":    color,
		"dropped":  dropped,
		"first":    func(v slogworks.View) string { first, _ := message(v); return first },
		"headline": (*Digest).headline,
		"indent":   func(by, s string) string { return strings.ReplaceAll(s, "\n", "\n"+by) },
		"name":     name,
		"notes":    func(d *Digest) []string { return d.notes },
		"rest":     func(v slogworks.View) string { _, rest := message(v); return rest },
		"sections": sections,
		"source":   source,
		"span":     span,
		"summary":  summary,
		"title":    (*Digest).title,
	}
	textTemplate = texttemplate.Must(texttemplate.New("text").Funcs(funcs).Parse(textSource))
	htmlTemplate = htmltemplate.Must(htmltemplate.New("html").Funcs(funcs).Parse(htmlSource))
)

func defaultBody(t executer, d *Digest) string {
	var b strings.Builder
	if err := execute(t, &b, d); err != nil {
		// A value with a method that panics is printed by fmt, which catches that.
		// Whatever it is, the mail goes out, with the records attached.
		return d.title() + "\n" + block(err.Error()) + "\n"
	}
	return b.String()
}

// section is a part of the mail.
type section struct {
	Title   string
	Groups  []Group
	Omitted string
}

// sections returns what is shown: of an Escalation its end first and then what
// led up to it.
func sections(d *Digest) []section {
	if d.Batch.Kind != slogworks.Escalation || len(d.Groups) < 2 {
		shown, omitted := d.Groups, ""
		if more := len(shown) - maxGroups; more > 0 {
			shown, omitted = shown[:maxGroups], fmt.Sprintf("And %s more.", count(more, "kind"))
		}
		return []section{{Groups: shown, Omitted: omitted}}
	}
	last := len(d.Groups) - 1
	before, title := d.Groups[:last], "What led up to it"
	if more := len(before) - maxGroups; more > 0 {
		before, title = before[more:], fmt.Sprintf("What led up to it, without the first %d", more)
	}
	return []section{{Groups: d.Groups[last:]}, {Title: title, Groups: before}}
}

func summary(d *Digest) string {
	parts := []string{count(len(d.Records), "record")}
	if len(d.Groups) != len(d.Records) {
		parts[0] += " of " + count(len(d.Groups), "kind")
	}
	if d.Host != "" {
		parts = append(parts, "on "+line(d.Host))
	}
	var first, last time.Time
	for _, v := range d.Records {
		if t := v.Time(); !t.IsZero() {
			if first.IsZero() || t.Before(first) {
				first = t
			}
			if t.After(last) {
				last = t
			}
		}
	}
	if s := span(first, last); s != "" {
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

func dropped(d *Digest) string {
	switch d.Batch.Dropped {
	case 0:
		return ""
	case 1:
		return "1 record was lost before it could be sent."
	}
	return fmt.Sprintf("%d records were lost before they could be sent.", d.Batch.Dropped)
}

// span returns from when to when, and what both share once.
func span(first, last time.Time) string {
	if first.IsZero() {
		first = last
	}
	if first.IsZero() {
		return ""
	}
	const zoned = "2006-01-02 15:04:05 MST"
	from, to := first.Format(zoned), last.Format(zoned)
	switch {
	case last.IsZero() || from == to:
		return from
	case first.Format("2006-01-02 MST") == last.Format("2006-01-02 MST"):
		return first.Format(time.DateTime) + " – " + last.Format("15:04:05 MST")
	}
	return from + " – " + to
}

func color(level slog.Level) htmltemplate.CSS {
	switch {
	case level >= slog.LevelError:
		return "#c4320a"
	case level >= slog.LevelWarn:
		return "#93630a"
	case level >= slog.LevelInfo:
		return "#175cd3"
	}
	return "#667085"
}

func source(v slogworks.View) string {
	s := v.Source()
	if s == nil {
		return ""
	}
	// The directory is in the attachment; here it takes the width of a phone.
	place := name(path.Base(strings.ReplaceAll(s.File, `\`, "/"))) + ":" + strconv.Itoa(s.Line)
	if s.Function != "" {
		place += " " + name(path.Base(s.Function))
	}
	return place
}

func name(s string) string { return line(cut(s, maxKey)) }

// message returns the first line of the message and the others, of which stack
// traces have many.
func message(v slogworks.View) (first, rest string) {
	first, rest, _ = strings.Cut(strings.TrimSpace(block(cut(v.Message(), maxMessage))), "\n")
	if first == "" {
		first = noMessage
	}
	return first, strings.Trim(rest, "\n")
}

// attr is an attribute as it is shown.
type attr struct{ Key, Value string }

// attrs returns the attributes with the names of their groups before their own,
// but for the logger's name and the source, which are shown elsewhere.
func attrs(v slogworks.View) []attr {
	var list []attr
	more := 0
	var add func(prefix string, a slog.Attr)
	add = func(prefix string, a slog.Attr) {
		value := a.Value.Resolve()
		if prefix == "" && isElsewhere(a.Key, value) {
			return
		}
		if value.Kind() == slog.KindGroup {
			if a.Key != "" {
				prefix += a.Key + "."
			}
			for _, member := range value.Group() {
				add(prefix, member)
			}
			return
		}
		if len(list) == maxAttrs {
			more++
			return
		}
		list = append(list, attr{name(prefix + a.Key), block(cut(text(value), maxValue))})
	}
	for a := range v.Attrs() {
		add("", a)
	}
	if more > 0 {
		list = append(list, attr{"…", fmt.Sprintf("%d more", more)})
	}
	return list
}

// groupAttrs returns the attributes of the last record of g, and of one whose
// value is another in other records up to maxValues, in the order logged.
func groupAttrs(g Group) []attr {
	list := attrs(g.Record)
	if g.Count < 2 {
		return list
	}
	values := map[string][]string{}
	for _, v := range slices.Concat(g.members, []*slogworks.View{&g.Record}) {
		for _, a := range attrs(*v) {
			if seen := values[a.Key]; len(seen) <= maxValues && !slices.Contains(seen, a.Value) {
				values[a.Key] = append(seen, a.Value)
			}
		}
	}
	for i, a := range list {
		// Of stacks and the like, which have lines, one is enough.
		if seen := values[a.Key]; len(seen) > 1 && !strings.Contains(a.Value, "\n") {
			list[i].Value = enumerated(seen)
		}
	}
	return list
}

// enumerated returns the first values, which together take the room of one.
func enumerated(values []string) string {
	var b strings.Builder
	for i, value := range values {
		switch {
		case i == maxValues:
			return b.String() + ", …"
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(line(cut(value, maxValue/maxValues)))
	}
	return b.String()
}

func isElsewhere(key string, value slog.Value) bool {
	switch key {
	case slogworks.LoggerKey:
		return value.Kind() == slog.KindString
	case slog.SourceKey:
		_, ok := value.Any().(*slog.Source)
		return ok
	}
	return false
}

// text returns what slog.TextHandler prints, before it adds quotes.
func text(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().Format(time.RFC3339Nano)
	case slog.KindAny:
		s, err := anyText(v.Any())
		if err != nil {
			return "!ERROR: " + err.Error()
		}
		return s
	}
	return v.String()
}

func anyText(x any) (s string, err error) {
	defer stage.Rescue(&err)
	if m, ok := x.(encoding.TextMarshaler); ok {
		b, err := m.MarshalText()
		return string(b), err
	}
	if v := reflect.ValueOf(x); v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
		return string(v.Bytes()), nil
	}
	return fmt.Sprintf("%+v", x), nil
}
