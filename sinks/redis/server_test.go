package redis_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is as much of a Redis server as the tests need. It speaks RESP2.
type server struct {
	listener net.Listener

	// refuse answers a command, by its words, instead of the server: with a line
	// of its own, "" for the server's answer, or "hang up". It is called with the
	// server's lock.
	refuse func(words []string) string

	mu      sync.Mutex
	entries map[string][]entry
	lists   map[string][]string
	sent    map[string][]string // by channel
	count   map[string]int      // commands, by name
	subs    map[*peer]bool
	conns   map[net.Conn]bool
	running sync.WaitGroup
}

type entry struct {
	id     int
	fields []string
}

type peer struct {
	w      *bufio.Writer
	mu     sync.Mutex
	names  []string
	isOpen bool
}

func newServer() *server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := &server{
		listener: l, entries: map[string][]entry{}, lists: map[string][]string{}, sent: map[string][]string{},
		count: map[string]int{}, subs: map[*peer]bool{}, conns: map[net.Conn]bool{},
	}
	s.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = true
			s.mu.Unlock()
			s.running.Go(func() { s.serve(conn) })
		}
	})
	return s
}

func startServer(t testing.TB) *server {
	s := newServer()
	t.Cleanup(s.close)
	return s
}

func (s *server) url() string { return "redis://" + s.listener.Addr().String() }

func (s *server) close() {
	_ = s.listener.Close()
	s.hangUp()
	s.running.Wait()
}

// hangUp ends all connections.
func (s *server) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
	}
}

// refusing sets refuse.
func (s *server) refusing(f func(words []string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = f
}

// records returns the field "record" of a stream's entries.
func (s *server) records(stream string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var records []string
	for _, e := range s.entries[stream] {
		records = append(records, e.fields[1])
	}
	return records
}

func (s *server) messages(channel string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.sent[channel]...)
}

func (s *server) list(key string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.lists[key]...)
}

func (s *server) counted(command string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[command]
}

func readWords(r *bufio.Reader) ([]string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	words := make([]string, n)
	for i := range words {
		if line, err = r.ReadString('\n'); err != nil {
			return nil, err
		}
		size, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
		text := make([]byte, size+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		words[i] = string(text[:size])
	}
	return words, nil
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	p := &peer{w: bufio.NewWriter(conn), isOpen: true}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subs, p)
		delete(s.conns, conn)
	}()
	var queued [][]string
	inMulti, aborted := false, false
	for {
		words, err := readWords(r)
		if err != nil {
			return
		}
		name := strings.ToLower(words[0])
		s.mu.Lock()
		s.count[name]++
		refusal := ""
		if s.refuse != nil {
			refusal = s.refuse(words)
		}
		answer := ""
		switch {
		case refusal == "hang up":
			s.mu.Unlock()
			return
		case refusal != "":
			answer = refusal + "\r\n"
			aborted = aborted || inMulti
		case name == "multi":
			inMulti, aborted, queued = true, false, nil
			answer = "+OK\r\n"
		case name == "exec" && !inMulti:
			answer = "-ERR EXEC without MULTI\r\n"
		case name == "exec" && aborted:
			inMulti = false
			answer = "-EXECABORT Transaction discarded because of previous errors.\r\n"
		case name == "exec":
			inMulti = false
			answer = fmt.Sprintf("*%d\r\n", len(queued))
			for _, words := range queued {
				answer += s.do(p, words)
			}
		case inMulti:
			queued = append(queued, words)
			answer = "+QUEUED\r\n"
		default:
			answer = s.do(p, words)
		}
		s.mu.Unlock()
		p.write(answer, r.Buffered() == 0)
	}
}

func (p *peer) write(text string, flush bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.w.WriteString(text)
	if flush {
		_ = p.w.Flush()
	}
}

func bulk(words ...string) string {
	var b strings.Builder
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

func array(words ...string) string { return fmt.Sprintf("*%d\r\n%s", len(words), bulk(words...)) }

// do carries out a command. The lock is held.
func (s *server) do(p *peer, words []string) string {
	switch strings.ToLower(words[0]) {
	case "ping":
		if len(p.names) > 0 {
			return array("pong", "")
		}
		return "+PONG\r\n"
	case "auth", "select", "client", "ltrim":
		return "+OK\r\n"
	case "publish":
		s.sent[words[1]] = append(s.sent[words[1]], words[2])
		n := 0
		for sub := range s.subs {
			for _, name := range sub.names {
				if ok, _ := path.Match(name, words[1]); ok {
					n++
					if name == words[1] {
						sub.write(array("message", name, words[2]), true)
					} else {
						sub.write(array("pmessage", name, words[1], words[2]), true)
					}
				}
			}
		}
		return fmt.Sprintf(":%d\r\n", n)
	case "subscribe", "psubscribe":
		answer := ""
		for _, name := range words[1:] {
			p.names = append(p.names, name)
			answer += "*3\r\n" + bulk(strings.ToLower(words[0]), name) + fmt.Sprintf(":%d\r\n", len(p.names))
		}
		s.subs[p] = true
		return answer
	case "rpush":
		s.lists[words[1]] = append(s.lists[words[1]], words[2:]...)
		return fmt.Sprintf(":%d\r\n", len(s.lists[words[1]]))
	case "xadd":
		at := 2
		for words[at] != "*" {
			at++
		}
		id := len(s.entries[words[1]]) + 1
		s.entries[words[1]] = append(s.entries[words[1]], entry{id, words[at+1:]})
		return bulk(fmt.Sprintf("%d-0", id))
	case "xread":
		key, from := words[len(words)-2], words[len(words)-1]
		after, _ := strconv.Atoi(strings.TrimSuffix(from, "-0"))
		list := s.entries[key]
		if after >= len(list) {
			time.Sleep(time.Millisecond) // BLOCK, in a small way
			return "*-1\r\n"
		}
		answer := "*1\r\n*2\r\n" + bulk(key) + fmt.Sprintf("*%d\r\n", len(list)-after)
		for _, e := range list[after:] {
			answer += e.text()
		}
		return answer
	case "xinfo":
		list := s.entries[words[2]]
		if len(list) == 0 {
			return "-ERR no such key\r\n"
		}
		n := len(list)
		return "*10\r\n" + bulk("length") + fmt.Sprintf(":%d\r\n", n) + bulk("entries-added") + fmt.Sprintf(":%d\r\n", n) +
			bulk("last-generated-id", fmt.Sprintf("%d-0", n)) + bulk("first-entry") + list[0].text() + bulk("last-entry") + list[n-1].text()
	}
	return "-ERR unknown command '" + words[0] + "', with args beginning with: '" + strings.Join(words[1:], "' '") + "'\r\n"
}

func (e entry) text() string { return "*2\r\n" + bulk(fmt.Sprintf("%d-0", e.id)) + array(e.fields...) }
