package e2e_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/sinks/redis"
)

// Whatever somebody does to the server, records arrive in the end, and the
// errors say what is to be done.
func TestRedis_faultWhileAllAreAtWork(t *testing.T) {
	t.Parallel()
	type errorsOf struct{ send, tail, consume string }
	all := func(text string) errorsOf { return errorsOf{text, text, text} }
	faults := []struct {
		name  string
		begin func(t *testing.T, s *redisServer, admin *goredis.Client)
		says  errorsOf
		end   func(t *testing.T, s *redisServer, admin *goredis.Client)
		gaps  string // that Consume tells of
	}{
		{
			name: "connections killed",
			begin: func(t *testing.T, _ *redisServer, admin *goredis.Client) {
				pace := time.NewTicker(20 * time.Millisecond)
				defer pace.Stop()
				for range 50 {
					killClients(t, admin)
					<-pace.C
				}
			},
		}, {
			name: "a password set",
			begin: func(t *testing.T, s *redisServer, admin *goredis.Client) {
				setRedis(t, admin.ConfigSet(t.Context(), "requirepass", "new").Err())
				killClients(t, admin)
			},
			says: all("the server wants a password: put it into the URL"),
			end: func(t *testing.T, s *redisServer, admin *goredis.Client) {
				setRedis(t, admin.ConfigSet(t.Context(), "requirepass", "").Err())
			},
		}, {
			name: "no memory",
			begin: func(t *testing.T, _ *redisServer, admin *goredis.Client) {
				setRedis(t, admin.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
				setRedis(t, admin.ConfigSet(t.Context(), "maxmemory", "1").Err())
			},
			says: all("raise it"),
			end: func(t *testing.T, _ *redisServer, admin *goredis.Client) {
				setRedis(t, admin.ConfigSet(t.Context(), "maxmemory", "0").Err())
			},
		}, {
			name: "another type",
			begin: func(t *testing.T, _ *redisServer, admin *goredis.Client) {
				_, err := admin.TxPipelined(t.Context(), func(p goredis.Pipeliner) error {
					p.Rename(t.Context(), "log", "aside")
					p.Set(t.Context(), "log", "text", 0)
					return nil
				})
				setRedis(t, err)
			},
			says: all(`"log" holds something else: use another name, or delete it`),
			end: func(t *testing.T, _ *redisServer, admin *goredis.Client) {
				setRedis(t, admin.Rename(t.Context(), "aside", "log").Err())
			},
		}, {
			name: "the group destroyed",
			begin: func(t *testing.T, _ *redisServer, admin *goredis.Client) {
				setRedis(t, admin.XGroupDestroy(t.Context(), "log", "g").Err())
			},
			says: errorsOf{consume: "it is created again"},
			gaps: "recreated",
		}, {
			name: "the group set back",
			begin: func(t *testing.T, _ *redisServer, admin *goredis.Client) {
				setRedis(t, admin.XGroupSetID(t.Context(), "log", "g", "0").Err())
			},
		}, {
			name: "too many clients",
			begin: func(t *testing.T, _ *redisServer, admin *goredis.Client) {
				setRedis(t, admin.ConfigSet(t.Context(), "maxclients", "1").Err())
				killClients(t, admin)
			},
			says: all("raise the maxclients"),
			end: func(t *testing.T, _ *redisServer, admin *goredis.Client) {
				setRedis(t, admin.ConfigSet(t.Context(), "maxclients", "100").Err())
			},
		}, {
			name: "loading",
			begin: func(t *testing.T, s *redisServer, admin *goredis.Client) {
				fill := admin.Pipeline()
				for range 20_000 {
					fill.RPush(t.Context(), "list", "text")
				}
				_, err := fill.Exec(t.Context())
				setRedis(t, err)
				s.kill()
				s.args = append(s.args, "--key-load-delay", "100", "--loading-process-events-interval-bytes", "1024")
				s.start()
			},
			says: all("LOADING"),
		}, {
			name: "no permission",
			begin: func(t *testing.T, _ *redisServer, admin *goredis.Client) {
				setRedis(t, admin.ACLSetUser(t.Context(), "default", "-xadd", "-xinfo").Err())
			},
			says: all("see ACL SETUSER"),
			end: func(t *testing.T, _ *redisServer, admin *goredis.Client) {
				setRedis(t, admin.ACLSetUser(t.Context(), "default", "+xadd", "+xinfo").Err())
			},
		},
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := startRedis(t)
			admin := s.admin("")
			p := startRedisPipeline(t, s.url())
			p.flows()
			f.begin(t, s, admin)
			for _, side := range []struct {
				name string
				said *redisSaid
				says string
			}{
				{"the sender", &p.sent.redisSaid, f.says.send},
				{"Tail", &p.tail.said, f.says.tail},
				{"Consume", &p.consume.said, f.says.consume},
			} {
				real.WaitFor(t, side.name+" says: "+side.says, func() bool {
					return strings.Contains(side.said.String(), side.says)
				})
			}
			if f.end != nil {
				f.end(t, s, admin)
			}
			p.flows()
			p.end()
			if gaps := p.tail.end(t); gaps != "" {
				t.Errorf("Tail tells that something was %s", gaps)
			}
			if gaps := p.consume.end(t); gaps != f.gaps {
				t.Errorf("Consume tells that something was %s, want %q", gaps, f.gaps)
			}
			p.check()
		})
	}
}

// killClients ends all connections but that of admin.
func killClients(t *testing.T, admin *goredis.Client) {
	t.Helper()
	setRedis(t, admin.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err())
}

// A reader that may not begin yet begins where it was told to, and does not take
// what it may not see for what is not there.
func TestRedis_tailBeginsLater(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	admin := s.admin("")
	add := func(message string) {
		t.Helper()
		setRedis(t, admin.XAdd(t.Context(), redisEntry("log", "record", `{"level":"info","msg":"`+message+`"}`)).Err())
	}
	add("old")
	setRedis(t, admin.ConfigSet(t.Context(), "requirepass", "new").Err())
	var r redisReading
	r.start(s.url(), func(ctx context.Context) error { return r.Tail(ctx, redis.Source{Stream: "log"}) })
	real.WaitFor(t, "it is refused", func() bool { return strings.Count(r.said.String(), "put it into the URL") > 1 })
	setRedis(t, admin.ConfigSet(t.Context(), "requirepass", "").Err())
	real.WaitFor(t, "connected", func() bool { return r.Stats().Connected })
	add("new")
	real.WaitFor(t, "the new record", func() bool { return r.got.has("new") })
	if gaps := r.end(t); gaps != "" {
		t.Errorf("it tells that something was %s", gaps)
	}
	if got := r.got.messages(); len(got) != 1 {
		t.Errorf("it handed on %q", got)
	}
}

// A command that fails within a transaction does not undo the others: what they
// did is not done again.
func TestRedis_oneKeyOfTwoIsOfAnotherType(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	admin := s.admin("")
	setRedis(t, admin.Set(t.Context(), "list", "text", 0).Err())
	h := redis.New(s.url(), &redis.Options{Stream: "log", List: "list"})
	const n = 10
	b := slogworks.Batch{ID: "1", Attempt: 1}
	for i := range n {
		b.Items = append(b.Items, slogworks.Item{Context: t.Context(), Record: slog.NewRecord(time.Now(), slog.LevelInfo, redisMessage(i), 0)})
	}
	err := h.HandleBatch(t.Context(), b)
	if d, ok := err.(*slogworks.DeliveryError); !ok || d.Accepted != 0 || d.Permanent || !strings.Contains(d.Error(), `"list" holds something else`) {
		t.Errorf("it says %v", err)
	}
	setRedis(t, admin.Del(t.Context(), "list").Err())
	b.Attempt = 2
	setRedis(t, h.HandleBatch(t.Context(), b))
	if added, listed := admin.XLen(t.Context(), "log").Val(), admin.LLen(t.Context(), "list").Val(); added != n || listed != n {
		t.Errorf("%d in the stream and %d in the list, want %d", added, listed, n)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	checkStream(t, s.url(), n)
}
