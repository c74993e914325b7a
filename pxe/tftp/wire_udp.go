package tftp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// udpWire is a socket of its own, connected to the client: the kernel sorts packets and reports a
// closed port.
type udpWire struct {
	conn    *net.UDPConn
	client  netip.AddrPort
	segment int              // size the socket splits at; 0 when it does not
	noSplit bool             // splitting failed once
	batch   *ipv4.PacketConn // for sendmmsg, made when needed
	msgs    []ipv4.Message
	armed   time.Time // read deadline of the socket
	stopped atomic.Bool
}

func newUDPWire(conn *net.UDPConn, client netip.AddrPort) *udpWire {
	return &udpWire{conn: conn, client: client}
}

func (w *udpWire) write(p []byte) error {
	_, err := w.conn.Write(p)
	return lasting(err)
}

// writeBlocks sends as much as it can per system call: with UDP generic segmentation offload the
// kernel cuts one buffer into packets; without it, sendmmsg takes them all; without that, they go
// one by one.
func (w *udpWire) writeBlocks(win *window, i, j int) error {
	if j-i > 1 && w.canSplit(win) {
		sent, err := w.writeSplit(win, i, j)
		// Some drivers and virtual interfaces accept the socket option and then refuse to send: the
		// rest goes without it.
		if err == nil || lasting(err) != nil {
			return lasting(err)
		}
		w.noSplit = true
		w.setSegment(0)
		i += sent
	}
	if j-i == 1 {
		return w.write(win.packets(i, j))
	}
	return w.writeBatch(win, i, j)
}

const (
	maxSegments  = 64    // UDP_MAX_SEGMENTS of Linux before 6.9
	maxSplitSize = 65000 // one IP packet, headers included
)

// canSplit asks the socket once to split at this transfer's packet size. Small blocks are left
// alone, lest an ERROR packet be split.
func (w *udpWire) canSplit(win *window) bool {
	if w.noSplit || win.block < defaultBlockSize || 2*win.segment() > maxSplitSize {
		return false
	}
	if w.segment == win.segment() {
		return true
	}
	if err := w.setSegment(win.segment()); err != nil {
		w.noSplit = true
		return false
	}
	w.segment = win.segment()
	return true
}

func (w *udpWire) setSegment(size int) error { return setSegment(w.conn, size) }

func (w *udpWire) writeSplit(win *window, i, j int) (sent int, err error) {
	step := min(maxSegments, maxSplitSize/win.segment())
	for ; i < j; i += step {
		if _, err := w.conn.Write(win.packets(i, min(i+step, j))); err != nil {
			return sent, err
		}
		sent += step
	}
	return sent, nil
}

func (w *udpWire) writeBatch(win *window, i, j int) error {
	if w.batch == nil {
		w.batch = ipv4.NewPacketConn(w.conn)
		w.msgs = make([]ipv4.Message, win.size)
		for k := range w.msgs {
			w.msgs[k].Buffers = make([][]byte, 1)
		}
	}
	msgs := w.msgs[:j-i]
	for k := range msgs {
		msgs[k].Buffers[0] = win.packets(i+k, i+k+1)
	}
	for len(msgs) > 0 {
		n, err := w.batch.WriteBatch(msgs, 0)
		if err := lasting(err); err != nil {
			return err
		}
		// A packet that cannot be sent is lost. Skipping it keeps a bad packet from being tried for
		// ever.
		msgs = msgs[max(n, 1):]
	}
	return nil
}

// read leaves the socket's deadline alone while it is early enough, since setting it costs as much
// as a packet, and waits on when it was too early.
func (w *udpWire) read(b []byte, deadline time.Time) (int, error) {
	for {
		if !w.armed.After(time.Now()) || w.armed.After(deadline) {
			w.armed = deadline
			if err := w.conn.SetReadDeadline(deadline); err != nil {
				return 0, err
			}
		}
		if w.stopped.Load() { // after the deadline was set, so that interrupt is not undone
			return 0, net.ErrClosed
		}
		n, err := w.conn.Read(b)
		if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(deadline) {
			return n, err
		}
	}
}

func (w *udpWire) payload() int    { return datagram(pathMTU(w.conn, w.client.Addr()), w.client.Addr()) }
func (w *udpWire) allowFragments() { allowFragments(w.conn, w.client.Addr()) }

func (w *udpWire) interrupt() {
	w.stopped.Store(true)
	_ = w.conn.SetReadDeadline(time.Unix(1, 0))
}

func (w *udpWire) close() { w.conn.Close() }

// lasting returns the errors after which nothing more can be sent. The rest, such as a full queue,
// a missing route or a firewall, may pass.
func lasting(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// udpShared makes a wire on the port itself that answers from the address the request was sent to.
func (p *port) udpShared(id tid) *sharedWire {
	w := newSharedWire(p.conn, net.UDPAddrFromAddrPort(id.client))
	var oob []byte
	switch {
	case p.self.IsValid() || !id.local.IsValid():
	case id.local.Is4():
		oob = (&ipv4.ControlMessage{Src: id.local.AsSlice()}).Marshal()
	default:
		oob = (&ipv6.ControlMessage{Src: id.local.AsSlice()}).Marshal()
	}
	w.write1 = func(b []byte) error {
		_, _, err := p.udp.WriteMsgUDPAddrPort(b, oob, id.client)
		return err
	}
	return w
}
