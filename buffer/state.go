package buffer

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/slogworks/slogworks"
)

// spoolState is what state.json says of the whole spool.
type spoolState struct {
	// Sent are the times at which the last batches were first tried: more than
	// the limit needs, since that of another process may need more. They are
	// written before the attempt, so that a program that crashes in it does not
	// try for ever.
	Sent []time.Time `json:"sent,omitempty"`
	// Last is when a batch was last delivered.
	Last time.Time `json:"last,omitzero"`
	// Dropped is how many records were lost that no batch has told of yet.
	Dropped int `json:"dropped,omitempty"`
	// Through is the number of the last journal that was dropped: until then
	// they are counted, whether or not they are removed yet.
	Through int64 `json:"through,omitempty"`
}

// permits reports whether the limit allows a batch now, and if not, when.
func (s *spoolState) permits(limit slogworks.Rate, now time.Time) (bool, time.Time) {
	if limit.N < 0 {
		return true, time.Time{}
	}
	var within []time.Time
	for _, t := range s.Sent {
		// One in the future is from before the clock was set back. If that was by
		// much, it would hold back all batches until then.
		if age := now.Sub(t); age.Abs() < limit.Per {
			within = append(within, t)
		}
	}
	if len(within) < limit.N {
		return true, time.Time{}
	}
	slices.SortFunc(within, time.Time.Compare)
	return false, within[len(within)-limit.N].Add(limit.Per)
}

// stamp notes that a batch goes out.
func (s *spoolState) stamp(limit slogworks.Rate, now time.Time) {
	s.Sent = append(s.Sent, now)
	s.Sent = slices.Delete(s.Sent, 0, max(0, len(s.Sent)-max(limit.N, minSent)))
}

// minSent is how many times are kept for processes with another limit.
const minSent = 100

// batchState is what batch-<id>.state says of a batch.
type batchState struct {
	Attempt  int           `json:"attempt"`            // how many were begun
	First    time.Time     `json:"first,omitzero"`     // when the first was
	Tried    time.Time     `json:"tried,omitzero"`     // when the last was
	Wait     time.Duration `json:"wait,omitempty"`     // from then to the next
	Accepted int           `json:"accepted,omitempty"` // records, from the first on, that are delivered
	Done     []string      `json:"done,omitempty"`     // recipients that have the batch
	Dropped  int           `json:"dropped,omitempty"`  // records that were lost before it was made
	Cause    string        `json:"cause,omitempty"`
	Error    string        `json:"error,omitempty"` // of the last attempt
}

// due reports whether the next attempt may begin. That the last one was in the
// future means that the clock was set back, and not that there is long to wait.
func (s *batchState) due(now time.Time) bool {
	return s.Attempt == 0 || now.Before(s.Tried) || !now.Before(s.next())
}

func (s *batchState) next() time.Time {
	if s.Attempt == 0 {
		return time.Time{}
	}
	return s.Tried.Add(s.Wait)
}

// readJSON reads a file. It reports false if the text is not understood; a file
// that is not there leaves v as it is, as does one that is not understood.
func readJSON[T spoolState | batchState](root *os.Root, name string, v *T) (understood bool, err error) {
	text, err := root.ReadFile(name)
	switch {
	case notExist(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("buffer: read state: %w", err)
	}
	var read T // into v itself, what is not in the text would stay as it was
	if err := json.Unmarshal(text, &read); err != nil {
		return false, nil
	}
	*v = read
	return true, nil
}

// writeJSON replaces a file in one step. It does not wait for the disk: what is
// lost by a power failure is how often and when something was tried, never a
// record.
func writeJSON(root *os.Root, name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("buffer: write state: %w", err)
	}
	temp := name + tempSuffix
	if err := root.WriteFile(temp, append(text, '\n'), fileMode); err != nil {
		root.Remove(temp)
		return fmt.Errorf("buffer: write state: %w", err)
	}
	if err := root.Rename(temp, name); err != nil {
		root.Remove(temp)
		return fmt.Errorf("buffer: write state: %w", err)
	}
	return nil
}

// setAside gives a file that is not understood a name under which nobody looks
// for it.
func setAside(root *os.Root, name string) error {
	to := name + unknownSuffix
	_, err := root.Lstat(to)
	for n := 1; err == nil; n++ {
		to = fmt.Sprintf("%s-%d%s", name, n, unknownSuffix)
		_, err = root.Lstat(to)
	}
	if notExist(err) {
		err = root.Rename(name, to)
	}
	if err != nil {
		return fmt.Errorf("buffer: set aside what is not understood: %w", err)
	}
	return nil
}
