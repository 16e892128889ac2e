package slogworks_test

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/slogworks/slogworks"
)

// keeper is a stage that keeps an account.
type keeper struct {
	leaf
	account slogworks.Account
	behind  []slog.Handler
}

func (k *keeper) Unwrap() []slog.Handler     { return k.behind }
func (k *keeper) Account() slogworks.Account { return k.account }

// valueKeeper keeps one, is no pointer and cannot be compared.
type valueKeeper struct {
	leaf
	account slogworks.Account
}

func (k valueKeeper) Account() slogworks.Account { return k.account }

func newKeeper(name string, behind ...slog.Handler) *keeper {
	return &keeper{account: slogworks.Account{Stage: name}, behind: behind}
}

func stages(accounts []slogworks.Account) (names []string) {
	for _, a := range accounts {
		names = append(names, a.Stage)
	}
	return names
}

func TestBooks_tellsOfEachStageOnceFromTheOutsideIn(t *testing.T) {
	sink := newKeeper("sink")
	queue := newKeeper("queue", single{next: sink})
	other := newKeeper("other")
	fan := listed{next: []slog.Handler{sink, other, queue, queue, newKeeper("fan", sink, queue)}}
	if got, want := stages(slogworks.Books(fan)), []string{"fan", "queue", "sink", "other"}; !slices.Equal(got, want) {
		t.Errorf("Books tells of %q, want %q", got, want)
	}
	value := valueKeeper{account: slogworks.Account{Stage: "value"}}
	if got := stages(slogworks.Books(listed{next: []slog.Handler{value}})); !slices.Equal(got, []string{"value"}) {
		t.Errorf("Books tells of %q", got)
	}
}

func TestBooks_givesWhatTheStageSays(t *testing.T) {
	stage := &keeper{account: slogworks.Account{Stage: "queue", Accepted: 9, Delivered: 4, Held: 3, Dropped: map[string]uint64{"full": 2}}}
	got := slogworks.Books(single{next: stage})[0]
	if got.Stage != "queue" || got.Accepted != 9 || got.Delivered != 4 || got.Held != 3 || got.Dropped["full"] != 2 {
		t.Errorf("Books = %+v, want %+v", got, stage.account)
	}

	t.Run("and the map is the caller's", func(t *testing.T) {
		got.Dropped["full"] = 100
		if stage.account.Dropped["full"] != 2 {
			t.Error("the stage's own map was changed")
		}
	})
}

func TestBooks_isEmptyWhereNothingIsKept(t *testing.T) {
	if accounts := slogworks.Books(single{next: leaf{}}); len(accounts) != 0 {
		t.Errorf("Books = %v", accounts)
	}
}
