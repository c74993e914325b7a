package tftp

import (
	"net"
	"net/netip"
	"os"
	"time"
)

// wire is the way to one client.
type wire interface {
	// write sends one packet. Only errors that end the transfer are reported; a packet that could
	// not be sent is as good as one lost on the way.
	write(p []byte) error
	// writeBlocks sends packets i to j of the window.
	writeBlocks(w *window, i, j int) error
	// read waits for a packet of the client, at the latest until deadline, and fails with
	// os.ErrDeadlineExceeded then.
	read(b []byte, deadline time.Time) (int, error)
	// payload is the largest packet that is not fragmented; 0 when unknown.
	payload() int
	// allowFragments lets routers on the way fragment from now on.
	allowFragments()
	// interrupt makes a read that waits return.
	interrupt()
	close()
}

// sharedWire answers from the port of the request. Packets of its client are sorted out by the
// server and arrive in in.
type sharedWire struct {
	conn   net.PacketConn
	client net.Addr
	write1 func(p []byte) error
	size   int
	in     chan []byte
	stop   chan struct{}
	timer  *time.Timer
}

func newSharedWire(conn net.PacketConn, client net.Addr) *sharedWire {
	w := &sharedWire{conn: conn, client: client, in: make(chan []byte, 16), stop: make(chan struct{})}
	w.write1 = func(p []byte) error {
		_, err := conn.WriteTo(p, client)
		return err
	}
	if m, ok := conn.(interface{ MTU() int }); ok {
		w.size = datagram(m.MTU(), addrOf(client))
	}
	return w
}

func (w *sharedWire) write(p []byte) error {
	return lasting(w.write1(p))
}

func (w *sharedWire) writeBlocks(win *window, i, j int) error {
	for ; i < j; i++ {
		if err := w.write(win.packets(i, i+1)); err != nil {
			return err
		}
	}
	return nil
}

// deliver hands a packet to the transfer; a full queue loses it.
func (w *sharedWire) deliver(p []byte) {
	select {
	case w.in <- append([]byte(nil), p...):
	default:
	}
}

func (w *sharedWire) read(b []byte, deadline time.Time) (int, error) {
	if w.timer == nil {
		w.timer = time.NewTimer(time.Until(deadline))
	} else {
		w.timer.Reset(time.Until(deadline))
	}
	select {
	case p := <-w.in:
		return copy(b, p), nil
	case <-w.timer.C:
		return 0, os.ErrDeadlineExceeded
	case <-w.stop:
		return 0, net.ErrClosed
	}
}

func (w *sharedWire) payload() int    { return w.size }
func (w *sharedWire) allowFragments() {}
func (w *sharedWire) interrupt()      { close(w.stop) }

func (w *sharedWire) close() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// datagram returns the UDP payload that fits an MTU towards addr.
func datagram(mtu int, addr netip.Addr) int {
	const udp = 8
	header := 20 + udp
	if addr.Is6() {
		header = 40 + udp
	}
	return max(mtu-header, 0)
}
