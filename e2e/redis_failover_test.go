package e2e_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/sinks/redis"
)

// redisName is an address that leads to one server or another, as a name does.
type redisName struct {
	net.Listener
	mu sync.Mutex
	to string
}

func newRedisName(t *testing.T, to *redisServer) *redisName {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	setRedis(t, err)
	n := &redisName{Listener: l, to: to.port}
	var running sync.WaitGroup
	var conns sync.Map
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Store(conn, nil)
			running.Go(func() {
				defer conn.Close()
				n.mu.Lock()
				to := n.to
				n.mu.Unlock()
				server, err := net.Dial("tcp", "127.0.0.1:"+to)
				if err != nil {
					return
				}
				conns.Store(server, nil)
				running.Go(func() {
					_, _ = io.Copy(server, conn)
					_ = server.Close()
				})
				_, _ = io.Copy(conn, server)
				_ = server.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Range(func(conn, _ any) bool { _ = conn.(net.Conn).Close(); return true })
		running.Wait()
	})
	return n
}

func (n *redisName) leadsTo(s *redisServer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.to = s.port
}

// A replica takes over, in order or because the primary is gone, and whoever
// uses the name goes on there. What the replica had not got would be lost.
func TestRedis_failover(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(t *testing.T, first, second *redisServer){
		"in order": func(t *testing.T, first, second *redisServer) {
			setRedis(t, first.admin("").Do(t.Context(), "failover").Err())
		},
		"after a kill": func(t *testing.T, first, second *redisServer) {
			was, is := first.admin(""), second.admin("")
			setRedis(t, was.Do(t.Context(), "client", "pause", "60000", "write").Err())
			real.WaitFor(t, "the replica has all", func() bool {
				return redisInfo(was, "master_repl_offset") == redisInfo(is, "master_repl_offset")
			})
			first.kill()
			setRedis(t, is.ReplicaOf(t.Context(), "NO", "ONE").Err())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := startRedis(t, "--repl-diskless-sync-delay", "0"), startRedis(t)
			is := second.admin("")
			setRedis(t, is.ReplicaOf(t.Context(), "127.0.0.1", first.port).Err())
			real.WaitFor(t, "it is a replica", func() bool { return redisInfo(is, "master_link_status") == "up" })
			address := newRedisName(t, first)
			p := startRedisPipeline(t, "redis://"+address.Addr().String())
			p.flows()
			fail(t, first, second)
			real.WaitFor(t, "it is the primary", func() bool { return redisInfo(is, "role") == "master" })
			address.leadsTo(second)
			p.flows()
			p.end()
			for name, r := range map[string]*redisReading{"Tail": &p.tail, "Consume": &p.consume} {
				if gaps := r.end(t); gaps != "" {
					t.Errorf("%s tells that something was %s", name, gaps)
				}
			}
			p.check()
			if added := is.XLen(t.Context(), "log").Val(); added < int64(p.n) {
				t.Errorf("the new primary has %d of %d", added, p.n)
			}
		})
	}
}

// redisInfo returns a field of INFO.
func redisInfo(client *goredis.Client, field string) string {
	_, rest, _ := strings.Cut(client.Info(context.Background()).Val(), "\n"+field+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// A server of a cluster says where a key is. A client of the cluster goes there,
// any other says what is needed.
func TestRedis_cluster(t *testing.T) {
	t.Parallel()
	node := func() *redisServer {
		bus := newRedis(t).port
		return startRedis(t, "--cluster-enabled", "yes", "--cluster-port", bus)
	}
	a, b := node(), node()
	ca, cb := a.admin(""), b.admin("")
	setRedis(t, ca.ClusterAddSlotsRange(t.Context(), 0, 8191).Err())
	setRedis(t, cb.ClusterAddSlotsRange(t.Context(), 8192, 16383).Err())
	setRedis(t, ca.Do(t.Context(), "cluster", "meet", "127.0.0.1", b.port, b.args[3]).Err())
	for _, client := range []*goredis.Client{ca, cb} {
		real.WaitFor(t, "the cluster is whole", func() bool {
			return strings.Contains(client.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
		})
	}
	isA := func(key string) bool { return ca.ClusterKeySlot(t.Context(), key).Val() <= 8191 }
	other := a // has not the stream
	if isA("log") {
		other = b
	}

	h := redis.New(other.url(), &redis.Options{Stream: "log"})
	err := h.Handle(t.Context(), slog.NewRecord(time.Now(), slog.LevelInfo, "lost", 0))
	if err == nil || !strings.Contains(err.Error(), "NewClusterClient") {
		t.Errorf("without a client of the cluster, Handle says %v", err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}

	client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{"127.0.0.1:" + other.port}, MaxRetries: -1, ContextTimeoutEnabled: true})
	defer client.Close()
	list := "list"
	for isA("log") == isA(list) {
		list += "+"
	}
	h = redis.New("", &redis.Options{Client: client, Stream: "log", List: list, Channel: "log"})
	var tail, consume redisReading
	tail.Client, consume.Client = client, client
	tail.start("", func(ctx context.Context) error { return tail.Tail(ctx, redis.Source{Stream: "log", From: "0"}) })
	consume.start("", func(ctx context.Context) error { return consume.Consume(ctx, redis.Group{Stream: "log", Name: "g"}) })
	var items slogworks.Batch
	const n = 100
	for i := range n {
		items.Items = append(items.Items, slogworks.Item{Context: t.Context(), Record: slog.NewRecord(time.Now(), slog.LevelInfo, redisMessage(i), 0)})
	}
	setRedis(t, h.HandleBatch(t.Context(), items))
	real.WaitFor(t, "all records", func() bool { return tail.got.len() == n && consume.Stats().Acknowledged == n })
	if got := client.LLen(t.Context(), list).Val(); got != n {
		t.Errorf("the list has %d", got)
	}
	for name, r := range map[string]*redisReading{"Tail": &tail, "Consume": &consume} {
		gaps := r.end(t)
		if m := r.got.missing(n); m != "" || gaps != "" || r.said.String() != "" {
			t.Errorf("%s lacks %q, tells that something was %s, and says %s", name, m, gaps, &r.said)
		}
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}
