package dhcpsrv

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gomaas/maas/dhcpsrv/failover"
)

// Bounds of a failover link. A partner that is not heard for deadAfter counts as away.
const (
	beatEvery   = time.Second
	deadAfter   = 5 * time.Second
	maxEarly    = 64      // messages kept that arrive before the hello
	maxUnacked  = 32      // updates sent and not acknowledged
	maxRecords  = 256     // in one update
	maxUpdate   = 1 << 17 // bytes of an update before the last record is added
	minCompact  = 1 << 16
	clockWarn   = 5 * time.Second
	partnerWait = 20 * time.Millisecond // the longest time for which a reply waits for the partner
)

// logged is a change that the partner must receive. The current version of the address is sent,
// unless the log has a later change of it.
type logged struct {
	seq  uint64
	vrf  *vrf
	addr netip.Addr
}

// failoverLink is one connection to a partner. The server's lock guards it.
type failoverLink struct {
	s    *Server
	p    *partner
	conn failover.Conn
	wake chan struct{} // holds one when there may be something to send
	buf  []byte        // belongs to the writer

	helloSent, helloIn bool
	said               int64 // the time that the hello says
	shifted            int64 // s.clock.shifted then
	heardAt            time.Time
	spokeAt            time.Time

	at       int    // position in the log: everything before it has been sent
	number   uint64 // of the last update sent
	sentSeq  uint64 // of the last change sent
	unacked  []sentUpdate
	initial  uint64 // number of the last change from before the connection
	endSent  bool
	readySet bool

	acks    [][]byte        // to send
	stored  uint64          // all updates up to this one are on disk here
	early   map[uint64]bool // further updates that are on disk
	arrived map[uint64]bool // updates being stored
	end     uint64          // number of updates that hold everything from before the connection
	endIn   bool

	closing sync.Once
	reason  error
}

// sentUpdate is an update that the partner has not acknowledged.
type sentUpdate struct {
	number uint64
	items  []logged
}

// inbound is an update of the partner on its way to the store. The acknowledgement is sent when
// left is zero.
type inbound struct {
	x      *failoverLink
	number uint64
	ack    []byte
	left   int // records not stored yet
}

// ServePartner exchanges leases with the partner of that name over conn until ctx or the connection
// ends; then it closes conn and returns nil or the cause. The caller has authenticated the other
// side. A new connection replaces the one before. When the snapshot names no such partner, conn is
// closed at once.
func (s *Server) ServePartner(ctx context.Context, name string, conn failover.Conn) error {
	defer conn.Close()
	s.mu.Lock()
	p, said, shifted := s.failover.partners[name], s.now(), s.clock.shifted
	s.mu.Unlock()
	if p == nil {
		return fmt.Errorf("dhcpsrv: partner %q: the snapshot names no such partner", name)
	}
	x := &failoverLink{
		s: s, p: p, conn: conn, wake: make(chan struct{}, 1), heardAt: time.Now(), spokeAt: time.Now(), said: said, shifted: shifted,
		early: make(map[uint64]bool), arrived: make(map[uint64]bool),
	}
	stop := context.AfterFunc(ctx, func() { x.finish(nil) })
	defer stop()
	var writer sync.WaitGroup
	done := make(chan struct{})
	writer.Go(func() { x.finish(x.write(done)) })
	x.finish(x.read())
	close(done)
	writer.Wait()
	x.gone()
	// The end of ctx is the caller's wish and no error.
	if x.reason == nil || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("dhcpsrv: partner %q: %w", name, x.reason)
}

// finish closes the connection. The first reason is kept.
func (x *failoverLink) finish(why error) {
	x.closing.Do(func() {
		x.reason = why
		x.conn.Close()
	})
}

// cut ends the link from another goroutine. The caller may hold s.mu.
func (x *failoverLink) cut(why string) { x.finish(errors.New(why)) }

// gone records that the connection has ended and answers the clients that waited for the partner.
func (x *failoverLink) gone() {
	s, p := x.s, x.p
	s.mu.Lock()
	if p.link == x {
		// Contact ended when the partner was last heard, not when the silence was noticed.
		p.lost(max(s.now()-int64(time.Since(x.heardAt)), p.contact))
		s.log.Warn("partner disconnected", "partner", p.Name, "err", x.reason)
	}
	s.progress.Broadcast()
	released := s.releaseLocked()
	s.mu.Unlock()
	answer(released)
	s.remember(context.Background(), true)
}

// poke wakes the writer. A full channel means that it will look anyway.
func (x *failoverLink) poke() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// read handles messages until the connection ends.
func (x *failoverLink) read() error {
	var early [][]byte
	for {
		b, err := x.conn.Receive()
		if err != nil {
			return err
		}
		m, err := parseMessage(b)
		if err != nil {
			return err
		}
		x.s.mu.Lock()
		// Any message proves that the partner lives, also one that is of no use.
		x.heardAt = time.Now()
		ready := x.helloIn
		x.s.mu.Unlock()
		switch {
		case !ready && m.kind != messageHello:
			// Messages may overtake the hello, but a peer that never says hello must not fill the
			// memory.
			if len(early) >= maxEarly {
				return errors.New("no hello")
			}
			early = append(early, slices.Clone(b))
			continue
		case !ready:
			if err := x.greet(); err != nil {
				return err
			}
			if err := x.hello(&m); err != nil {
				return err
			}
			for _, b := range early {
				if m, err := parseMessage(b); err == nil {
					x.handle(&m)
				}
			}
			early = nil
		default:
			x.handle(&m)
		}
	}
}

// greet saves that the partner is connected. After a restart it must not be taken for longer away
// than it was.
func (x *failoverLink) greet() error {
	x.s.mu.Lock()
	x.p.greeted = true
	x.s.mu.Unlock()
	return x.s.memorize(context.Background(), true)
}

// hello starts the exchange: from now on the partner counts as present, and its addresses are its
// own again.
func (x *failoverLink) hello(m *message) error {
	s, p := x.s, x.p
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failover.partners[p.Name] != p:
		return errors.New("no partner any more")
	case m.name != p.Name || m.self != p.Self:
		return fmt.Errorf("it calls itself %q and this server %q, not %q and %q", m.name, m.self, p.Name, p.Self)
	// The partner computed the difference of the clocks from a time that is no longer right.
	case x.shifted != s.clock.shifted:
		return errors.New("the clock has been set since this server said hello")
	}
	if p.link != nil {
		p.link.cut("another connection has taken its place")
	}
	// Both servers compute it from the same two times, or they could decide otherwise about two
	// versions of one lease.
	p.link, p.synced, p.ready, p.skew = x, false, false, m.clock.Sub(time.Unix(0, x.said))
	if p.skew.Abs() > clockWarn {
		s.log.Warn("partner clock differs; synchronize both by NTP", "partner", p.Name, "offset", p.skew)
	}
	// The partner restarted, perhaps without its disk: all leases are sent again.
	if p.incarnation != m.incarnation {
		p.incarnation, p.acked = m.incarnation, 0
	}
	s.fillLog(p)
	x.helloIn, x.initial, x.sentSeq = true, p.seq, p.acked
	s.log.Info("partner connected", "partner", p.Name, "count", len(p.log))
	x.poke()
	return nil
}

// handle acts on a message after the hello. Kinds that are not known are ignored: a newer partner
// may send them.
func (x *failoverLink) handle(m *message) {
	switch m.kind {
	case messageUpdate:
		x.update(m)
	case messageAck:
		x.acked(m)
	case messageSyncEnd:
		x.s.mu.Lock()
		x.end, x.endIn = m.number, true
		x.checkSynced()
		x.s.mu.Unlock()
	case messageReady:
		x.s.mu.Lock()
		if x.p.link == x && !x.p.ready {
			x.p.ready = true
			x.s.log.Info("leases sent to partner", "partner", x.p.Name)
		}
		x.s.mu.Unlock()
	}
}

// update merges leases from the partner. They are acknowledged once they are on disk.
func (x *failoverLink) update(m *message) {
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	// The partner must not crowd out the clients: half of the queue stays theirs.
	for len(s.pending) > maxPending/2 && x.p.link == x {
		s.progress.Wait()
	}
	// A transport may deliver twice, and a replaced link may still deliver.
	if x.p.link != x || x.arrived[m.number] || x.early[m.number] || m.number <= x.stored {
		return
	}
	x.arrived[m.number] = true
	in := &inbound{x: x, number: m.number, ack: appendNumbered(nil, messageAck, m.number)}
	bits := make([]byte, (len(m.leases)+7)/8)
	now := time.Unix(0, s.now())
	var changes []change
	for i := range m.leases {
		if p := x.p; p.skew.Abs() > clockWarn {
			m.leases[i].shift(-p.skew)
		}
		c, stored, over := s.mergeOne(&m.leases[i], x.p, now)
		if over {
			bits[i/8] |= 1 << (i % 8)
		}
		if stored {
			c.in = in
			changes = append(changes, c)
		}
	}
	s.stats.partnerReceived.Add(uint64(len(m.leases)))
	in.ack = append(in.ack, bits...)
	// Nothing is new: the update counts as stored.
	if in.left = len(changes); in.left == 0 {
		x.onDisk(in)
	}
	s.enqueue(changes)
}

// onDisk records that an update is stored and queues its acknowledgement. The caller holds s.mu.
func (x *failoverLink) onDisk(in *inbound) {
	delete(x.arrived, in.number)
	x.early[in.number] = true
	for x.early[x.stored+1] {
		x.stored++
		delete(x.early, x.stored)
	}
	x.acks = append(x.acks, in.ack)
	x.checkSynced()
	x.poke()
}

// checkSynced records whether all of the partner's leases have arrived. The caller holds s.mu.
func (x *failoverLink) checkSynced() {
	p := x.p
	if p.link != x || p.synced || !x.endIn || x.stored < x.end {
		return
	}
	p.synced, p.met, p.ownFrom, p.waiting = true, true, 0, 0
	x.s.log.Info("leases received from partner", "partner", p.Name)
	x.poke()
}

// acked records what the partner has on disk and releases the replies that waited for it.
func (x *failoverLink) acked(m *message) {
	s, p := x.s, x.p
	s.mu.Lock()
	i := slices.IndexFunc(x.unacked, func(u sentUpdate) bool { return u.number == m.number })
	if i < 0 || p.link != x {
		s.mu.Unlock()
		return
	}
	for n, item := range x.unacked[i].items {
		// Both sides know that the lease has ended, so that either may give the address out.
		if sh, state, ok := item.shared(); ok && sh.seq == item.seq && state != Bound && m.isOver(n) {
			sh.confirmed = true
		}
	}
	x.unacked = slices.Delete(x.unacked, i, i+1)
	if p.acked = x.sentSeq; len(x.unacked) > 0 {
		p.acked = x.unacked[0].items[0].seq - 1
	}
	released := s.releaseLocked()
	s.mu.Unlock()
	x.poke()
	answer(released)
}

// write sends messages until the connection ends.
func (x *failoverLink) write(done <-chan struct{}) error {
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		for b := x.next(); b != nil; b = x.next() {
			if err := x.conn.Send(b); err != nil {
				return err
			}
		}
		select {
		case <-x.wake:
		case <-beat.C:
			x.s.remember(context.Background(), false)
			if x.silent(time.Now()) {
				return fmt.Errorf("nothing heard for %v", deadAfter)
			}
		case <-done:
			return nil
		}
	}
}

func (x *failoverLink) silent(now time.Time) bool {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	return now.Sub(x.heardAt) >= deadAfter
}

// next returns the next message to send, valid until the next call, or nil.
func (x *failoverLink) next() []byte {
	s, p, b := x.s, x.p, x.buf[:0]
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case !x.helloSent:
		x.helloSent = true
		b = appendHello(b, p.Self, p.Name, s.failover.incarnation, time.Unix(0, x.said))
	// Acknowledgements go first: clients of the partner wait for them.
	case len(x.acks) > 0:
		b = append(b, x.acks[0]...)
		x.acks = x.acks[1:]
	case p.link == x && len(x.unacked) < maxUnacked && x.at < len(p.log):
		b = x.appendUpdate(b)
	}
	switch {
	case len(b) > 0 || p.link != x:
	case !x.endSent && (x.at == len(p.log) || p.log[x.at].seq > x.initial):
		x.endSent = true
		b = appendNumbered(b, messageSyncEnd, x.number)
	case p.synced && !x.readySet:
		x.readySet = true
		b = append(b, messageReady)
	// Only a link that is otherwise silent needs beats.
	case now.Sub(x.spokeAt) >= beatEvery:
		b = append(b, messageBeat)
	}
	if len(b) == 0 {
		return nil
	}
	x.buf, x.spokeAt = b, now
	return b
}

// appendUpdate appends an update with the next changes of the log, or nothing when later changes
// have replaced all of them.
func (x *failoverLink) appendUpdate(b []byte) []byte {
	s, p, start := x.s, x.p, len(b)
	u := sentUpdate{number: x.number + 1}
	b = appendNumbered(b, messageUpdate, u.number)
	for ; x.at < len(p.log) && len(u.items) < maxRecords && len(b) < maxUpdate; x.at++ {
		item := p.log[x.at]
		if item.seq > x.initial && !x.endSent {
			break // the end of the sync is sent first
		}
		x.sentSeq = item.seq
		if sh, _, ok := item.shared(); !ok || sh.seq != item.seq {
			continue
		}
		l := item.version()
		b = appendRecord(b, &l)
		u.items = append(u.items, item)
	}
	p.trimLog(x)
	if len(u.items) == 0 {
		if len(x.unacked) == 0 {
			p.acked = x.sentSeq
		}
		return b[:start]
	}
	x.number++
	x.unacked = append(x.unacked, u)
	s.stats.partnerSent.Add(uint64(len(u.items)))
	return b
}
