package dnssrv

import (
	"encoding/hex"
	"net/netip"
	"strings"
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
	m := s.HandleMsg(t.Context(), q, client)
	for _, o := range m.IsEdns0().Option {
		if c, ok := o.(*provenCookie); ok {
			out, err := hex.DecodeString(c.Cookie)
			if err != nil {
				t.Fatal(err)
			}
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
		if len(cookie) != 24 || string(cookie[:8]) != "12345678" || cookieIn(m).proven {
			t.Fatalf("%x, known %v", cookie, cookieIn(m).proven)
		}
		if m, _ := withCookie(t, s, stranger, cookie); !cookieIn(m).proven {
			t.Error("does not know its cookie")
		}
		if m, _ := withCookie(t, s, netip.MustParseAddr("192.0.2.201"), cookie); cookieIn(m).proven {
			t.Error("takes the cookie from another client")
		}
		time.Sleep(2 * time.Hour)
		if m, _ := withCookie(t, s, stranger, cookie); cookieIn(m).proven {
			t.Error("takes an old cookie")
		}
		if m, _ := withCookie(t, s, stranger, []byte("123456789")); m.Rcode != dns.RcodeFormatError {
			t.Error("takes a cookie of 9 bytes")
		}
	})
}

// An attacker that forges the addresses of others gets no more than a trickle sent to them, while the
// clients of the site are not limited.
func TestOnlyStrangersAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name, client string
			rate         int
			limited      bool
		}{
			{"stranger", "198.51.100.7", DefaultResponseRate, true},
			{"stranger over IPv6", "2001:db8::7", DefaultResponseRate, true},
			{"client of the site", "192.0.2.7", DefaultResponseRate, false},
			{"this host", "127.0.0.1", DefaultResponseRate, false},
			{"this host over IPv6", "::1", DefaultResponseRate, false},
			{"stranger, no limit", "198.51.100.7", 0, false},
			{"stranger, no limit either", "198.51.100.7", -1, false},
		} {
			s := New(Config{ResponseRate: c.rate})
			if err := s.Update(Change{Zones: []Zone{{Name: "maas"}}, Set: []RRset{{Name: "a.maas", Type: "A", Data: []string{"192.0.2.1"}}}}); err != nil {
				t.Fatal(err)
			}
			// Without servers nothing is forwarded, but it says which clients are known.
			if err := s.SetForwarding(Forwarding{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}); err != nil {
				t.Fatal(err)
			}
			client, p, out := netip.MustParseAddr(c.client), new(plain), make([]byte, maxUDP)
			// By each of the two ways an answer takes
			for way, in := range map[string][]byte{"plain": mustPack(t, "a.maas."), "general": mustPack(t, "nope.maas.")} {
				whole, truncated := 0, 0
				for i := range 3 * DefaultResponseRate {
					var answer []byte
					if way == "plain" {
						if size := s.appendPlain(p, in, out, client); size > 0 {
							answer = out[:size]
						}
					} else {
						in[1] = byte(i) // the ID decides which answers are truncated
						if answers := s.handleMessage(t.Context(), in, client, true); len(answers) > 0 {
							answer = answers[0]
						}
					}
					switch {
					case answer == nil:
					case unpack(t, answer).Truncated:
						truncated++
					default:
						whole++
					}
				}
				if c.limited && (whole != DefaultResponseRate || truncated != DefaultResponseRate) || !c.limited && whole != 3*DefaultResponseRate {
					t.Errorf("%s, %s: %d whole and %d truncated answers", c.name, way, whole, truncated)
				}
			}
		}
	})
}

func TestQuestionsForACookieOnly(t *testing.T) {
	s := New(Config{})
	ask := func(options ...dns.EDNS0) *dns.Msg {
		q := new(dns.Msg)
		q.Id = dns.Id()
		q.SetEdns0(1232, false)
		q.IsEdns0().Option = options
		wire, err := q.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return unpack(t, s.handleMessage(t.Context(), wire, stranger, true)[0])
	}
	cookie := func(m *dns.Msg) string {
		for _, o := range m.IsEdns0().Option {
			if c, ok := o.(*dns.EDNS0_COOKIE); ok {
				return c.Cookie
			}
		}
		return ""
	}
	const mine = "0123456789abcdef"
	send := func(text string) *dns.Msg { return ask(&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: text}) }
	m := send(mine)
	got := cookie(m)
	if m.Rcode != dns.RcodeSuccess || len(got) != 48 || got[:16] != mine || len(m.Question)+len(m.Answer)+len(m.Ns) != 0 {
		t.Fatalf("%s, %v", got, m)
	}
	for what, c := range map[string]struct {
		cookie string
		want   int
	}{
		"its own":    {got, dns.RcodeSuccess},
		"not its":    {mine + "0100000000000000ffffffffffffffff", dns.RcodeBadCookie},
		"too short":  {mine[:14], dns.RcodeFormatError},
		"too long":   {strings.Repeat(mine, 6), dns.RcodeFormatError},
		"odd length": {mine + "0102", dns.RcodeFormatError},
	} {
		if m := send(c.cookie); m.Rcode != c.want || (cookie(m) == "") != (c.want == dns.RcodeFormatError) {
			t.Errorf("%s: %v, want %s", what, m, dns.RcodeToString[c.want])
		}
	}
	if m := ask(); m.Rcode != dns.RcodeFormatError {
		t.Errorf("no question and no cookie: %v", m)
	}
}
