package slogworks

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// DeliveryError is how a sink says what became of the records it was given, so
// that the queue or the buffer in front of it, which does the waiting and the
// trying again, can do it well. It is read only by the stage that called the
// sink, as a *DeliveryError and not through a chain of wrapped errors: to
// anyone further up, counting items would mean nothing.
type DeliveryError struct {
	// Accepted is how many items, from the first on, are delivered and must not
	// be sent again.
	Accepted int

	// Done names the recipients that have the batch, where a sink delivers one
	// batch to several. The next attempt carries them in [Batch.Done].
	Done []string

	// After is how long to wait before the next attempt, counted from when the
	// error was returned; 0 and less leave it to the caller's [Backoff].
	After time.Duration

	// Permanent says that trying again cannot help.
	Permanent bool

	// Uncertain says that the items may have been delivered: the connection
	// broke before the answer came. Trying again may deliver them twice.
	Uncertain bool

	// Err is the cause; may be nil.
	Err error
}

// Error says what the fields say, the cause first.
func (e *DeliveryError) Error() string {
	var b strings.Builder
	if e.Err != nil {
		b.WriteString(e.Err.Error())
	} else {
		b.WriteString("not delivered")
	}
	if e.Accepted > 0 {
		fmt.Fprintf(&b, "; %d accepted", e.Accepted)
	}
	if len(e.Done) > 0 {
		fmt.Fprintf(&b, "; done for %s", strings.Join(e.Done, ", "))
	}
	switch {
	case e.Permanent:
		b.WriteString("; permanent")
	case e.After > 0:
		fmt.Fprintf(&b, "; next attempt due in %v", rounded(e.After))
	}
	if e.Uncertain {
		b.WriteString("; may have been delivered")
	}
	return b.String()
}

// rounded leaves of d what a reader looks for.
func rounded(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second)
	case d >= time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d
}

// Unwrap returns the cause.
func (e *DeliveryError) Unwrap() error { return e.Err }

// PanicError is a panic that a stage caught, as the error of the handler that
// panicked.
type PanicError struct {
	Value any    // what panic was called with
	Stack []byte // the goroutine's stack at the panic, as from runtime/debug.Stack
}

// Error gives the value and not the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Rate is at most N of something per period of time.
type Rate struct {
	N   int
	Per time.Duration
}

// Backoff says how long to wait between attempts: Min before the first retry,
// twice as long before each further one, at most Max, each less a random part
// of up to a fifth, so that many senders do not come back at once. What 0 means
// for Min and Max is said where a Backoff is an option. MaxElapsed is how long
// after the first attempt the last may start; 0 is for ever.
type Backoff struct {
	Min, Max, MaxElapsed time.Duration
}

// Delay returns how long to wait after the given number of failed attempts in
// a row, counted from 1.
func (b Backoff) Delay(failures int) time.Duration {
	d := max(0, min(b.Min, b.Max))
	for i := 1; i < failures && 0 < d && d < b.Max; i++ {
		if d > b.Max/2 {
			d = b.Max // twice as long could be more than a Duration holds
		} else {
			d *= 2
		}
	}
	return d - rand.N(d/5+1)
}
