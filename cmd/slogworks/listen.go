package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"sync"

	"github.com/slogworks/slogworks/sinks/live"
)

// intakeSettings are what every receiver is told.
type intakeSettings struct {
	*serverFlags
	handler slog.Handler
	report  func(error) // gets refusals and errors
}

// receiver reads records from what it serves, and hands them to a handler.
// Serving ends with the error closed after Shutdown.
type receiver struct {
	servesConnections func(net.Listener) error
	servesPackets     func(net.PacketConn) error
	shutdown          func(context.Context) error
	count             func() tally
	closed            error
}

// tally is what became of what came from somewhere.
type tally struct {
	received, dropped uint64
	refused           map[string]uint64 // by reason
	objects           uint64
	connections       uint64
}

func (c *tally) add(more tally) {
	c.received += more.received
	c.dropped += more.dropped
	c.objects += more.objects
	c.connections += more.connections
	if c.refused == nil {
		c.refused = map[string]uint64{}
	}
	for reason, n := range more.refused {
		c.refused[reason] += n
	}
}

// written is how many records were neither refused nor dropped.
func (c tally) written() uint64 { return c.received - c.totalRefused() - c.dropped }

func (c tally) totalRefused() (total uint64) {
	for n := range maps.Values(c.refused) {
		total += n
	}
	return total
}

// String is the summary that commands end with.
func (c tally) String() string {
	return fmt.Sprintf("received=%d written=%d refused=%d objects=%d dropped=%d connections=%d",
		c.received, c.written(), c.totalRefused(), c.objects, c.dropped, c.connections)
}

// inlets is everything that a command listens at.
type inlets struct {
	listeners []listener
	receivers []receiver // one for each
	serving   sync.WaitGroup
}

// listen opens all endpoints, or none if one of them fails.
func (s *intakeSettings) listen() (*inlets, error) {
	in := new(inlets)
	for _, e := range s.serverFlags.listen {
		l, err := e.listen()
		if err != nil {
			in.close()
			return nil, err
		}
		in.listeners = append(in.listeners, l)
		in.receivers = append(in.receivers, e.receive(e, s))
	}
	return in, nil
}

// close closes what was opened and is not served.
func (in *inlets) close() {
	for _, l := range in.listeners {
		l.close()
	}
}

// serve starts to serve and says so, each listener on a line. If one of them
// fails, fail is called with a fatalError.
func (in *inlets) serve(stderr io.Writer, name string, fail func(error)) {
	for i, l := range in.listeners {
		r := in.receivers[i]
		in.serving.Go(func() {
			var err error
			if l.packets != nil {
				err = r.servesPackets(l.packets)
			} else {
				err = r.servesConnections(l.stream)
			}
			if !errors.Is(err, r.closed) {
				fail(&fatalError{err})
			}
		})
		fmt.Fprintf(stderr, "%s: listening %s\n", name, l)
	}
}

// wait waits until ctx is done, and then reads what has arrived.
func (in *inlets) wait(ctx context.Context) error {
	<-ctx.Done()
	drain, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return errors.Join(fatalErrorIn(ctx), in.shutdown(drain))
}

// shutdown reads what has arrived. A handler that does not come back keeps it
// from ending no longer than until ctx does.
func (in *inlets) shutdown(ctx context.Context) error {
	errs := make([]error, len(in.receivers))
	var ending sync.WaitGroup
	for i, r := range in.receivers {
		ending.Go(func() { errs[i] = r.shutdown(ctx) })
	}
	ending.Wait()
	served := make(chan struct{})
	go func() {
		in.serving.Wait()
		close(served)
	}()
	select {
	case <-served:
	case <-ctx.Done(): // of which the errors tell
	}
	return errors.Join(errs...)
}

// total returns the counts of all receivers.
func (in *inlets) total() (total tally) {
	for _, r := range in.receivers {
		total.add(r.count())
	}
	return total
}

// sources describes the listeners for a page.
func (in *inlets) sources() []live.Source {
	all := make([]live.Source, len(in.listeners))
	for i, l := range in.listeners {
		n := in.receivers[i].count()
		all[i] = live.Source{
			Source: l.String(), Connected: true,
			Received: n.received, Refused: n.refused, Dropped: n.dropped,
		}
	}
	return all
}
