package dnssrv

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// datagrams is a socket in memory whose peer sends one question after the other.
type datagrams struct {
	in     chan []byte
	out    chan []byte
	once   sync.Once
	closed chan struct{}
	net.PacketConn
}

func (d *datagrams) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case q := <-d.in:
		return copy(b, q), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 200), Port: 4000}, nil
	case <-d.closed:
		return 0, nil, net.ErrClosed
	}
}

func (d *datagrams) WriteTo(b []byte, _ net.Addr) (int, error) {
	d.out <- append([]byte{}, b...)
	return len(b), nil
}

func (d *datagrams) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

// A socket that is no UDP socket is served too, by both paths, until its context ends.
func TestServingASimulatedSocket(t *testing.T) {
	s := mixed(t)
	conn := &datagrams{in: make(chan []byte), out: make(chan []byte, 8), closed: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.ServePacket(ctx, conn) }()
	plainQuestion := new(dns.Msg).SetQuestion("web.maas.", dns.TypeA)
	general := new(dns.Msg).SetQuestion("web.maas.", dns.TypeANY)
	for _, q := range []*dns.Msg{plainQuestion, general} {
		wire, _ := q.Pack()
		conn.in <- wire
		m := new(dns.Msg)
		if err := m.Unpack(<-conn.out); err != nil || m.Id != q.Id || len(m.Answer) == 0 {
			t.Errorf("%s: %v, %v", q.Question[0].String(), m, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("the end: %v", err)
	}
	broken := &datagrams{closed: make(chan struct{})}
	broken.Close()
	if err := s.ServePacket(t.Context(), broken); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a socket that breaks: %v", err)
	}
}

// What cannot be decoded is answered if its header can; answers are never answered.
func TestMessagesThatAreNoQuestions(t *testing.T) {
	s := mixed(t)
	good, _ := new(dns.Msg).SetQuestion("web.maas.", dns.TypeA).Pack()
	answer := append([]byte{}, good...)
	answer[2] |= 0x80
	brokenAnswer := append([]byte{}, answer[:20]...)
	for name, c := range map[string]struct {
		in   []byte
		want int // the code, -1 = no answer
	}{
		"question":           {good, dns.RcodeSuccess},
		"cut":                {good[:20], dns.RcodeFormatError},
		"header alone":       {good[:headerSize], dns.RcodeFormatError},
		"half a header":      {good[:11], -1},
		"nothing":            {nil, -1},
		"answer":             {answer, -1},
		"answer that is cut": {brokenAnswer, -1},
		"status":             {func() []byte { b := append([]byte{}, good...); b[2] |= dns.OpcodeStatus << 3; return b }(), dns.RcodeNotImplemented},
		"class of Hesiod":    {func() []byte { b := append([]byte{}, good...); b[len(b)-1] = 4; return b }(), dns.RcodeRefused},
		"EDNS of the future": {packed(t, func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }), dns.RcodeBadVers},
		"an answer inside": {packed(t, func(m *dns.Msg) {
			m.Answer = []dns.RR{&dns.A{Hdr: header("x.", dns.TypeA, 1), A: net.IPv4(1, 2, 3, 4)}}
		}), dns.RcodeFormatError},
		"two questions":       {packed(t, func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), dns.RcodeFormatError},
		"transfer by UDP":     {packed(t, func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }), dns.RcodeRefused},
		"outside of the zone": {packed(t, func(m *dns.Msg) { m.Question[0].Name = "example." }), dns.RcodeRefused},
	} {
		out := s.handleMessage(t.Context(), c.in, stranger, true)
		got := -1
		if len(out) == 1 {
			m := new(dns.Msg)
			if err := m.Unpack(out[0]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got = m.Rcode
			if len(c.in) >= 2 && (m.Id != uint16(c.in[0])<<8|uint16(c.in[1]) || !m.Response) {
				t.Errorf("%s: not an answer to it: %v", name, m)
			}
		}
		if got != c.want {
			t.Errorf("%s: code %d, want %d", name, got, c.want)
		}
	}
	if n := s.panics.Load(); n != 0 {
		t.Errorf("%d panics", n)
	}
}

// packed encodes a question for web.maas after a change.
func packed(t testing.TB, change func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg).SetQuestion("web.maas.", dns.TypeA)
	change(m)
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// A panic costs one question its answer, is counted, and is logged with its stack.
func TestPanicsAreSurvived(t *testing.T) {
	s := mixed(t)
	empty := &parsed{name: "bad.maas.", ttl: 1} // an alias without a record cannot be set
	s.data.zones["maas."].nodes["bad.maas."] = &node{slots: []slot{{qtype: dns.TypeCNAME, configured: empty}}}
	question, _ := new(dns.Msg).SetQuestion("bad.maas.", dns.TypeMX).Pack()
	if out := s.handleMessage(t.Context(), question, stranger, true); out != nil || s.panics.Load() != 1 {
		t.Errorf("%x after %d panics", out, s.panics.Load())
	}
	// A denial that was never encoded breaks the plain path.
	s.data.zones["plain."] = &zoneData{name: "plain.", denial: []byte{1}}
	if size := s.answerPlain(new(plain), packed(t, func(m *dns.Msg) { m.Question[0].Name = "x.y.plain." }), make([]byte, maxUDP), stranger); size != -1 {
		t.Errorf("the plain path answers %d", size)
	}
	other, _ := new(dns.Msg).SetQuestion("nope.maas.", dns.TypeA).Pack()
	if out := s.handleMessage(t.Context(), other, stranger, true); len(out) != 1 {
		t.Error("the next question has no answer")
	}
	if !s.mu.TryLock() {
		t.Fatal("a lock is held: no record could be changed any more")
	}
	s.mu.Unlock()
}

// Half of the answers above the limit go out empty and truncated, so that a real client comes over TCP.
func TestSlippedAnswersAreTruncated(t *testing.T) {
	var l limiter
	slipped := 0
	for id := range 100 {
		m := new(dns.Msg).SetQuestion("web.maas.", dns.TypeA)
		m.Id = uint16(id)
		m.Answer = []dns.RR{&dns.A{Hdr: header("web.maas.", dns.TypeA, 1), A: net.IPv4(192, 0, 2, 7)}}
		if out := l.slip(m); out != nil {
			slipped++
			if !out.Truncated || len(out.Answer) != 0 || len(out.Question) != 1 {
				t.Fatalf("not empty and truncated: %v", out)
			}
		}
	}
	if slipped != 50 {
		t.Errorf("%d of 100 were sent", slipped)
	}
}

func TestForwardingAsText(t *testing.T) {
	f := Forwarding{
		Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Domains: []DomainForwarding{{Name: "corp", Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.2:53")}}}, TLSName: "dns.example",
	}
	for _, part := range []string{"192.0.2.1:53", "10.0.0.0/8", "corp", "192.0.2.2:53", "tls dns.example"} {
		if !strings.Contains(f.String(), part) {
			t.Errorf("%s is not in %s", part, f)
		}
	}
}
