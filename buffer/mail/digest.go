package mail

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// Digest is what a mail is made from: a batch, and what there is to say about
// it. Templates get a pointer to one, and can range over Groups and Records and
// call the methods of their views:
//
//	{{range .Groups}}{{.Count}} × {{.Record.Level}} {{.Record.Message}}
//	{{range .Record.Attrs}}  {{.Key}} = {{.Value}}
//	{{end}}{{end}}
type Digest struct {
	Batch slogworks.Batch

	// Groups are the records that are alike, each kind once, those of the highest
	// level first and of these the most frequent. In an Escalation only
	// neighbours are grouped, in the order logged, so that they tell what
	// happened.
	Groups []Group

	// Records are all records in the order logged.
	Records []slogworks.View

	// Level is the highest level.
	Level slog.Level

	// Host is the name of the machine.
	Host string

	notes []string
}

// Group is records that are alike.
type Group struct {
	Count       int
	First, Last time.Time      // when the first and the last were logged; zero if not known
	Record      slogworks.View // the last
	Level       slog.Level     // the highest

	members []*slogworks.View // the first maxMembers
}

// digest returns what there is to say about b.
func (c *core) digest(b slogworks.Batch) *Digest {
	d := &Digest{Batch: b, Host: c.hostname, Records: make([]slogworks.View, len(b.Items))}
	for i, item := range b.Items {
		d.Records[i] = slogworks.NewView(item.Record)
		if level := d.Records[i].Level(); i == 0 || level > d.Level {
			d.Level = level
		}
	}
	d.group(c.fingerprint)
	return d
}

func (d *Digest) group(custom func(slogworks.View) string) {
	known := map[string]int{} // fingerprint -> index in Groups
	for n, v := range d.Records {
		fingerprint := d.fingerprint(custom, v)
		i, ok := known[fingerprint]
		if ok && d.Batch.Kind == slogworks.Escalation {
			ok = i == len(d.Groups)-1
		}
		if !ok {
			i = len(d.Groups)
			known[fingerprint] = i
			d.Groups = append(d.Groups, Group{Level: v.Level(), First: v.Time()})
		}
		g := &d.Groups[i]
		g.Count++
		g.Level = max(g.Level, v.Level())
		g.Last = v.Time()
		g.Record = v
		if len(g.members) < maxMembers {
			g.members = append(g.members, &d.Records[n])
		}
	}
	if d.Batch.Kind != slogworks.Escalation {
		slices.SortStableFunc(d.Groups, func(a, b Group) int {
			return cmp.Or(cmp.Compare(b.Level, a.Level), cmp.Compare(b.Count, a.Count))
		})
	}
}

func (d *Digest) fingerprint(custom func(slogworks.View) string, v slogworks.View) string {
	if custom != nil {
		f, err := guarded(custom, v)
		if err == nil {
			return f
		}
		d.note("Fingerprint failed: ", err.Error())
	}
	line := ""
	if source := v.Source(); source != nil {
		line = source.File + ":" + strconv.Itoa(source.Line)
	}
	return strings.Join([]string{v.Level().String(), v.Logger(), line, route(v), v.Message()}, "|")
}

// route returns the pattern that a request went by, as the package httplog has
// it, "" if there is none.
func route(v slogworks.View) string {
	if value, ok := v.Attr("route"); ok && value.Kind() == slog.KindString {
		return value.String()
	}
	return ""
}

// guarded calls f, a function that is not ours.
func guarded[T any](f func(T) string, arg T) (s string, err error) {
	defer stage.Rescue(&err)
	return f(arg), nil
}

// note adds a line about how the mail came about, unless there is one that begins
// alike: what fails for one record fails for many.
func (d *Digest) note(begin, rest string) {
	if !slices.ContainsFunc(d.notes, func(note string) bool { return strings.HasPrefix(note, begin) }) {
		d.notes = append(d.notes, begin+line(cut(rest, maxValue)))
	}
}

// Significant returns the record that the mail is about: the last of an
// Escalation, otherwise the first of those with the highest level. Without
// records it returns an empty one.
func (d *Digest) Significant() slogworks.View {
	if len(d.Records) == 0 {
		return slogworks.View{}
	}
	if d.Batch.Kind == slogworks.Escalation {
		return d.Records[len(d.Records)-1]
	}
	i := slices.IndexFunc(d.Records, func(v slogworks.View) bool { return v.Level() == d.Level })
	return d.Records[i]
}

// Subject returns the level and the first line of the message of the
// significant record, its route if it has one, how many records there are if
// more than one, and the host:
//
//	ERROR payment failed (42 records, web1)
//	ERROR http request GET /orders/{id} (4 records, web1)
func (d *Digest) Subject() string {
	var about []string
	if len(d.Records) != 1 {
		about = append(about, count(len(d.Records), "record"))
	}
	if d.Host != "" {
		about = append(about, d.Host)
	}
	subject := d.title()
	if len(about) > 0 {
		subject += " (" + strings.Join(about, ", ") + ")"
	}
	return subject
}

// title is the significant record in a few words, with its level.
func (d *Digest) title() string {
	if len(d.Records) == 0 {
		return d.headline()
	}
	return d.Significant().Level().String() + " " + d.headline()
}

const noMessage = "(no message)"

// headline is the first line of the significant record's message, and its route.
func (d *Digest) headline() string {
	if len(d.Records) == 0 {
		return count(d.Batch.Dropped, "record") + " lost"
	}
	v := d.Significant()
	first, _, _ := strings.Cut(strings.TrimSpace(v.Message()), "\n")
	// What is long is cut before it is looked through.
	if first = line(cut(first, maxHeadline)); first == "" {
		first = noMessage
	}
	if route := line(cut(route(v), maxHeadline)); route != "" {
		first += " " + route
	}
	return cut(first, maxHeadline)
}

// count returns "1 record" or "2 records".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
