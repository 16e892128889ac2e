package slogworks_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
)

func TestDeliveryError_saysWhatItsFieldsSay(t *testing.T) {
	for _, test := range []struct {
		err  slogworks.DeliveryError
		want string
	}{
		{slogworks.DeliveryError{}, "not delivered"},
		{slogworks.DeliveryError{Err: io.EOF}, "EOF"},
		{slogworks.DeliveryError{Err: io.EOF, Accepted: 3}, "EOF; 3 accepted"},
		{slogworks.DeliveryError{Done: []string{"a", "b"}, After: time.Minute}, "not delivered; done for a, b; next attempt due in 1m0s"},
		{slogworks.DeliveryError{Err: io.EOF, Permanent: true, After: time.Minute}, "EOF; permanent"},
		{slogworks.DeliveryError{Err: io.EOF, Accepted: 1, After: time.Second, Uncertain: true}, "EOF; 1 accepted; next attempt due in 1s; may have been delivered"},
		{slogworks.DeliveryError{Err: io.EOF, After: time.Hour - 12345*time.Microsecond}, "EOF; next attempt due in 1h0m0s"},
		{slogworks.DeliveryError{Err: io.EOF, After: 4812345678}, "EOF; next attempt due in 4.8s"},
		{slogworks.DeliveryError{Err: io.EOF, After: 12345678}, "EOF; next attempt due in 12ms"},
		{slogworks.DeliveryError{Err: io.EOF, After: 345678}, "EOF; next attempt due in 345.678µs"},
		{slogworks.DeliveryError{Err: io.EOF, After: -time.Second}, "EOF"},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("Error = %q, want %q", got, test.want)
		}
	}
}

func TestDeliveryError_unwrapsToItsCause(t *testing.T) {
	err := fmt.Errorf("sink: %w", &slogworks.DeliveryError{Accepted: 2, Err: fmt.Errorf("write: %w", io.ErrShortWrite)})
	var delivery *slogworks.DeliveryError
	if !errors.As(err, &delivery) || delivery.Accepted != 2 {
		t.Errorf("no DeliveryError found in %v", err)
	}
	if !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("cause not found in %v", err)
	}
	if errors.Unwrap(&slogworks.DeliveryError{}) != nil {
		t.Error("a cause where there is none")
	}
}

func TestPanicError_unwrapsToAValueThatIsAnError(t *testing.T) {
	var err error = &slogworks.PanicError{Value: io.EOF, Stack: []byte("stack")}
	if !errors.Is(err, io.EOF) || err.Error() != "panic: EOF" {
		t.Errorf("error %q", err)
	}
	var panicked *slogworks.PanicError
	if !errors.As(fmt.Errorf("stage: %w", err), &panicked) || string(panicked.Stack) != "stack" {
		t.Errorf("PanicError not found")
	}
	err = &slogworks.PanicError{Value: 5}
	if errors.Unwrap(err) != nil || err.Error() != "panic: 5" {
		t.Errorf("error %q unwraps to %v", err, errors.Unwrap(err))
	}
}

func TestBackoff_delayDoublesUpToMax(t *testing.T) {
	const most = math.MaxInt64 * time.Nanosecond
	for _, test := range []struct {
		backoff  slogworks.Backoff
		failures int
		want     time.Duration // before the random part is taken off
	}{
		{slogworks.Backoff{Min: time.Second, Max: time.Minute}, 1, time.Second},
		{slogworks.Backoff{Min: time.Second, Max: time.Minute}, 2, 2 * time.Second},
		{slogworks.Backoff{Min: time.Second, Max: time.Minute}, 3, 4 * time.Second},
		{slogworks.Backoff{Min: time.Second, Max: time.Minute}, 6, 32 * time.Second},
		{slogworks.Backoff{Min: time.Second, Max: time.Minute}, 7, time.Minute},
		{slogworks.Backoff{Min: time.Second, Max: time.Minute}, math.MaxInt, time.Minute},
		{slogworks.Backoff{Min: time.Second, Max: time.Minute}, 0, time.Second},
		{slogworks.Backoff{Min: time.Second, Max: time.Minute}, -1, time.Second},
		{slogworks.Backoff{Min: time.Minute, Max: time.Second}, 1, time.Second},
		{slogworks.Backoff{Min: time.Second, Max: most}, math.MaxInt, most},
		{slogworks.Backoff{Min: 3, Max: most}, 62, 3 << 61},
		{slogworks.Backoff{Min: 3, Max: most}, 63, most},
		{slogworks.Backoff{Min: most, Max: most}, 5, most},
		{slogworks.Backoff{Min: 1, Max: 4}, 3, 4},
		{slogworks.Backoff{}, 1, 0},
		{slogworks.Backoff{}, math.MaxInt, 0},
		{slogworks.Backoff{Max: time.Minute}, math.MaxInt, 0},
		{slogworks.Backoff{Min: time.Second}, 5, 0},
		{slogworks.Backoff{Min: -time.Second, Max: time.Minute}, math.MaxInt, 0},
		{slogworks.Backoff{Min: time.Second, Max: -time.Minute}, 5, 0},
	} {
		lowest, highest := test.want, time.Duration(0)
		for range 200 {
			d := test.backoff.Delay(test.failures)
			lowest, highest = min(lowest, d), max(highest, d)
		}
		if floor := test.want - test.want/5; lowest < floor || highest > test.want {
			t.Errorf("%+v: %d failures: between %v and %v, want within %v and %v", test.backoff, test.failures, lowest, highest, floor, test.want)
		}
		if test.want >= time.Second && lowest == highest {
			t.Errorf("%+v: %d failures: always %v", test.backoff, test.failures, lowest)
		}
	}
}
