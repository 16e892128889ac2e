package redis

import (
	"errors"
	"slices"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks"
)

// recordField is the field of a stream's entry that has the record.
const recordField = "record"

// commands are what a batch makes, and what became of them.
type commands struct {
	list  []goredis.Cmder
	sends []send // beside list
	args  []any  // of all in list
	lines []line
	want  []places // of each item
	done  []places // of each item
	multi bool     // list begins with MULTI and ends with EXEC
}

// line is a record as an argument. A pointer to one is an any that needs no
// memory of its own.
type line []byte

func (l *line) MarshalBinary() ([]byte, error) { return *l, nil }

// names are arguments that all records have.
type names struct{ publish, xadd, rpush []any }

func (o *Options) names() (n names) {
	n.publish = []any{"publish", o.Channel}
	n.xadd = []any{"xadd", o.Stream}
	if o.MaxLen > 0 {
		n.xadd = append(n.xadd, "maxlen", "~", o.MaxLen)
	}
	n.xadd = append(n.xadd, "*", recordField)
	n.rpush = []any{"rpush", o.List}
	return n
}

// send is what a command is for. An RPUSH has all items that go to the list.
type send struct {
	item  int
	place places // 0 if it delivers nothing
	name  string
}

// add makes a command of the last n arguments.
func (s *commands) add(item int, place places, name string, n int) {
	end := len(s.args)
	// A status is any answer of one line, an id or a number too.
	s.list = append(s.list, goredis.NewStatusCmd(noContext, s.args[end-n:end:end]...))
	s.sends = append(s.sends, send{item, place, name})
}

func (s *commands) addLine(item int, place places, name string, args []any, l *line) {
	s.args = append(append(s.args, args...), l)
	s.add(item, place, name, len(args)+1)
}

// build makes the commands for the records in s, the first of which has the
// number first, but for what is done.
func (s *commands) build(c *core, from *scratch, first uint64, done []places) {
	n := len(from.ends)
	s.list, s.sends, s.args = s.list[:0], s.sends[:0], s.args[:0]
	s.lines = slices.Grow(s.lines[:0], n)[:n] // which stay where they are
	s.want = append(s.want[:0], make([]places, n)...)
	s.done = append(append(s.done[:0], done...), make([]places, n-len(done))...)
	c.out = c.out[:0]

	// A transaction is refused as a whole, so that no record can overtake
	// another that was refused.
	s.multi = c.link.single
	if s.multi {
		s.args = append(s.args, "multi")
		s.add(0, 0, "", 1)
	}
	begin, pushes := 0, 0
	for i, end := range from.ends {
		s.lines[i] = c.number(from.lines[begin:end], first+uint64(i))
		begin = end
		channel, publish := c.Channel, c.names.publish
		if c.ChannelFunc != nil {
			channel = from.channels[i]
			publish = []any{"publish", channel}
		}
		if channel != "" {
			s.want[i] |= published
			if s.done[i]&published == 0 {
				s.addLine(i, published, channel, publish, &s.lines[i])
			}
		}
		if c.Stream != "" {
			s.want[i] |= added
			if s.done[i]&added == 0 {
				s.addLine(i, added, c.Stream, c.names.xadd, &s.lines[i])
			}
		}
		if c.List != "" {
			s.want[i] |= pushed
			if s.done[i]&pushed == 0 {
				pushes++
			}
		}
	}
	if pushes > 0 {
		s.args = append(s.args, c.names.rpush...)
		for i := range s.lines {
			if s.done[i]&pushed == 0 {
				s.args = append(s.args, &s.lines[i])
			}
		}
		s.add(0, pushed, c.List, len(c.names.rpush)+pushes)
		if c.MaxList > 0 {
			s.args = append(s.args, "ltrim", c.List, -c.MaxList, -1)
			s.add(0, 0, c.List, 4)
		}
	}
	if s.multi && len(s.list) <= 2 { // one command needs no transaction
		s.multi = false
		s.list, s.sends = s.list[1:], s.sends[1:]
	}
	if s.multi {
		s.list = append(s.list, goredis.NewSliceCmd(noContext, "exec"))
		s.sends = append(s.sends, send{})
	}
}

// failure is a DeliveryError and what it follows from.
type failure struct {
	slogworks.DeliveryError
	meaning // of the server's answer, if there was one
}

// outcome returns how many items were delivered, from the first on, and why not
// all. err is that of the exchange.
func (s *commands) outcome(l *link, err error) (accepted int, f *failure) {
	results, of, cause := s.results()
	for i, ok := range results {
		if !ok || s.sends[i].place == 0 {
			continue
		}
		if s.sends[i].place != pushed {
			s.done[s.sends[i].item] |= s.sends[i].place
			continue
		}
		for item := range s.done {
			s.done[item] |= s.want[item] & pushed
		}
	}
	for accepted < len(s.done) && s.done[accepted]&s.want[accepted] == s.want[accepted] {
		accepted++
	}
	if accepted == len(s.done) {
		return accepted, nil
	}
	if cause == nil {
		cause, of = err, send{}
	}
	if cause == nil {
		cause = errors.New("an answer that fits no command")
	}
	f = new(failure)
	answer, ok := answerOf(cause)
	if !ok {
		f.Uncertain = !l.own || l.ready.Load()
		f.Err = cause
		return accepted, f
	}
	f.meaning = meaningOf(answer, of.name)
	f.Permanent = f.permanent
	f.Err = f.explained(answer)
	return accepted, f
}

// results returns for each command whether it is known to have been carried out,
// and the first that was not, with the answer that says why.
func (s *commands) results() (ok []bool, of send, cause error) {
	ok = make([]bool, len(s.list))
	blame := func(i int, err error) {
		if cause == nil && err != nil {
			cause, of = err, s.sends[i]
		}
	}
	if s.multi && s.list[0].Err() == nil {
		last := len(s.list) - 1
		exec := s.list[last].(*goredis.SliceCmd)
		for i, answer := range exec.Val() {
			if 1+i >= last {
				break
			}
			refused, isError := answer.(error)
			if ok[1+i] = !isError; isError {
				blame(1+i, refused)
			}
		}
		if len(exec.Val()) == 0 { // aborted, or never heard of
			for i, command := range s.list {
				blame(i, command.Err())
			}
		}
		return ok, of, cause
	}
	// Without MULTI, because the user may not call it, each stands for itself.
	for i, command := range s.list {
		status, isStatus := command.(*goredis.StatusCmd)
		if !isStatus || s.multi && i == 0 {
			continue
		}
		// Where the connection could not be had, commands have no error of their
		// own, but no answer either.
		ok[i] = status.Err() == nil && status.Val() != ""
		blame(i, status.Err())
	}
	return ok, of, cause
}

// overtaken reports whether something was not accepted that others behind it are
// in front of now.
func (s *commands) overtaken(accepted int) bool {
	var missing places
	for i := accepted; i < len(s.done); i++ {
		if s.done[i]&missing != 0 {
			return true
		}
		missing |= s.want[i] &^ s.done[i]
	}
	return false
}

// forget lets go of the records.
func (s *commands) forget() {
	if cap(s.lines) > maxItemsKept {
		*s = commands{}
		return
	}
	clear(s.list)
	clear(s.args)
	clear(s.lines)
}

// maxItemsKept is how large a batch may be whose slices are kept for the next.
const maxItemsKept = 4096

// undone returns what is done of the items that were not accepted.
func (s *commands) undone(accepted int) []places { return slices.Clone(s.done[accepted:]) }
