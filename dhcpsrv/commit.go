package dhcpsrv

import (
	"context"
	"log/slog"
	"time"
)

// maxPending bounds the records that wait for the store. Beyond it clients are left to ask again.
const maxPending = 32768

// maxSpare is how many records the memory kept for the next batches holds: about 1 MB.
const maxSpare = 1024

// enqueue hands changes to the committer in the order in which they were made; the caller holds s.mu. Group commit follows
// from it: while the store is busy with one batch, the next one gathers.
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

// wakeCommitter makes sure that what waits for the store gets there. The caller holds s.mu.
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
			s.spare = nil // after a burst
		}
	}
	s.committing = false
}

// commitBatch stores a batch, takes it back when that fails, and tells everybody. The clock was set by so much since the
// time that the store goes by.
func (s *Server) commitBatch(batch []change, by int64) {
	err := s.store(batch, by)
	if err != nil {
		s.stats.commitErrors.Add(1)
		s.log.Error("leases not stored, clients left without answer", "count", len(batch), "err", err)
	}
	if err != nil {
		s.mu.Lock()
		s.takeBack(batch)
		s.mu.Unlock()
	}
	s.report(batch, err)
}

// store makes a batch durable, by the time that the store goes by, so that one move will set right all it holds. Commits are
// not cut short when a server stops: a lease in hand is a lease kept.
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

// takeBack undoes a failed batch, the last change first. An ended lease stays ended when it ran out by itself.
func (s *Server) takeBack(batch []change) {
	for i := len(batch) - 1; i >= 0; i-- {
		if c := &batch[i]; c.kind != Expired {
			s.undo(c)
		}
	}
}

func (s *Server) undo(c *change) {
	s.catchUp(c)
	if c.e6 != nil {
		s.table6.undo(c)
		return
	}
	s.table.undo(c)
}

// report tells of a batch: events first, then the replies.
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
		s.jobs = s.withPartner(batch, s.jobs[:0])
	}
	answer(s.jobs)
	clear(s.jobs)
}

// event is what subscribers are told of a change.
func (c *change) event() Event {
	e := Event{Kind: c.kind, Lease: c.lease, Time: time.Unix(0, c.at)}
	if c.from != nil {
		e.Partner = c.from.Name
	}
	return e
}

// emit calls the subscriber; a panic in it must not stop the commits.
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
