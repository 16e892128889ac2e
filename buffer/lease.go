package buffer

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// lockWait is how long Handle waits for another process to unlock the spool. What
// is done under the lock takes microseconds, and more only where a process
// reads what others have written.
const lockWait = 5 * time.Second

// A burst of records is stored under one lock, because taking it and looking what
// others have done meanwhile costs more than the write. The lock is kept for
// leaseTime and then taken for each record for leaseRest, so that another process
// that comes up gets it. From then on, and until nothing was heard of others for
// leaseAlone, it is not kept at all.
const (
	leaseTime  = 4 * time.Millisecond
	leaseRest  = time.Millisecond
	leaseAlone = time.Second
)

// lease is the lock of a spool that is kept between two records.
type lease struct {
	mu     sync.Locker // core.mu
	held   bool
	until  time.Time
	ended  time.Time // the last one
	stored time.Time // the last record
	others time.Time // when others were last noticed
}

func (d *spool) acquire() error {
	if d.lease.held {
		if time.Now().Before(d.lease.until) {
			return nil
		}
		d.endLease()
	}
	ok, err := d.lock.TryLock()
	if ok || err != nil {
		return err
	}
	d.lease.others = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	return d.lock.Lock(ctx)
}

// locked calls f with the spool locked against other processes.
func (d *spool) locked(f func() error) error {
	if err := d.acquire(); err != nil {
		return fmt.Errorf("buffer: lock the spool: %w", err)
	}
	defer func() {
		if !d.lease.held {
			_ = d.lock.Unlock()
		}
	}()
	return f()
}

// keepLock is called with the lock when a record was stored. In a burst, it makes
// a lease of it.
func (d *spool) keepLock() {
	if d.lease.held {
		return
	}
	now, l := time.Now(), &d.lease
	burst := now.Sub(l.stored) < leaseRest
	l.stored = now
	if !burst || now.Sub(l.ended) < leaseRest || now.Sub(l.others) < leaseAlone {
		return
	}
	until := now.Add(leaseTime)
	l.held, l.until = true, until
	time.AfterFunc(leaseTime, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.held && l.until.Equal(until) {
			d.endLease()
		}
	})
}

func (d *spool) endLease() {
	d.lease.held, d.lease.ended = false, time.Now()
	d.lease.stored = d.lease.ended
	_ = d.lock.Unlock()
}
