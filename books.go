package slogworks

import (
	"log/slog"
	"maps"
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
// from the outside in. It reaches the same handlers as [Flush]; a pointer that
// stands in the pipeline twice gives its account once. Handlers derived from one
// stage are different pointers with the same account, so ask the handler as it
// was built. Books panics if h is nil.
func Books(h slog.Handler) []Account {
	var accounts []Account
	for _, s := range stagesOf(h) {
		keeper, ok := s.handler.(interface{ Account() Account })
		if !ok {
			continue
		}
		account := keeper.Account()
		account.Dropped = maps.Clone(account.Dropped)
		accounts = append(accounts, account)
	}
	return accounts
}
