package dnssrv_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

// byFunc has a zone in which a function knows the names of a client.
func byFunc(t *testing.T) *dnssrv.Server {
	t.Helper()
	s := dnssrv.New(dnssrv.Config{})
	answer := func(_ context.Context, q dnssrv.Query) ([]dnssrv.RRset, error) {
		switch q.Name {
		case "me.dyn.example":
			return []dnssrv.RRset{{Name: q.Name, Type: "A", TTL: 7, Data: []string{q.Client.String()}}, {Name: q.Name, Type: "TXT", Data: []string{`"you"`}}}, nil
		case "alias.dyn.example":
			return []dnssrv.RRset{{Name: q.Name, Type: "CNAME", Data: []string{"me.dyn.example."}}}, nil
		case "other.dyn.example":
			return []dnssrv.RRset{{Name: "me.dyn.example", Type: "A", Data: []string{"192.0.2.1"}}}, nil
		case "nonsense.dyn.example":
			return []dnssrv.RRset{{Name: q.Name, Type: "A", Data: []string{"no address"}}}, nil
		case "panics.dyn.example":
			panic("on purpose")
		case "fails.dyn.example":
			return nil, errors.New("no database")
		case "empty.dyn.example":
			return nil, nil
		}
		return nil, fmt.Errorf("%s: %w", q.Name, fs.ErrNotExist)
	}
	err := s.Update(dnssrv.Change{
		Zones: []dnssrv.Zone{{Name: "dyn.example", Answer: answer}, {Name: "plain.example"}},
		Set: []dnssrv.RRset{
			{Name: "stored.dyn.example", Type: "A", Data: []string{"192.0.2.9"}},
			{Name: "*.wild.dyn.example", Type: "A", Data: []string{"192.0.2.8"}},
			{Name: "points.plain.example", Type: "CNAME", Data: []string{"me.dyn.example."}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A function answers for every client, with authority, what no record answers.
func TestZoneAnswer(t *testing.T) {
	s := byFunc(t)
	for _, tt := range []struct {
		name, qtype, want string
	}{
		{"me.dyn.example.", "A", "NOERROR 198.51.100.7"},
		{"ME.dyn.EXAMPLE.", "A", "NOERROR 198.51.100.7"},
		{"me.dyn.example.", "TXT", `NOERROR "you"`},
		{"me.dyn.example.", "AAAA", "NOERROR"},
		{"alias.dyn.example.", "A", "NOERROR me.dyn.example."},
		{"points.plain.example.", "A", "NOERROR me.dyn.example. 198.51.100.7"},
		{"empty.dyn.example.", "A", "NOERROR"},
		{"stored.dyn.example.", "A", "NOERROR 192.0.2.9"},
		{"stored.dyn.example.", "AAAA", "NOERROR"},
		{"a.wild.dyn.example.", "A", "NOERROR 192.0.2.8"},
		{"wild.dyn.example.", "A", "NOERROR"},
		{"dyn.example.", "A", "NOERROR"},
		{"none.dyn.example.", "A", "NXDOMAIN"},
		{"other.dyn.example.", "A", "SERVFAIL"},
		{"nonsense.dyn.example.", "A", "SERVFAIL"},
		{"fails.dyn.example.", "A", "SERVFAIL"},
		{"none.plain.example.", "A", "NXDOMAIN"},
	} {
		q := new(dns.Msg).SetQuestion(tt.name, dns.StringToType[tt.qtype])
		m := s.HandleMsg(t.Context(), q, netip.MustParseAddr("198.51.100.7"))
		got := []string{dns.RcodeToString[m.Rcode]}
		for _, rr := range m.Answer {
			got = append(got, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
		if text := strings.Join(got, " "); text != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.name, tt.qtype, text, tt.want)
		}
		if m.Rcode != dns.RcodeServerFailure && !m.Authoritative {
			t.Errorf("%s %s: without authority", tt.name, tt.qtype)
		}
		if len(m.Answer) == 0 && m.Rcode != dns.RcodeServerFailure && len(m.Ns) != 1 {
			t.Errorf("%s %s: a denial without SOA", tt.name, tt.qtype)
		}
	}
}

// Over a socket the function answers too, its panic is survived, and the next question is answered.
func TestZoneAnswerOverUDP(t *testing.T) {
	s := byFunc(t)
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.ServePacket(ctx, conn) }()
	client := dns.Client{Timeout: 500 * time.Millisecond}
	if _, _, err := client.Exchange(new(dns.Msg).SetQuestion("panics.dyn.example.", dns.TypeA), conn.LocalAddr().String()); err == nil {
		t.Error("a panic is answered")
	}
	client.Timeout = 10 * time.Second
	m, _, err := client.Exchange(new(dns.Msg).SetQuestion("me.dyn.example.", dns.TypeA), conn.LocalAddr().String())
	if err != nil || len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != "127.0.0.1" {
		t.Errorf("%v, %v", m, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What cannot be signed is refused.
func TestZoneAnswerUnsigned(t *testing.T) {
	err := dnssrv.New(dnssrv.Config{}).Update(dnssrv.Change{Zones: []dnssrv.Zone{{
		Name: "dyn.example", SigningKey: dnssrv.NewSigningKey(), Answer: func(context.Context, dnssrv.Query) ([]dnssrv.RRset, error) { return nil, nil },
	}}})
	if err == nil || !strings.Contains(err.Error(), "leave out SigningKey or Answer") {
		t.Errorf("error %v", err)
	}
}
