package rmcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Commands and values of serial over LAN (IPMI 2.0 sections 15 and 24).
const (
	cmdGetDeviceID  = 0x01
	cmdActivate     = 0x48
	cmdDeactivate   = 0x49
	alreadyActive   = Completion(0x80)
	solHeader       = 4
	solNACK         = 0x40 // the BMC did not take the characters
	solDeactivating = 0x10
	sealedPayload   = 0xc0 // with encryption and authentication
)

// ErrTaken means that another client has the console.
var ErrTaken = errors.New("another client has the console")

// maxUnread bounds what a console keeps for its reader: beyond it, the BMC is not acknowledged, and
// sends again.
const maxUnread = 256 << 10

// keepAlive is less than the minute after which BMCs end silent sessions (section 6.12.15).
const keepAlive = 20 * time.Second

// A Console is a serial console over a session, which is used for nothing else meanwhile. Read and
// Write may be called concurrently.
type Console struct {
	s     *Session
	chunk int // characters in a packet

	acks    chan [3]byte // sequence, count and status
	writing sync.Mutex   // one Write at a time
	seq     byte         // of the last packet with characters, 1 to 15; guarded by writing

	mu      sync.Mutex // guards the fields below and the sealing of packets
	arrived *sync.Cond
	unread  []byte
	heard   byte // sequence of the last packet of the BMC with characters
	err     error

	stop   context.CancelFunc
	ended  context.Context
	served sync.WaitGroup
}

// Activate begins a console. If another client has it, steal takes it away; else the error is
// [ErrTaken].
func (c *Session) Activate(ctx context.Context, steal bool) (*Console, error) {
	selector := []byte{payloadSOL, 1}
	request := append(selector, sealedPayload, 0, 0, 0)
	answer, err := c.Command(ctx, netFnApp, cmdActivate, request)
	if errors.Is(err, alreadyActive) && steal {
		if _, err := c.Command(ctx, netFnApp, cmdDeactivate, []byte{payloadSOL, 1, 0, 0, 0, 0}); err != nil {
			return nil, fmt.Errorf("take the console away: %w", err)
		}
		answer, err = c.Command(ctx, netFnApp, cmdActivate, request)
	}
	switch {
	case errors.Is(err, alreadyActive):
		return nil, ErrTaken
	case err != nil:
		return nil, err
	}
	o := &Console{s: c, chunk: 64, acks: make(chan [3]byte, 16)}
	// The size includes the header. Some BMCs state less than they take, none more.
	if len(answer) >= 6 {
		if size := int(answer[4]) | int(answer[5])<<8; size > solHeader && size-solHeader < o.chunk {
			o.chunk = size - solHeader
		}
	}
	o.arrived = sync.NewCond(&o.mu)
	o.ended, o.stop = context.WithCancel(context.Background())
	_ = c.conn.SetReadDeadline(time.Time{})
	o.served.Go(o.receive)
	o.served.Go(o.keepAlive)
	return o, nil
}

// send seals and sends one payload.
func (o *Console) send(payloadType byte, message []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.s.seq++
	o.s.out = o.s.keys.appendSealed(o.s.out[:0], payloadType, o.s.bmc, o.s.seq, message)
	_, err := o.s.conn.Write(o.s.out)
	return err
}

// end ends the console with a cause, which reads return.
func (o *Console) end(err error) {
	o.mu.Lock()
	if o.err == nil {
		o.err = err
	}
	o.arrived.Broadcast()
	o.mu.Unlock()
	o.stop()
}

// receive takes packets until the console ends.
func (o *Console) receive() {
	for {
		n, err := o.s.conn.Read(o.s.in)
		if err != nil {
			if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
				err = io.EOF
			}
			o.end(err)
			return
		}
		p, err := o.s.keys.open(o.s.in[:n], payloadSOL, o.s.console)
		if err != nil || len(p) < solHeader {
			continue // the answer to a sign of life, or a packet of another host
		}
		if p[1]&0xf != 0 {
			select {
			case o.acks <- [3]byte{p[1] & 0xf, p[2], p[3]}:
			default: // acknowledgements that Write does not wait for
			}
		}
		if seq := p[0] & 0xf; seq != 0 && o.keep(seq, p[solHeader:]) {
			if err := o.send(payloadSOL, []byte{0, seq, byte(len(p) - solHeader), 0}); err != nil {
				o.end(err)
				return
			}
		}
		if p[3]&solDeactivating != 0 {
			o.end(io.EOF)
			return
		}
	}
}

// keep keeps characters for the reader, unless they were sent again, and reports whether they are
// to be acknowledged.
func (o *Console) keep(seq byte, characters []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if seq == o.heard {
		return true
	}
	if len(o.unread)+len(characters) > maxUnread {
		return false
	}
	o.heard = seq
	o.unread = append(o.unread, characters...)
	o.arrived.Broadcast()
	return true
}

// keepAlive sends signs of life, whose answers do not matter.
func (o *Console) keepAlive() {
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	for rq := byte(0); ; rq++ {
		select {
		case <-o.ended.Done():
			return
		case <-ticker.C:
			_ = o.send(payloadIPMI, appendRequest(nil, netFnApp, rq&0x3f, cmdGetDeviceID, nil)) // a lost one is followed by others
		}
	}
}

// Read returns what the machine prints, and io.EOF after the BMC has ended the console.
func (o *Console) Read(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.unread) == 0 && o.err == nil {
		o.arrived.Wait()
	}
	if len(o.unread) == 0 {
		return 0, o.err
	}
	n := copy(b, o.unread)
	o.unread = o.unread[n:]
	return n, nil
}

// Write types characters, and returns when the BMC has taken them.
func (o *Console) Write(b []byte) (written int, err error) {
	o.writing.Lock()
	defer o.writing.Unlock()
	for written < len(b) {
		n, err := o.typed(b[written:min(len(b), written+o.chunk)])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// typed sends a packet until it is acknowledged, and returns how many of its characters were taken.
func (o *Console) typed(characters []byte) (int, error) {
	o.seq = o.seq%15 + 1 // 0 is for packets without characters
	message := append([]byte{o.seq, 0, 0, 0}, characters...)
	for range max(1, o.s.tries) {
		if err := o.send(payloadSOL, message); err != nil {
			return 0, err
		}
		timer := time.NewTimer(o.s.wait)
		for waiting := true; waiting; {
			select {
			case ack := <-o.acks:
				taken := int(ack[1])
				if ack[0] == o.seq && ack[2]&solNACK == 0 && taken > 0 {
					timer.Stop()
					return min(taken, len(characters)), nil
				}
				waiting = ack[0] != o.seq // refused for now: again
			case <-timer.C:
				waiting = false
			case <-o.ended.Done():
				timer.Stop()
				return 0, io.ErrClosedPipe
			}
		}
		timer.Stop()
	}
	return 0, ErrSilent
}

// Close gives the console back and ends the session.
func (o *Console) Close() error {
	o.end(io.EOF)
	_ = o.s.conn.SetReadDeadline(time.Unix(1, 0)) // ends the read that is in progress
	o.served.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := o.s.Command(ctx, netFnApp, cmdDeactivate, []byte{payloadSOL, 1, 0, 0, 0, 0})
	if errors.Is(err, alreadyActive) { // 0x80 here: it has ended already
		err = nil
	}
	return errors.Join(err, o.s.Close(ctx))
}
