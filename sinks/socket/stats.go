package socket

// Stats are counts since the Receiver was made. Always,
//
//	Received == Written + Dropped + the sum of Refused
type Stats struct {
	Received    uint64            // records and what was no record
	Written     uint64            // records that the Handler took
	Dropped     uint64            // records that it returned an error for
	Refused     map[string]uint64 // what was no record, by the reason of its Refusal
	Ignored     uint64            // records that the Handler was not enabled for
	Duplicates  uint64            // records that were there already
	Objects     uint64            // values of pickles that are marked as refused
	Connections uint64            // accepted
	Open        int               // connections at present
}

// Stats returns the counts.
func (r *Receiver) Stats() Stats {
	r.init()
	t := r.counts.Totals()
	s := Stats{
		Received: t.Received, Written: t.Written, Dropped: t.Dropped, Refused: t.Refused, Ignored: t.Ignored,
		Duplicates: r.duplicates.Load(), Objects: r.objects.Load(),
	}
	s.Connections, s.Open = r.server.Connections()
	return s
}
