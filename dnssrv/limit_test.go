package dnssrv

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func TestResponseRateIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{ResponseRate: 10})
		if err := s.Update(Change{Zones: []Zone{{Name: "maas"}}, Set: []RRset{{Name: "a.maas", Type: "A", Data: []string{"192.0.2.1"}}}}); err != nil {
			t.Fatal(err)
		}
		p, out, in := new(plain), make([]byte, maxUDP), mustPack(t, "a.maas.")
		count := func(client string) (whole, truncated int) {
			for range 30 {
				size := s.appendPlain(p, in, out, netip.MustParseAddr(client))
				switch {
				case size > 0 && unpack(t, out[:size]).Truncated:
					truncated++
				case size > 0:
					whole++
				}
			}
			return whole, truncated
		}
		if whole, truncated := count("192.0.2.7"); whole != 10 || truncated != 10 {
			t.Errorf("%d whole and %d truncated answers", whole, truncated)
		}
		if whole, _ := count("192.0.2.8"); whole != 0 {
			t.Error("a neighbour of the same network is not limited")
		}
		if whole, _ := count("2001:db8::1"); whole != 10 {
			t.Error("another network is limited")
		}
		time.Sleep(time.Second)
		if whole, _ := count("192.0.2.7"); whole != 10 {
			t.Error("still limited a second later")
		}
	})
}

// withCookie asks with a cookie and returns that of the answer.
func withCookie(t *testing.T, s *Server, client netip.Addr, cookie []byte) (*dns.Msg, []byte) {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion("maas.", dns.TypeSOA)
	q.SetEdns0(1232, false)
	q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: hex.EncodeToString(cookie)}}
	m := s.Handle(t.Context(), q, client)
	for _, o := range m.IsEdns0().Option {
		if c, ok := o.(*provenCookie); ok {
			out, _ := hex.DecodeString(c.Cookie)
			return m, out
		}
	}
	return m, nil
}

func TestCookies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		if err := s.Update(Change{Zones: []Zone{{Name: "maas"}}}); err != nil {
			t.Fatal(err)
		}
		m, cookie := withCookie(t, s, stranger, []byte("12345678"))
		if len(cookie) != 24 || string(cookie[:8]) != "12345678" || hasServerCookie(m) {
			t.Fatalf("%x, known %v", cookie, hasServerCookie(m))
		}
		if m, _ := withCookie(t, s, stranger, cookie); !hasServerCookie(m) {
			t.Error("does not know its cookie")
		}
		if m, _ := withCookie(t, s, netip.MustParseAddr("192.0.2.201"), cookie); hasServerCookie(m) {
			t.Error("takes the cookie from another client")
		}
		time.Sleep(2 * time.Hour)
		if m, _ := withCookie(t, s, stranger, cookie); hasServerCookie(m) {
			t.Error("takes an old cookie")
		}
		if m, _ := withCookie(t, s, stranger, []byte("123456789")); m.Rcode != dns.RcodeFormatError {
			t.Error("takes a cookie of 9 bytes")
		}
	})
}
