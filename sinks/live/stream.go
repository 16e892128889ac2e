package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of one look at the ring and of one batch, so that neither a page nor
// the lock has too much to do at once.
const (
	maxLook       = 4096
	maxBatchBytes = 1 << 20
)

// stream is what one client gets.
type stream struct {
	hub    *Hub
	out    *outlet
	filter *filter
	rate   int // records per second; 0: all

	at     uint64  // the number of the last record considered
	told   uint64  // the number in the last id
	exempt uint64  // records up to this one are what was asked for, whatever the rate
	budget float64 // records that the rate allows now
	filled time.Time

	entries []*entry
	buf     []byte
}

func (h *Hub) serveEvents(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	f, err := parseFilter(params)
	rate, rateErr := parseNumber(params, "rate", 0)
	backlog, backlogErr := parseNumber(params, "backlog", 1000)
	if err := errors.Join(err, rateErr, backlogErr); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	if limit := h.opts.MaxRate; limit > 0 && (rate == 0 || rate > limit) {
		rate = limit
	}
	s := &stream{hub: h, out: h.newOutlet(w), filter: f, rate: rate, budget: float64(rate), filled: time.Now()}

	kept, first, head := h.ring.snapshot()
	s.at, s.exempt = head, head
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		last = params.Get("after")
	}
	position, restarted := h.resume(last)
	switch {
	case restarted:
		s.at = first - 1
	case last != "":
		s.at = min(position, head)
	default:
		s.at = s.backlog(kept, backlog)
	}

	if !h.streams.add(s.out, h.opts.MaxClients) {
		h.counts.turnedAway.Add(1)
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, errors.New("live: too many streams, or shutting down"))
		return
	}
	defer h.streams.remove(s.out)

	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep the stream to itself
	if r.Method == http.MethodHead {
		return
	}
	if err := s.out.control.Flush(); errors.Is(err, http.ErrNotSupported) {
		refuse(w, http.StatusInternalServerError, errors.New("live: the http.ResponseWriter cannot flush: a middleware hides it and has no Unwrap method"))
		return
	}
	s.told = s.at
	s.hello(kept, first, head)
	if restarted {
		s.gap(1, s.at, "restart")
	}
	if err = s.out.flush(s.buf); err == nil {
		err = s.run(r.Context())
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		h.counts.cut.Add(1)
	}
}

// resume reads the id that a client got last. An id that says nothing is taken
// for one of another run: then the client gets what is kept.
func (h *Hub) resume(id string) (position uint64, restarted bool) {
	if id == "" {
		return 0, false
	}
	boot, number, ok := strings.Cut(id, "-")
	position, err := strconv.ParseUint(number, 10, 64)
	return position, !ok || err != nil || boot != h.boot
}

// backlog returns the position from which on as many records follow as are
// asked for.
func (s *stream) backlog(kept []*entry, n int) uint64 {
	if len(kept) == 0 {
		return s.at
	}
	if n >= len(kept) {
		return kept[0].seq - 1
	}
	for _, e := range slices.Backward(kept) {
		if n == 0 {
			return e.seq
		}
		if s.filter.takes(e) {
			n--
		}
	}
	return kept[0].seq - 1
}

// run sends what there is until the client is gone or the hub shuts down.
func (s *stream) run(ctx context.Context) error {
	// Streams that tick together would all want the processor at once.
	interval := s.hub.opts.Interval
	tick := time.NewTimer(rand.N(interval))
	defer tick.Stop()
	sent := time.Now()
	for closing := false; ; {
		s.buf = s.buf[:0]
		behind := s.look()
		if len(s.buf) == 0 && time.Since(sent) >= s.hub.opts.Heartbeat {
			s.heartbeat()
		}
		if len(s.buf) > 0 {
			if err := s.out.flush(s.buf); err != nil {
				return err
			}
			sent = time.Now()
		}
		if closing && !behind {
			return nil
		}
		tick.Reset(interval)
		select {
		case <-tick.C:
		case <-s.hub.done:
			closing = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look turns what followed since the last one into frames, as far as it fits
// into a batch, and reports whether there is more.
func (s *stream) look() (behind bool) {
	entries, first := s.hub.ring.after(s.entries[:0], s.at, maxLook)
	s.entries = entries
	defer func() { clear(s.entries) }() // so that the ring alone decides what is kept
	if s.at+1 < first {
		s.hub.counts.lagged.Add(first - 1 - s.at)
		s.gap(s.at+1, first-1, "lag")
		s.at = first - 1
	}
	if len(entries) == 0 {
		return false
	}
	behind = len(entries) == maxLook
	var wanted []*entry
	size := 0
	for i, e := range entries {
		if size > maxBatchBytes {
			entries = entries[:i]
			behind = true
			break
		}
		if s.filter.takes(e) {
			wanted = append(wanted, e)
			size += len(e.line)
		}
	}
	s.at = entries[len(entries)-1].seq
	s.batch(s.limit(wanted), s.at)
	return behind
}

// limit leaves out the oldest of the new records that are more than the rate
// allows, and puts a gap in their place.
func (s *stream) limit(wanted []*entry) []*entry {
	if s.rate == 0 {
		return wanted
	}
	now := time.Now()
	s.budget = min(s.budget+now.Sub(s.filled).Seconds()*float64(s.rate), float64(s.rate))
	s.filled = now
	asked := entriesBefore(wanted, s.exempt+1)
	passed := int(min(float64(len(wanted)-asked), s.budget)) // in this order: a budget may be more than any int
	over := len(wanted) - asked - passed
	s.budget -= float64(passed)
	if over <= 0 {
		return wanted
	}
	// The records asked for come first and go out before the gap.
	if asked > 0 {
		s.batch(wanted[:asked], wanted[asked-1].seq)
	}
	left := wanted[asked : asked+over]
	s.hub.counts.limited.Add(uint64(over))
	s.frame(left[over-1].seq, "gap")
	s.buf = fmt.Appendf(s.buf, `{"from":%d,"to":%d,"dropped":%d,"why":"rate"}`+"\n\n", left[0].seq, left[over-1].seq, over)
	return wanted[asked+over:]
}

// frame begins a frame, the id of which is that of the last record considered.
func (s *stream) frame(seq uint64, event string) {
	s.told = seq
	s.buf = fmt.Appendf(s.buf, "id: %s-%d\nevent: %s\ndata: ", s.hub.boot, seq, event)
}

func (s *stream) batch(entries []*entry, considered uint64) {
	if len(entries) == 0 {
		return
	}
	s.frame(considered, "b")
	s.buf = append(s.buf, '[')
	for i, e := range entries {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.buf = appendNumbered(s.buf, e)
	}
	s.buf = append(s.buf, "]\n\n"...)
}

// gap tells of records that are not to be had any more. Whether the filter would
// have taken them nobody can say; after a restart, not even how many there were.
func (s *stream) gap(from, to uint64, why string) {
	s.frame(to, "gap")
	dropped := "null"
	if why != "restart" {
		dropped = strconv.FormatUint(to-from+1, 10)
	}
	s.buf = fmt.Appendf(s.buf, `{"from":%d,"to":%d,"dropped":%s,"why":%q}`+"\n\n", from, to, dropped, why)
}

// heartbeat shows that the stream is alive. It also tells the browser, which
// resumes there, how far the filter has gone without finding anything: by a
// batch without records, as scripts do not see the id of a comment.
func (s *stream) heartbeat() {
	s.buf = append(s.buf, ": heartbeat\n\n"...)
	if s.at != s.told {
		s.frame(s.at, "b")
		s.buf = append(s.buf, "[]\n\n"...)
	}
}

// hello is the first frame: what there is to choose from among what is kept.
func (s *stream) hello(kept []*entry, first, head uint64) {
	loggers, hosts := map[string]bool{}, map[string]bool{}
	levels := map[string]int{}
	for _, e := range kept {
		if e.logger != "" {
			loggers[e.logger] = true
		}
		if e.from.Host != "" {
			hosts[e.from.Host] = true
		}
		levels[chips[chipOf(e.level)].name]++
	}
	data, _ := json.Marshal(struct { // nothing in it can fail
		Version int            `json:"version"`
		Boot    string         `json:"boot"`
		First   uint64         `json:"first"`
		Head    uint64         `json:"head"`
		Loggers []string       `json:"loggers"`
		Levels  map[string]int `json:"levels"`
		Hosts   []string       `json:"hosts"`

		Heartbeat int64 `json:"heartbeat_ms"`
	}{1, s.hub.boot, first, head, sorted(loggers), levels, sorted(hosts), s.hub.opts.Heartbeat.Milliseconds()})
	s.buf = fmt.Appendf(s.buf, "event: hello\ndata: %s\n\n", data)
}

// maxNames bounds what hello lists of one thing.
const maxNames = 1000

func sorted(set map[string]bool) []string {
	names := slices.Sorted(maps.Keys(set))
	if len(names) > maxNames {
		names = names[:maxNames]
	}
	return append([]string{}, names...)
}
