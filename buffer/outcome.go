package buffer

import (
	"fmt"
	"time"
)

// Status is what became of what was held when somebody looked at it.
type Status int

// What may have become of it.
const (
	Empty    Status = iota // nothing is held
	Kept                   // the trigger did not fire, a batch waits for its next attempt, or Err says what prevented a look
	Limited                // the trigger fired and Options.Limit allows no batch before Next
	Sent                   // delivered
	Partial                // in part delivered, the rest is tried again at Next
	Failed                 // not delivered, is tried again at Next
	Unknown                // may have been delivered, is tried again at Next with the same ID
	Rejected               // refused for good, or given up; with a directory, moved to dead
)

// String returns "empty", "kept" and so on.
func (s Status) String() string {
	names := [...]string{"empty", "kept", "limited", "sent", "partial", "failed", "unknown", "rejected"}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("Status(%d)", int(s))
	}
	return names[s]
}

// tried reports whether next was called.
func (s Status) tried() bool { return s >= Sent }

// Outcome is what came of an evaluation or a delivery. The zero Outcome says that
// nothing was held.
type Outcome struct {
	Status  Status
	Cause   string // what the trigger said, or "asked for", or why something is kept
	BatchID string // of the batch that was tried or waits

	Records int // in the batch, or held if there is none
	Dropped int // records that belong here and were lost before
	Corrupt int // lines of the batch that could not be read, counted in Dropped of the batch too
	Attempt int // how often the batch has been tried, this time included

	Next time.Time // when it is tried again, or may be tried; zero if that is open
	Err  error     // why it was not delivered
}
