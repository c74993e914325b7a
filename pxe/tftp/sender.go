package tftp

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// sender runs one transfer over a wire: it owns the window and the timer.
type sender struct {
	wire    wire
	win     *window
	rtt     rtt
	silence time.Duration
	asked   bool // the client asked for tsize, so that it may only be probing
	stats   *Transfer
	moving  *atomic.Bool // set once the client acknowledged something
	quiet   *atomic.Bool // set once the first packet was sent as often as it may be
	opened  func()       // called when the client answers for the first time
	in      [256]byte

	greetings int       // times that the first packet may still be sent
	heard     time.Time // last packet of the client
	mute      int       // timeouts since
	sent      time.Time // end of the last send
	resent    bool      // the window holds packets that were sent before
	extra     int       // sends of this window beyond the first, probes included
	stale     int       // acknowledgements of the window before that may still arrive,
	until     time.Time // up to here
	probed    bool      // the last timeout sent a probe
	burst     int       // packets sent without a pause; less than a window after loss of its tail
	deadline  time.Time
}

// pause is between bursts to a client that loses the tail of its windows, which is how a receive
// buffer smaller than the window shows.
const (
	pause    = 500 * time.Microsecond
	minBurst = 4
)

// negotiate sends the OACK until block 0 is acknowledged.
func (s *sender) negotiate(ctx context.Context, oack []byte) error {
	s.heard = time.Now()
	for {
		if s.greet() {
			if err := s.wire.write(oack); err != nil {
				return s.fail(ctx, err)
			}
		}
		s.markSent()
		for {
			block, err := s.ack(ctx)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				s.rtt.expired()
				break
			}
			if err != nil {
				return err
			}
			if block == 0 {
				s.measure()
				s.resent = false
				return nil
			}
		}
		s.resent = true
	}
}

// run sends the file. After negotiate, or at once when no option was agreed on.
func (s *sender) run(ctx context.Context) error {
	s.burst = s.win.size
	if !s.moving.Load() {
		s.greetings--
		s.quiet.Store(s.greetings <= 0)
	}
	if s.heard.IsZero() {
		s.heard = time.Now()
	}
	for {
		if err := s.win.fill(); err != nil {
			return err
		}
		if s.win.done() {
			return nil
		}
		if err := s.send(ctx); err != nil {
			return err
		}
		s.win.prefetch()
		if err := s.await(ctx); err != nil {
			return err
		}
	}
}

// send writes the whole window: the client waits for all of it (RFC 7440 section 4), so it is never
// shortened, only spread after loss.
func (s *sender) send(ctx context.Context) error {
	n := s.win.count
	for i := 0; i < n; i += s.burst {
		if i > 0 {
			time.Sleep(pause)
		}
		if err := s.wire.writeBlocks(s.win, i, min(i+s.burst, n)); err != nil {
			return s.fail(ctx, err)
		}
	}
	s.stats.Packets += int64(n)
	s.markSent()
	if !s.resent && s.win.reaches() {
		s.deadline = s.sent.Add(s.rtt.probe())
	}
	return nil
}

// greet reports whether the first packet may be sent once more.
func (s *sender) greet() bool {
	if s.moving.Load() {
		return true
	}
	s.greetings--
	if s.greetings <= 0 {
		s.quiet.Store(true)
	}
	return s.greetings >= 0
}

func (s *sender) markSent() {
	s.sent = time.Now()
	s.deadline = s.sent.Add(s.rtt.timeout())
}

// await waits until the client acknowledges something new, and sends the window again when it seems
// lost.
func (s *sender) await(ctx context.Context) error {
	for {
		block, err := s.ack(ctx)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := s.timeout(ctx); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		// Distance from the last block before the window, modulo 2^16: block numbers roll over to 0
		// in files of more than 65,535 blocks.
		switch d := int(block - uint16(s.win.base-1)); {
		case d >= 1 && d <= s.win.count:
			s.advance(d)
			return nil
		case d == 0 && s.gap():
			if err := s.resend(ctx); err != nil {
				return err
			}
		}
		// Anything else answers a window of long ago.
	}
}

// timeout asks for the client's position, and the next time sends the window again. The question is
// a block from beyond the window: a client acknowledges the last block in order when it gets one
// out of order, while some clients ignore blocks they have, so that a lost acknowledgement would
// cost their own timeout.
func (s *sender) timeout(ctx context.Context) error {
	if p := s.win.beyond(); p != nil && !s.probed {
		s.probed = true
		s.extra++
		s.stats.Packets++
		s.stats.Retransmits++
		if err := s.wire.write(p); err != nil {
			return s.fail(ctx, err)
		}
		s.deadline = time.Now().Add(s.rtt.timeout())
		return nil
	}
	s.probed = false
	s.rtt.expired()
	// A tail that is lost again and again shows a small receive buffer: it gets pauses, not fewer
	// packets.
	s.burst = max(s.burst/2, min(minBurst, s.win.size))
	return s.resend(ctx)
}

// advance takes an acknowledgement of the first d packets. When it covers part of the window, the
// client misses the next one: what remains is sent again at once, from there, as part of the next
// full window.
func (s *sender) advance(d int) {
	whole := d == s.win.count
	s.measure()
	s.stats.Bytes += s.win.advance(d)
	s.stale, s.extra, s.probed = s.extra, 0, false
	s.until = time.Now().Add(2*s.rtt.smooth + minProbe)
	if whole {
		s.resent = false
		s.burst = min(2*s.burst, s.win.size)
		return
	}
	s.resent = true
	s.stats.Retransmits += int64(s.win.count)
}

// gap decides whether another acknowledgement of the block before the window says that its first
// packet is missing. With a window of one, duplicates are never answered, or both sides send
// everything twice for the rest of the file (RFC 1123 section 4.2.3.1). With more, as many as there
// were extra sends of the window before are echoes of these, and so are those that come back faster
// than a round trip.
func (s *sender) gap() bool {
	if s.win.size == 1 {
		return false
	}
	if s.stale > 0 && time.Now().Before(s.until) {
		s.stale--
		return false
	}
	s.stale = 0
	// An acknowledgement cannot come back faster than a round trip: half of the least one allows
	// for jitter.
	hold := s.rtt.least / 2
	if s.resent {
		hold = s.rtt.smooth
	}
	return time.Since(s.sent) >= hold
}

func (s *sender) resend(ctx context.Context) error {
	if !s.greet() {
		s.markSent()
		return nil
	}
	s.resent = true
	s.extra++
	s.stats.Retransmits += int64(s.win.count)
	return s.send(ctx)
}

// measure ends the back-off, and samples the round trip when it is unambiguous.
func (s *sender) measure() {
	if s.resent {
		s.rtt.progress()
		return
	}
	s.rtt.sample(time.Since(s.sent))
}

// ack waits for an acknowledgement until the retransmission is due, which it reports as
// os.ErrDeadlineExceeded.
func (s *sender) ack(ctx context.Context) (uint16, error) {
	for {
		n, err := s.wire.read(s.in[:], s.deadline)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, s.expire(ctx, err)
		}
		if err != nil {
			return 0, s.fail(ctx, err)
		}
		s.heard, s.mute = time.Now(), 0
		switch p := s.in[:n]; opcode(p) {
		case opACK:
			if block, err := blockNumber(p); err == nil {
				if !s.moving.Load() {
					s.moving.Store(true)
					s.opened()
				}
				return block, nil
			}
		case opERROR:
			return 0, s.refused(parseError(p))
		}
	}
}

// expire counts a timeout, or gives up on a client that has been silent.
func (s *sender) expire(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	silence := s.silence
	if !s.moving.Load() {
		silence = min(silence, greetingTime)
	}
	if time.Since(s.heard) >= silence {
		return ErrTimeout
	}
	s.stats.Timeouts++
	if s.mute++; s.mute == blackHole {
		s.wire.allowFragments()
	}
	return err
}

// blackHole is the number of timeouts in a row after which packets may be fragmented on their way,
// in case a tunnel swallows large ones without a word.
const blackHole = 4

// refused explains an ERROR of the client. EDK II and others end the transfer that only asks for
// the size with ERROR 8, some with 0.
func (s *sender) refused(e *Error) error {
	// A client that has data and then refuses has failed.
	if s.asked && s.stats.Bytes == 0 && (e.Code == CodeOptionRefused || e.Code == CodeUndefined) {
		return ErrAborted
	}
	return e
}

// fail explains an error of the wire. A client that has all data may close its port before its last
// acknowledgement gets through.
func (s *sender) fail(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, syscall.ECONNREFUSED):
		// It has acknowledged nothing of the last window, but a closed port after repetition means
		// that it left with the file.
		if s.win.final && s.resent {
			s.stats.Bytes += s.win.advance(s.win.count)
			return errFinished
		}
		return errClosedPort
	case errors.Is(err, net.ErrClosed):
		return err
	}
	return err
}

var (
	errClosedPort = errors.New("tftp: client closed its port")
	errFinished   = errors.New("tftp: client left after the last block")
)
