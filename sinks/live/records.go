package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slogworks/slogworks/internal/wire"
)

// appendNumbered appends the line with the record's number in it.
func appendNumbered(dst []byte, e *entry) []byte {
	dst = append(dst, `{"s":`...)
	dst = strconv.AppendUint(dst, e.seq, 10)
	dst = append(dst, ',')
	return append(dst, e.line[1:]...)
}

// serveRecords answers with kept records: the oldest after a number, or else the
// newest before one.
func (h *Hub) serveRecords(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	f, err := parseFilter(params)
	limit, limitErr := parseNumber(params, "limit", 200)
	before, beforeErr := h.parsePosition(params, "before")
	after, afterErr := h.parsePosition(params, "after")
	if err := errors.Join(err, limitErr, beforeErr, afterErr); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	limit = min(max(limit, 1), 1000)

	kept, first, head := h.ring.snapshot()
	if before != nil {
		kept = kept[:entriesBefore(kept, *before)]
	}
	if after != nil {
		kept = kept[entriesBefore(kept, *after+1):]
	}
	var found []*entry
	more := false
	if after != nil {
		found, more = take(slices.Values(kept), f, limit)
	} else {
		found, more = take(backward(kept), f, limit)
		slices.Reverse(found)
	}

	body := fmt.Appendf(nil, `{"boot":%q,"first":%d,"head":%d,"records":[`, h.boot, first, head)
	for i, e := range found {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendNumbered(body, e)
	}
	body = fmt.Appendf(body, `],"more":%t}`+"\n", more)
	w.Header().Set("Content-Type", "application/json")
	_ = h.newOutlet(w).writeAll(body)
}

func backward(entries []*entry) func(yield func(*entry) bool) {
	return func(yield func(*entry) bool) {
		for _, e := range slices.Backward(entries) {
			if !yield(e) {
				return
			}
		}
	}
}

// take returns up to limit entries that the filter takes, and whether there are
// more of them.
func take(entries func(yield func(*entry) bool), f *filter, limit int) (found []*entry, more bool) {
	for e := range entries {
		if !f.takes(e) {
			continue
		}
		if len(found) == limit {
			return found, true
		}
		found = append(found, e)
	}
	return found, false
}

// entriesBefore returns how many of the entries have a smaller number.
func entriesBefore(entries []*entry, seq uint64) int {
	n, _ := slices.BinarySearchFunc(entries, seq, func(e *entry, seq uint64) int {
		switch {
		case e.seq < seq:
			return -1
		case e.seq > seq:
			return 1
		}
		return 0
	})
	return n
}

func parseNumber(params url.Values, name string, def int) (int, error) {
	s := params.Get(name)
	if s == "" {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s: %q is no number: want 0 or more", name, s)
	}
	return n, nil
}

// parsePosition reads the number of a record, or an id of this run. It returns
// nil if the parameter is not there.
func (h *Hub) parsePosition(params url.Values, name string) (*uint64, error) {
	s := params.Get(name)
	if s == "" {
		return nil, nil
	}
	number := s
	if boot, rest, ok := strings.Cut(s, "-"); ok {
		if boot != h.boot {
			return nil, fmt.Errorf("%s: %q is of another run: this one is %s", name, s, h.boot)
		}
		number = rest
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil {
		return nil, fmt.Errorf("%s: %q is no record: want a number, or an id such as %s-1", name, s, h.boot)
	}
	return &n, nil
}

func (h *Hub) serveDownload(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	f, err := parseFilter(params)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	var kind, extension string
	var appendLine func([]byte, *entry) []byte
	switch format := params.Get("format"); format {
	case "", "jsonl":
		kind, extension = "application/x-ndjson", "jsonl"
		appendLine = func(dst []byte, e *entry) []byte { return append(append(dst, e.line...), '\n') }
	case "text":
		kind, extension = "text/plain; charset=utf-8", "log"
		appendLine = appendText
	default:
		refuse(w, http.StatusBadRequest, fmt.Errorf("format: unknown %q: want jsonl or text", format))
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="slogworks-%s.%s"`, time.Now().UTC().Format("20060102-150405"), extension))

	kept, _, _ := h.ring.snapshot()
	out := h.newOutlet(w)
	var buf []byte
	for _, e := range kept {
		if !f.takes(e) {
			continue
		}
		if buf = appendLine(buf, e); len(buf) < chunk {
			continue
		}
		if out.write(buf) != nil {
			return
		}
		buf = buf[:0]
	}
	_ = out.write(buf)
}

// appendText appends the line that TextHandler writes for the record.
func appendText(dst []byte, e *entry) []byte {
	r, from, err := wire.Decode(e.line)
	if err != nil {
		return dst // not reached: the line is our own
	}
	for _, a := range []slog.Attr{slog.String("host", from.Host), slog.String("process", from.Process)} {
		if a.Value.String() != "" {
			r.AddAttrs(a)
		}
	}
	if from.PID != 0 {
		r.AddAttrs(slog.Int("pid", from.PID))
	}
	line := bytes.NewBuffer(dst)
	_ = slog.NewTextHandler(line, &slog.HandlerOptions{Level: everyLevel}).Handle(context.Background(), r)
	return line.Bytes()
}

func (h *Hub) serveStats(w http.ResponseWriter, _ *http.Request) {
	s := h.Stats()
	sources := []Source{}
	if h.opts.Sources != nil {
		sources = append(sources, h.opts.Sources()...)
	}
	for i := range sources {
		if sources[i].Refused == nil {
			sources[i].Refused = map[string]uint64{}
		}
	}
	answer(w, http.StatusOK, struct {
		Boot    string   `json:"boot"`
		Uptime  int64    `json:"uptime_s"`
		Records uint64   `json:"records"`
		Kept    int      `json:"kept"`
		First   uint64   `json:"first"`
		Head    uint64   `json:"head"`
		Clients int      `json:"clients"`
		Sources []Source `json:"sources"`
	}{h.boot, int64(time.Since(h.began).Seconds()), s.Records, s.Kept, s.First, s.Head, s.Clients, sources})
}
