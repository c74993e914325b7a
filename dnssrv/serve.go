package dnssrv

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"

	"github.com/miekg/dns"
)

// maxInFlight is the largest number of questions of one UDP socket that wait for something other
// than memory, such as an upstream. It bounds memory: each holds a goroutine and two messages.
// Above it questions are dropped; clients ask again.
const maxInFlight = 512

// ServePacket answers datagrams on conn until ctx ends, then closes conn, waits for the answers in
// progress and returns nil. Any other end of conn is returned as an error. Several calls may serve
// several sockets.
//
// On Linux a *net.UDPConn is read and written many datagrams at a time, its receive buffer is
// enlarged, and answers leave from the address that was asked even when conn listens on all
// addresses.
func (s *Server) ServePacket(ctx context.Context, conn net.PacketConn) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	l := &later{s: s, ctx: ctx, slots: make(chan struct{}, maxInFlight)}
	defer l.running.Wait()
	var err error
	if udp, ok := conn.(*net.UDPConn); ok && canBatch {
		err = s.serveBatches(udp, l)
	} else {
		err = s.serveSingly(conn, l)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// serveSingly serves connections other than UDP sockets, such as those of simulated networks.
func (s *Server) serveSingly(conn net.PacketConn, l *later) error {
	in, out := make([]byte, maxQuestion), make([]byte, maxUDP)
	var p plain
	for {
		n, from, err := conn.ReadFrom(in)
		if err != nil {
			return err
		}
		client := addrOf(from)
		size := s.answerPlain(&p, in[:n], out, client)
		s.count(&p.tally)
		if size != 0 {
			if size > 0 {
				_, _ = conn.WriteTo(out[:size], from) // the client asks again
			}
			if size < 0 || !p.refresh {
				continue
			}
		}
		reply := func(b []byte) { _, _ = conn.WriteTo(b, from) }
		// The copy is the goroutine's; the buffer gets the next datagram.
		l.answer(append([]byte(nil), in[:n]...), client, p.refresh, reply)
	}
}

// later answers in goroutines of their own what may take time.
type later struct {
	s       *Server
	ctx     context.Context
	slots   chan struct{}
	running sync.WaitGroup
}

// answer answers the question unless too many are in progress. A refresh is asked upstream and not
// replied to. It takes over the question's memory.
func (l *later) answer(q []byte, client netip.Addr, refresh bool, reply func([]byte)) {
	select {
	// Waiting here would stop the loop, and with it the answers from memory.
	case l.slots <- struct{}{}:
	default:
		l.s.dropped.Add(1)
		return
	}
	l.running.Go(func() {
		defer func() { <-l.slots }()
		if refresh {
			l.s.refresh(l.ctx, q)
			return
		}
		for _, out := range l.s.handleMessage(l.ctx, q, client, true) {
			reply(out)
		}
	})
}

// refresh fetches again what a question was answered with from the cache.
func (s *Server) refresh(ctx context.Context, in []byte) {
	q := new(dns.Msg)
	if q.Unpack(in) == nil && len(q.Question) == 1 {
		_, _ = s.forwarding.Load().fetch(ctx, newKey(q)) // what the cache has stays
	}
}

// answerPlain is appendPlain that survives a panic.
func (s *Server) answerPlain(p *plain, in, out []byte, client netip.Addr) (size int) {
	defer func() {
		if v := recover(); v != nil {
			if p.locked {
				p.locked = false
				s.mu.RUnlock()
			}
			s.survived(client, v)
			size = -1
		}
	}()
	p.refresh = false
	return s.appendPlain(p, in, out, client)
}

func (s *Server) survived(client netip.Addr, v any) {
	s.panics.Add(1)
	s.faults.Error("query panicked", "client", client, "panic", v, "stack", string(debug.Stack()))
}

func addrOf(a net.Addr) netip.Addr {
	if udp, ok := a.(*net.UDPAddr); ok {
		return udp.AddrPort().Addr().Unmap()
	}
	if ap, err := netip.ParseAddrPort(a.String()); err == nil {
		return ap.Addr().Unmap()
	}
	return netip.Addr{}
}

// handleMessage is Handle on the wire form, and does what takes signatures or several messages. It
// returns nil when nothing is to be sent, and survives a panic.
func (s *Server) handleMessage(ctx context.Context, in []byte, client netip.Addr, datagram bool) (out [][]byte) {
	defer func() {
		if v := recover(); v != nil {
			s.survived(client, v)
			out = nil
		}
	}()
	q := new(dns.Msg)
	if err := q.Unpack(in); err != nil {
		return formatError(in)
	}
	if q.Response {
		return nil
	}
	if q.IsTsig() != nil || q.Opcode == dns.OpcodeUpdate || len(q.Question) == 1 && isTransfer(q.Question[0].Qtype) {
		return s.privileged(ctx, q, in, client, datagram)
	}
	m := s.handle(ctx, q, client)
	if m == nil {
		return nil
	}
	if datagram && !s.limiter.pass(client, s.forwarding.Load().allow, m) {
		if m = s.limiter.slip(m); m == nil {
			return nil
		}
	}
	return [][]byte{s.pack(q, m, datagram)}
}

// pack encodes an answer. In a datagram it is cut to what the client takes.
func (s *Server) pack(q, m *dns.Msg, datagram bool) []byte {
	m.Compress = true
	if datagram {
		// Without EDNS a client takes 512 octets (RFC 1035 section 4.2.1).
		size := dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = min(max(int(opt.UDPSize()), dns.MinMsgSize), maxUDP)
		}
		m.Truncate(size)
	}
	out, err := m.Pack()
	if err != nil {
		s.faults.Error("answer not encoded", "question", q.Question, "err", err)
		m.Answer, m.Ns, m.Extra, m.Rcode = nil, nil, nil, dns.RcodeServerFailure
		out, _ = m.Pack()
	}
	return out
}

// formatError answers a question that cannot be decoded but whose header can (RFC 1035 section
// 4.1.1).
func formatError(in []byte) [][]byte {
	// Answering an answer could start two servers talking for ever.
	if len(in) < headerSize || in[2]&0x80 != 0 {
		return nil
	}
	m := new(dns.Msg)
	m.Id = binary.BigEndian.Uint16(in)
	m.Response = true
	m.Rcode = dns.RcodeFormatError
	out, _ := m.Pack()
	return [][]byte{out}
}
