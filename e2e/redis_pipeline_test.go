package e2e_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/redis"
)

// redisPipeline writes a stream and reads it in both ways, all the time.
type redisPipeline struct {
	t        *testing.T
	queue    *queue.Handler
	sent     *redisErrors
	n        int // records logged
	tail     redisReading
	consume  redisReading
	sending  sync.WaitGroup
	stopSend chan struct{}
}

// redisReading is a Reader at work.
type redisReading struct {
	redis.Reader
	got   redisRecords
	stop  func()
	ended chan error

	said redisSaid

	mu   sync.Mutex
	gaps []redis.Gap
}

func (r *redisReading) start(url string, read func(ctx context.Context) error) {
	r.URL, r.Handler, r.MaxBatch, r.Timeout = url, &r.got, 50, time.Second
	r.Backoff = slogworks.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond}
	r.OnError = r.said.add
	r.OnGap = func(g redis.Gap) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.gaps = append(r.gaps, g)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.ended = cancel, make(chan error, 1)
	go func() { r.ended <- read(ctx) }()
}

// end stops the reading, and returns the reasons of what it has missed.
func (r *redisReading) end(t *testing.T) (gaps string) {
	t.Helper()
	r.stop()
	if err := <-r.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	for _, g := range r.gaps {
		gaps += g.Reason
	}
	return gaps
}

// startRedisPipeline begins to log a record a millisecond.
func startRedisPipeline(t *testing.T, url string) *redisPipeline {
	p := &redisPipeline{t: t, stopSend: make(chan struct{})}
	p.sent = &redisErrors{BatchHandler: redis.New(url, &redis.Options{
		Stream: "log", MaxLen: -1, Timeout: time.Second,
		Backoff: slogworks.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond},
	})}
	p.queue = queue.New(p.sent, &queue.Options{
		Capacity: 50_000, Retry: slogworks.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond},
	})
	p.tail.start(url, func(ctx context.Context) error {
		return p.tail.Tail(ctx, redis.Source{Stream: "log", From: "0"})
	})
	p.consume.start(url, func(ctx context.Context) error {
		return p.consume.Consume(ctx, redis.Group{Stream: "log", Name: "g", Consumer: "one"})
	})
	logger := slog.New(p.queue)
	p.sending.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-p.stopSend:
				return
			case <-tick.C:
				logger.Info(redisMessage(p.n))
				p.n++
			}
		}
	})
	return p
}

// flows waits until more records have come through.
func (p *redisPipeline) flows() {
	p.t.Helper()
	tailed, consumed := p.tail.Stats().Written, p.consume.Stats().Acknowledged
	real.WaitFor(p.t, "records flow", func() bool {
		return p.tail.Stats().Written > tailed+100 && p.consume.Stats().Acknowledged > consumed+100
	})
}

// end waits until all is there.
func (p *redisPipeline) end() {
	p.t.Helper()
	close(p.stopSend)
	p.sending.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := slogworks.Shutdown(ctx, p.queue); err != nil {
		p.t.Error(err)
	}
	if st := p.queue.Stats(); st.Handled != uint64(p.n) || st.Failed != 0 {
		p.t.Errorf("%d logged; %+v", p.n, st)
	}
	last := redisMessage(p.n - 1)
	real.WaitFor(p.t, "the last record", func() bool {
		return p.tail.got.has(last) && p.consume.got.has(last)
	})
}

func (h *redisRecords) has(message string) bool {
	return slices.Contains(h.messages(), message)
}

// missing returns the first of n records that is not there, or "".
func (h *redisRecords) missing(n int) string {
	have := map[string]bool{}
	for _, m := range h.messages() {
		have[m] = true
	}
	for i := range n {
		if !have[redisMessage(i)] {
			return redisMessage(i)
		}
	}
	return ""
}

// twice returns how many records are there more than once.
func (h *redisRecords) twice() (n int) {
	times := map[string]int{}
	for _, m := range h.messages() {
		if times[m]++; times[m] == 2 && strings.HasPrefix(m, "record ") {
			n++
		}
	}
	return n
}

// check expects each record at each end: once where readers know what is sent
// again, at least once where what got no answer is handled again.
func (p *redisPipeline) check() {
	p.t.Helper()
	if m := p.tail.got.missing(p.n); m != "" {
		p.t.Errorf("Tail lacks %s of %d", m, p.n)
	}
	if n := p.tail.got.twice(); n > 0 {
		p.t.Errorf("Tail has %d twice", n)
	}
	if m := p.consume.got.missing(p.n); m != "" {
		p.t.Errorf("Consume lacks %s of %d", m, p.n)
	}
}
