package tftp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
)

// receiver takes datagrams from a Client's conn. Where the kernel hands over several that came in a
// row at once, it returns them one by one.
type receiver struct {
	conn net.PacketConn
	udp  *net.UDPConn // conn, when it is one

	buf, oob []byte
	rest     []byte // received and not returned yet
	each     int    // size of the datagrams in rest, but for the last
	from     netip.AddrPort

	armed   time.Time // read deadline of the conn
	stopped atomic.Bool
}

func newReceiver(conn net.PacketConn) *receiver {
	udp, _ := conn.(*net.UDPConn)
	return &receiver{conn: conn, udp: udp, buf: make([]byte, 1<<16), oob: make([]byte, 64)}
}

// next waits for a datagram, at the latest until deadline, and fails with os.ErrDeadlineExceeded
// then. What it returns is good until the next call.
func (r *receiver) next(deadline time.Time) ([]byte, netip.AddrPort, error) {
	for len(r.rest) == 0 {
		// Setting a deadline costs as much as a packet: one that is too early is found out when it
		// has passed.
		if !r.armed.After(time.Now()) || r.armed.After(deadline) {
			r.armed = deadline
			if err := r.conn.SetReadDeadline(deadline); err != nil {
				return nil, r.from, err
			}
		}
		if r.stopped.Load() { // after the deadline was set, so that interrupt is not undone
			return nil, r.from, net.ErrClosed
		}
		n, err := r.receive()
		if errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(deadline) {
			r.armed = time.Time{}
			continue
		}
		if err != nil || n == 0 {
			return nil, r.from, err
		}
		r.rest = r.buf[:n]
	}
	p := r.rest[:min(r.each, len(r.rest))]
	r.rest = r.rest[len(p):]
	return p, r.from, nil
}

// receive reads, without allocating where that is possible.
func (r *receiver) receive() (n int, err error) {
	if r.udp == nil {
		var from net.Addr
		n, from, err = r.conn.ReadFrom(r.buf)
		r.from, r.each = addrPortOf(from), n
		return n, err
	}
	n, oobn, _, from, err := r.udp.ReadMsgUDPAddrPort(r.buf, r.oob)
	r.from, r.each = netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), n
	if size := joinedSize(r.oob[:oobn]); size > 0 {
		r.each = size
	}
	return n, err
}

func (r *receiver) interrupt() {
	r.stopped.Store(true)
	_ = r.conn.SetReadDeadline(time.Unix(1, 0))
}
