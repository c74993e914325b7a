package dhcptest

import (
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Faults are the faults of a connection in memory. With the zero value it has none.
type Faults struct {
	Rand      *rand.Rand    // source of chance; nil = no faults but Delay. It is used under a lock of the connection.
	Delay     time.Duration // the longest transit; with Reorder it varies from message to message
	Reorder   bool          // messages may overtake each other
	Duplicate float64       // part of all messages that arrive twice
}

// PartnerEnd is one end of a connection in memory between two servers, a failover.Conn.
type PartnerEnd struct {
	link *partnerLink
	in   *inbox
	out  *inbox
}

type partnerLink struct {
	faults Faults
	mu     sync.Mutex
	lost   bool
	ends   [2]*inbox
}

// inbox holds the messages in transit to one end.
type inbox struct {
	mu       sync.Mutex
	more     sync.Cond
	messages [][]byte
	last     time.Time // when the last one is due
	closed   bool
}

// PartnerPipe returns the two ends of a connection.
func PartnerPipe(f Faults) (a, b *PartnerEnd) {
	l := &partnerLink{faults: f}
	for i := range l.ends {
		l.ends[i] = new(inbox)
		l.ends[i].more.L = &l.ends[i].mu
	}
	return &PartnerEnd{l, l.ends[0], l.ends[1]}, &PartnerEnd{l, l.ends[1], l.ends[0]}
}

// Send delivers a copy of b to the other end after its transit.
func (e *PartnerEnd) Send(b []byte) error {
	e.in.mu.Lock()
	closed := e.in.closed
	e.in.mu.Unlock()
	if closed {
		return io.ErrClosedPipe
	}
	for range e.link.copies() {
		e.out.deliver(e.link, slices.Clone(b))
	}
	return nil
}

func (l *partnerLink) copies() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.lost:
		return 0
	case l.faults.Rand != nil && l.faults.Rand.Float64() < l.faults.Duplicate:
		return 2
	}
	return 1
}

func (l *partnerLink) delay() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.faults.Rand == nil || l.faults.Delay == 0 {
		return l.faults.Delay
	}
	return time.Duration(l.faults.Rand.Int64N(int64(l.faults.Delay)))
}

func (i *inbox) deliver(l *partnerLink, b []byte) {
	delay := l.delay()
	if delay == 0 {
		i.put(l, b)
		return
	}
	if !l.faults.Reorder {
		i.mu.Lock()
		now := time.Now()
		due := now.Add(delay)
		if !due.After(i.last) {
			due = i.last.Add(1)
		}
		i.last, delay = due, due.Sub(now)
		i.mu.Unlock()
	}
	time.AfterFunc(delay, func() { i.put(l, b) })
}

func (i *inbox) put(l *partnerLink, b []byte) {
	l.mu.Lock()
	lost := l.lost
	l.mu.Unlock()
	if lost {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.closed {
		i.messages = append(i.messages, b)
		i.more.Signal()
	}
}

// Receive waits for a message.
func (e *PartnerEnd) Receive() ([]byte, error) {
	e.in.mu.Lock()
	defer e.in.mu.Unlock()
	for len(e.in.messages) == 0 && !e.in.closed {
		e.in.more.Wait()
	}
	if len(e.in.messages) == 0 {
		return nil, io.EOF
	}
	b := e.in.messages[0]
	e.in.messages = e.in.messages[1:]
	return b, nil
}

// Close ends the connection for both ends, unless it is lost: then the other end is not notified.
func (e *PartnerEnd) Close() error {
	e.in.close(true)
	e.link.mu.Lock()
	lost := e.link.lost
	e.link.mu.Unlock()
	if !lost {
		e.out.close(false)
	}
	return nil
}

// Lose makes the connection carry nothing from now on. Neither end is notified.
func (e *PartnerEnd) Lose() {
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	e.link.lost = true
}

// close ends the stream of messages. Messages that have arrived can still be read, unless the
// reader closes.
func (i *inbox) close(reader bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed = true; reader {
		i.messages = nil
	}
	i.more.Broadcast()
}
