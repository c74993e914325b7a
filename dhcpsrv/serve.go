package dhcpsrv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Serve answers packets from conn until ctx ends, then closes conn, finishes what it has read and
// returns nil. It returns an error when conn is closed otherwise. Several Serve may run at once,
// each with its own conn.
//
// While it runs, the links of ModeAuto are watched: by a DISCOVER of its own at the start and then
// every minute, or ten seconds after a client was heard talking to another server. Before the first
// result no new client is answered. One offer by another server makes the mode proxy; there the
// server probes every 20 seconds, and serves again when none has answered for two minutes. In proxy
// mode the leases it gave are acknowledged until they end, but not extended.
func (s *Server) Serve(ctx context.Context, conn Conn) error { return s.serve(ctx, conn, false, 0) }

// serve answers packets that were sent to a port; 0 is the usual one.
func (s *Server) serve(ctx context.Context, conn Conn, v6 bool, port uint16) error {
	closeConn := sync.OnceFunc(func() { conn.Close() }) // a Conn need not allow a second Close
	stop := context.AfterFunc(ctx, closeConn)
	defer stop()
	q := newQueue(s.cfg.Queue)
	var workers, probes sync.WaitGroup
	work, stopWork := context.WithCancel(ctx)
	defer stopWork()
	box := newOutbox(s, conn, v6, port)
	for range s.cfg.Workers {
		workers.Go(func() { s.work(work, box, q, &probes) })
	}
	expiry, done := context.WithCancel(ctx)
	workers.Go(func() { s.expireEvery(expiry, time.Second) })

	if !v6 {
		workers.Go(func() { s.watchLinks(expiry) })
	}
	if port == 0 {
		workers.Go(func() { s.stockUp(expiry, v6) })
	}

	err := s.read(ctx, box, q)
	q.close()
	done()
	workers.Wait()
	probes.Wait()
	// What a backend has not answered yet is not waited for.
	s.unparkAll(box)
	stopWork()
	box.parked.Wait()
	s.mindClock()
	s.waitCommitted()
	closeConn()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// read puts received packets into the queue until conn is closed.
func (s *Server) read(ctx context.Context, box *outbox, q *queue) error {
	in := make([]Packet, batchSize)
	for i := range in {
		in[i].Data = make([]byte, 2048)
	}
	var retry backoff
	for {
		n, err := box.conn.ReadBatch(in)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
				return fmt.Errorf("dhcpsrv: read: %w", err)
			}
			// An interface that is down and a lack of memory pass, and the service must outlive
			// them.
			s.stats.readErrors.Add(1)
			s.log.Warn("read failed", "err", err)
			retry.wait(ctx)
			continue
		}
		retry.reset()
		for i := range in[:n] {
			if old := q.put(box.job(&in[i])); old != nil {
				s.drop(old, dropQueueFull)
			}
		}
		q.wake()
	}
}

// workBatch bounds the packets that a worker takes at once. Their replies leave together.
const workBatch = 32

// work handles packets until the queue is closed and empty. Probes wait in goroutines of their own,
// whose number s.probes bounds, so that a slow probe does not occupy a worker.
func (s *Server) work(ctx context.Context, box *outbox, q *queue, probes *sync.WaitGroup) {
	jobs := make([]*job, workBatch)
	for {
		n := q.get(jobs)
		if n == 0 {
			return
		}
		for i, j := range jobs[:n] {
			jobs[i] = nil
			if s.run(ctx, j) {
				probes.Go(func() { s.probeAndRun(ctx, box, j) })
			}
		}
		box.flush()
	}
}

func (s *Server) probeAndRun(ctx context.Context, box *outbox, j *job) {
	for again := true; again; again = s.run(ctx, j) {
		s.probe(ctx, j)
	}
	box.flush()
}

// expireEvery ends what is over, once each period.
func (s *Server) expireEvery(ctx context.Context, period time.Duration) {
	for sleep(ctx, period) {
		s.mindClock()
		s.remember(ctx, false)
		for s.expireSome() && ctx.Err() == nil {
		}
	}
}

// expireSome ends a bounded number of entries, so that packets get the lock in between, and reports
// whether there may be more.
func (s *Server) expireSome() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.recovering(now) {
		return false
	}
	more := false
	for _, v := range s.vrfs {
		s.enqueue(v.v4.expire(now, 16*expireChunk))
		s.enqueue(v.v6.expire(time.Unix(0, now), 16*expireChunk))
		more = more || len(v.v4.due) > 0 && v.v4.due[0].end <= now || len(v.v6.due) > 0 && v.v6.due[0].lease.End.UnixNano() <= now
	}
	return more && len(s.pending) < maxPending
}

// waitCommitted waits until everything that is pending now is stored and reported, and the store
// has moved with the clock.
func (s *Server) waitCommitted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for target := s.enqueued; s.finished < target || len(s.failover.waiting) > 0 && s.failover.waiting[0].upto <= target || s.clock.storeBehind(); {
		s.progress.Wait()
	}
}

// ServeBoot is [Server.Serve] for [BootServerPort], on a conn from dhcplink.ListenBoot. It answers
// in every mode; only proxy offers send firmware there.
func (s *Server) ServeBoot(ctx context.Context, conn Conn) error {
	return s.serve(ctx, conn, false, BootServerPort)
}

// Serve6 is [Server.Serve] for DHCPv6, on a conn from dhcplink.Listen6.
func (s *Server) Serve6(ctx context.Context, conn Conn) error {
	return s.serve(ctx, conn, true, 0)
}

// Bounds of the pause between two attempts.
const (
	firstPause   = 10 * time.Millisecond
	longestPause = time.Second
)

// backoff waits between attempts at something that fails, twice as long each time. The zero value
// is ready.
type backoff struct{ pause time.Duration }

// wait waits and reports whether ctx is still on.
func (b *backoff) wait(ctx context.Context) bool {
	b.pause = min(max(2*b.pause, firstPause), longestPause)
	return sleep(ctx, b.pause)
}

// reset makes the next pause a short one, after a success.
func (b *backoff) reset() { b.pause = 0 }

// sleep waits and reports whether ctx is still on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
