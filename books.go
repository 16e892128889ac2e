package slogworks

import (
	"log/slog"
	"maps"
	"reflect"
)

// Account is what one stage did with the records it was given. A stage keeps
// one if it can lose records or hold them. At any moment, counted over all
// handlers derived from the stage,
//
//	Accepted == Delivered + Held + sum of Dropped
//
// holds up to the records that are on their way; after Shutdown it is exact,
// and nothing is held.
type Account struct {
	Stage     string            // the package's name, and more where it has several
	Accepted  uint64            // records given to the stage, those it refused included
	Delivered uint64            // records given to the next stage, or written
	Held      uint64            // records that wait
	Dropped   map[string]uint64 // records lost, by reason
}

// Books returns the accounts of all stages of the pipeline h that keep one,
// from the outside in. It reaches the same handlers as [Flush]; a handler that
// stands in the pipeline twice gives its account once. Books panics if h is nil.
func Books(h slog.Handler) []Account {
	var accounts []Account
	type identity struct {
		kind    reflect.Type
		pointer uintptr
	}
	seen := map[identity]bool{}
	for _, s := range stagesOf(h) {
		keeper, ok := s.handler.(interface{ Account() Account })
		if !ok {
			continue
		}
		// Only pointers are looked up: other handlers may not be comparable.
		if v := reflect.ValueOf(s.handler); v.Kind() == reflect.Pointer {
			id := identity{v.Type(), v.Pointer()}
			if seen[id] {
				continue
			}
			seen[id] = true
		}
		account := keeper.Account()
		account.Dropped = maps.Clone(account.Dropped)
		accounts = append(accounts, account)
	}
	return accounts
}
