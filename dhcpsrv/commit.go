package dhcpsrv

import (
	"context"
	"log/slog"
	"time"
)

// maxPending bounds the records that wait for the store. Beyond it clients get no answer and ask
// again: memory stays bounded when the disk is slow.
const maxPending = 32768

// maxSpare bounds the records for which memory is kept between batches: about 1 MB.
const maxSpare = 1024

// enqueue passes changes to the committer in the order in which they were made. The caller holds
// s.mu. Group commit follows from this: while the store is busy with one batch, the next one
// gathers.
func (s *Server) enqueue(changes []change) {
	if len(changes) == 0 {
		return
	}
	for i := range changes {
		s.share(&changes[i])
		changes[i].shifted = s.clock.shifted
	}
	s.pending = append(s.pending, changes...)
	s.enqueued += uint64(len(changes))
	s.wakeCommitter()
}

// wakeCommitter starts the committer unless it runs. The caller holds s.mu.
func (s *Server) wakeCommitter() {
	if !s.committing {
		s.committing = true
		go s.commit()
	}
}

// commit stores batch after batch until nothing is pending.
func (s *Server) commit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) > 0 || s.clock.toMove {
		batch := s.pending
		s.pending = s.spare[:0]
		by, try := s.clock.beginMove()
		if by != 0 {
			for i := range batch {
				s.catchUp(&batch[i])
			}
		}
		s.mu.Unlock()
		if try && s.shiftStore(by) {
			by = 0
		}
		s.commitBatch(batch, by)
		s.mu.Lock()
		s.finished, s.clock.moving = s.finished+uint64(len(batch)), false
		s.progress.Broadcast()
		clear(batch)
		if s.spare = batch; cap(batch) > maxSpare {
			s.spare = nil // a burst must not hold its memory for ever
		}
	}
	s.committing = false
}

// commitBatch stores a batch, or reverts it when that fails, and reports it. by is how much the
// clock has been set since the time that the store goes by.
func (s *Server) commitBatch(batch []change, by int64) {
	err := s.store(batch, by)
	if err != nil {
		s.stats.commitErrors.Add(1)
		s.faults.Error("leases not stored, clients not answered", "count", len(batch), "err", err)
	}
	if err != nil {
		s.mu.Lock()
		s.takeBack(batch)
		s.mu.Unlock()
	}
	s.report(batch, err)
}

// store makes a batch durable, in the store's own time, so that one later move corrects all it
// holds. Its context never ends: a commit is not cut short when the server stops, since its clients
// may already rely on it.
func (s *Server) store(batch []change, by int64) error {
	if len(batch) == 0 {
		return nil
	}
	s.leases = s.leases[:0]
	for i := range batch {
		s.leases = append(s.leases, batch[i].lease)
		s.leases[i].shift(-time.Duration(by))
	}
	start := time.Now()
	err := s.cfg.Store.Commit(context.Background(), s.leases)
	s.stats.commits.Add(1)
	s.stats.committed.Add(uint64(len(batch)))
	s.stats.commitTime.Add(int64(time.Since(start)))
	return err
}

// takeBack reverts a failed batch, the last change first. An expired lease stays ended, since time
// does not return.
func (s *Server) takeBack(batch []change) {
	for i := len(batch) - 1; i >= 0; i-- {
		if c := &batch[i]; c.kind != Expired {
			s.undo(c)
		}
	}
}

func (s *Server) undo(c *change) {
	s.catchUp(c)
	switch v := s.vrf(c.lease.VRF); {
	case v == nil: // it is empty by now
	case c.e6 != nil:
		v.v6.undo(c)
	default:
		v.v4.undo(c)
	}
}

// report reports the events of a batch and then answers its clients. In this order a subscriber
// knows a lease before the client can use it.
func (s *Server) report(batch []change, err error) {
	s.jobs = s.jobs[:0]
	shared := false
	for i := range batch {
		c := &batch[i]
		shared = shared || c.with != nil || c.in != nil
		if err == nil {
			s.emit(c.event())
		} else if c.in != nil {
			c.in.x.cut("the lease store failed")
		}
		if c.job == nil {
			continue
		}
		if err != nil {
			s.stats.reasons[dropCommit].Add(1)
			c.job.failed.Store(true)
		}
		s.jobs = append(s.jobs, c.job)
	}
	if shared && err == nil {
		s.jobs = s.committed(batch, s.jobs[:0])
	}
	answer(s.jobs)
	clear(s.jobs)
}

// event returns a change as subscribers receive it.
func (c *change) event() Event {
	e := Event{Kind: c.kind, Lease: c.lease, Time: time.Unix(0, c.at)}
	if c.from != nil {
		e.Partner = c.from.Name
	}
	return e
}

// emit calls the subscriber. A panic in it must not stop the commits.
func (s *Server) emit(ev Event) {
	s.stats.events[ev.Kind].Add(1)
	if s.log.Enabled(context.Background(), slog.LevelInfo) {
		s.log.Info("lease "+ev.Kind.String(), "ip", ev.Lease.Addr, "mac", ev.Lease.MAC.String(), "subnet", ev.Lease.Subnet, "hostname", ev.Lease.Hostname)
	}
	if s.cfg.Events == nil {
		return
	}
	defer s.recovered("event subscriber")
	s.cfg.Events(ev)
}
