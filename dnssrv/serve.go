package dnssrv

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sync/errgroup"
)

// The limits of one socket. They bound memory: a question holds a goroutine and two messages.
const (
	maxInFlight = 512              // questions of one UDP socket that are being answered
	maxStreams  = 256              // TCP connections of one listener
	idleStream  = 10 * time.Second // after which a silent TCP connection is closed
)

// ServePacket answers datagrams on conn until ctx ends, then closes conn, waits for the answers in progress and returns
// nil. Any other end of conn is returned as an error. Several calls may serve several sockets.
func (s *Server) ServePacket(ctx context.Context, conn net.PacketConn) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	slots := make(chan struct{}, maxInFlight)
	var answers sync.WaitGroup
	defer answers.Wait()
	read := reader(conn)
	for {
		buf := make([]byte, 4096)
		n, client, reply, err := read(buf)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		slots <- struct{}{}
		answers.Go(func() {
			defer func() { <-slots }()
			if out := s.answerWire(ctx, buf[:n], client, true); out != nil {
				_ = reply(out) // the client asks again
			}
		})
	}
}

// readFunc reads one datagram and returns who sent it and how to answer.
type readFunc func(b []byte) (n int, client netip.Addr, reply func([]byte) error, err error)

// reader makes answers leave from the address that was asked, which on a wildcard socket takes control messages.
func reader(conn net.PacketConn) readFunc {
	if udp, ok := conn.(*net.UDPConn); ok && tellDestination(udp) {
		return func(b []byte) (int, netip.Addr, func([]byte) error, error) {
			n, session, err := dns.ReadFromSessionUDP(udp, b)
			if err != nil {
				return 0, netip.Addr{}, nil, err
			}
			return n, addrOf(session.RemoteAddr()), func(out []byte) error {
				_, err := dns.WriteToSessionUDP(udp, out, session)
				return err
			}, nil
		}
	}
	return func(b []byte) (int, netip.Addr, func([]byte) error, error) {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return 0, netip.Addr{}, nil, err
		}
		return n, addrOf(from), func(out []byte) error { _, err := conn.WriteTo(out, from); return err }, nil
	}
}

// tellDestination asks the kernel for the destination of each datagram; one of the two calls fits the socket's family.
func tellDestination(conn *net.UDPConn) bool {
	err4 := ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true)
	err6 := ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
	return err4 == nil || err6 == nil
}

func addrOf(a net.Addr) netip.Addr {
	if ap, err := netip.ParseAddrPort(a.String()); err == nil {
		return ap.Addr()
	}
	return netip.Addr{}
}

// ServeStream answers on TCP connections of ln until ctx ends, then closes ln and the connections, waits and returns nil.
func (s *Server) ServeStream(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	defer ln.Close()
	g := new(errgroup.Group)
	g.SetLimit(maxStreams)
	for {
		conn, err := ln.Accept()
		if err != nil {
			_ = g.Wait()
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		g.Go(func() error { s.stream(ctx, conn); return nil })
	}
}

// stream answers the questions of one connection in their order (RFC 7766 section 6.2.1.1 lets a client pipeline them).
func (s *Server) stream(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	client := addrOf(conn.RemoteAddr())
	for {
		_ = conn.SetDeadline(time.Now().Add(idleStream))
		var size uint16
		if binary.Read(conn, binary.BigEndian, &size) != nil {
			return
		}
		buf := make([]byte, size)
		if _, err := io.ReadFull(conn, buf); err != nil {
			return
		}
		out := s.answerWire(ctx, buf, client, false)
		if out == nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
			return
		}
	}
}

// answerWire is Handle on the wire form. It returns nil when nothing is to be sent, and survives a panic.
func (s *Server) answerWire(ctx context.Context, in []byte, client netip.Addr, datagram bool) (out []byte) {
	defer func() {
		if p := recover(); p != nil {
			s.panics.Add(1)
			s.log.Error("panic while answering", "client", client, "panic", p, "stack", string(debug.Stack()))
			out = nil
		}
	}()
	q := new(dns.Msg)
	if err := q.Unpack(in); err != nil {
		return formatError(in)
	}
	m := s.Handle(ctx, q, client)
	if m == nil {
		return nil
	}
	m.Compress = true
	if datagram {
		size := dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = min(max(int(opt.UDPSize()), dns.MinMsgSize), maxUDP)
		}
		m.Truncate(size)
	}
	out, err := m.Pack()
	if err != nil {
		s.log.Error("cannot encode answer", "question", q.Question[0].String(), "err", err)
		m.Answer, m.Ns, m.Extra, m.Rcode = nil, nil, nil, dns.RcodeServerFailure
		out, _ = m.Pack()
	}
	return out
}

// formatError answers a question that cannot be decoded but whose header can (RFC 1035 section 4.1.1).
func formatError(in []byte) []byte {
	const header = 12
	if len(in) < header || in[2]&0x80 != 0 {
		return nil
	}
	m := new(dns.Msg)
	m.Id = binary.BigEndian.Uint16(in)
	m.Response = true
	m.Rcode = dns.RcodeFormatError
	out, _ := m.Pack()
	return out
}
