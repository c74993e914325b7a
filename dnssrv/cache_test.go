package dnssrv

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// reply makes an answer of records in presentation form; those of type SOA go where a denial has them.
func reply(t testing.TB, rcode int, records ...string) *dns.Msg {
	t.Helper()
	m := &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: rcode, Response: true, RecursionAvailable: true}}
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		if rr.Header().Rrtype == dns.TypeSOA {
			m.Ns = append(m.Ns, rr)
		} else {
			m.Answer = append(m.Answer, rr)
		}
	}
	return m
}

const soa = "example. 300 IN SOA ns.example. h.example. 1 2 3 4 60"

func TestLifetimes(t *testing.T) {
	for _, c := range []struct {
		name string
		m    *dns.Msg
		want time.Duration
	}{
		{"least of all", reply(t, 0, "a.example. 300 IN A 192.0.2.1", "a.example. 40 IN A 192.0.2.2"), 40 * time.Second},
		{"no more than a day", reply(t, 0, "a.example. 999999 IN A 192.0.2.1"), maxTTL},
		{"denied name", reply(t, dns.RcodeNameError, soa), time.Minute},
		{"no data", reply(t, 0, soa), time.Minute},
		{"denial without SOA", reply(t, dns.RcodeNameError), 0},
		{"long denial", reply(t, dns.RcodeNameError, "example. 99999 IN SOA ns.example. h.example. 1 2 3 4 99999"), maxDenial},
		{"failure", reply(t, dns.RcodeServerFailure, soa), 0},
	} {
		if got := lifetime(c.m, c.m.Rcode); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

var aKey = key{name: "a.example.", qtype: dns.TypeA}

// fill puts an answer into the cache as fetching does.
func fill(t testing.TB, c *cache, k key, m *dns.Msg) *entry {
	t.Helper()
	e, err := c.once(t.Context(), k, func() (*entry, error) { return newEntry(k, m) })
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestCachedAnswersAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache()
		fill(t, c, aKey, reply(t, 0, "a.example. 100 IN A 192.0.2.1"))
		time.Sleep(40 * time.Second)
		e := c.get(aKey.bytes())
		m := new(dns.Msg)
		if err := e.reply(m); err != nil || len(m.Answer) != 1 || m.Answer[0].Header().Ttl != 60 || !e.fresh() {
			t.Fatalf("after 40 of 100 s: %v, %v", m, err)
		}
		if e.wantsRefresh(40 * time.Second) {
			t.Error("wants a refresh long before its end")
		}
		if !e.wantsRefresh(95*time.Second) || e.wantsRefresh(96*time.Second) {
			t.Error("wants a refresh not once shortly before its end")
		}
		time.Sleep(time.Hour)
		m = new(dns.Msg)
		if err := e.reply(m); err != nil || e.fresh() || m.Answer[0].Header().Ttl != 30 {
			t.Errorf("stale: %v, %v", m, err)
		}
		time.Sleep(24 * time.Hour)
		if c.get(aKey.bytes()) != nil {
			t.Error("stale for more than a day")
		}
	})
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache()
	var records []string
	for i := range 100 {
		records = append(records, fmt.Sprintf("x.example. 300 IN A 192.0.2.%d", i))
	}
	m := reply(t, 0, records...)
	fill(t, c, aKey, m)
	for i := range 60_000 {
		fill(t, c, key{name: fmt.Sprintf("n%d.example.", i), qtype: dns.TypeA}, m)
		if i%1000 == 0 {
			c.get(aKey.bytes())
		}
	}
	if c.bytes > maxCacheBytes || len(c.entries) != c.order.Len() || len(c.entries) > 50_000 {
		t.Errorf("%d bytes in %d entries, %d in order", c.bytes, len(c.entries), c.order.Len())
	}
	if c.get(aKey.bytes()) == nil {
		t.Error("dropped an entry that is in use")
	}
}

func TestEqualQuestionsAreAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache()
		var asked atomic.Int32
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				e, err := c.once(t.Context(), aKey, func() (*entry, error) {
					asked.Add(1)
					time.Sleep(time.Second)
					return newEntry(aKey, reply(t, 0, "a.example. 100 IN A 192.0.2.1"))
				})
				if err != nil || e.an != 1 {
					t.Errorf("%v, %v", e, err)
				}
			})
		}
		all.Wait()
		if asked.Load() != 1 {
			t.Errorf("asked %d times", asked.Load())
		}
	})
}

// A cached answer by the plain path is the one by the general handler.
func TestFastCacheHit(t *testing.T) {
	s := New(Config{})
	if err := s.SetForwarding(Forwarding{
		Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	}); err != nil {
		t.Fatal(err)
	}
	answer := reply(t, 0, "a.example. 100 IN CNAME b.example.", "b.example. 50 IN A 192.0.2.1")
	answer.AuthenticatedData = true
	fill(t, s.forwarding.Load().cache, aKey, answer)
	fill(t, s.forwarding.Load().cache, key{name: "no.example.", qtype: dns.TypeA}, reply(t, dns.RcodeNameError, soa))
	for _, name := range []string{"a.example.", "A.eXample.", "no.example."} {
		for _, ad := range []bool{true, false} {
			q := new(dns.Msg)
			q.SetQuestion(name, dns.TypeA)
			q.AuthenticatedData = ad
			in, _ := q.Pack()
			p, out := new(plain), make([]byte, maxUDP)
			size := s.appendPlain(p, in, out, stranger)
			if size <= 0 {
				t.Fatalf("%s is not answered from the cache", name)
			}
			got, want := unpack(t, out[:size]), unpack(t, s.handleMessage(t.Context(), in, stranger, true)[0])
			if !strings.EqualFold(got.String(), want.String()) { // names that point into the question have its case
				t.Errorf("plain:\n%s\ngeneral:\n%s", got, want)
			}
			if got.AuthenticatedData != (ad && name != "no.example.") {
				t.Errorf("%s, asked with AD %v: AD is %v", name, ad, got.AuthenticatedData)
			}
			if n := testing.AllocsPerRun(50, func() { s.appendPlain(p, in, out, stranger) }); n != 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
	}
	if got := s.appendPlain(new(plain), mustPack(t, "a.example."), make([]byte, maxUDP), netip.MustParseAddr("203.0.113.1")); got != 0 {
		t.Error("a stranger is answered from the cache")
	}
}

func mustPack(t testing.TB, name string) []byte {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(name, dns.TypeA)
	in, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestFastestHealthyServerComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var servers []netip.AddrPort
		for i := range 3 {
			servers = append(servers, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 53))
		}
		g, err := newGroup(servers, "", environment{log: slog.New(slog.DiscardHandler)}, map[upstreamKey]*upstream{})
		if err != nil {
			t.Fatal(err)
		}
		slow, fast, broken := g[0], g[1], g[2]
		slow.note(nil, 50*time.Millisecond)
		fast.note(nil, 5*time.Millisecond)
		broken.note(nil, time.Millisecond)
		broken.note(errors.New("silent"), time.Second)
		if o := g.ordered(); o[0] != fast || o[1] != slow || o[2] != broken {
			t.Errorf("%v", o)
		}
		time.Sleep(2 * time.Second)
		if o := g.ordered(); o[0] != broken {
			t.Error("a server that rested is not tried again")
		}
		for range 2000 {
			g.ordered()
		}
		time.Sleep(time.Minute)
		if slow.delay > 2*fast.delay {
			t.Errorf("a slow server is never tried again: %v", slow.delay)
		}
	})
}

// No record is passed on with a longer life than what is kept of it.
func TestLongTTLs(t *testing.T) {
	e, err := newEntry(key{name: "a.example.", qtype: dns.TypeA}, reply(t, 0, "a.example. 4294967295 IN A 192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg).SetReply(new(dns.Msg).SetQuestion("a.example.", dns.TypeA))
	if err := e.reply(m); err != nil || len(m.Answer) != 1 || m.Answer[0].Header().Ttl > uint32(maxTTL/time.Second) {
		t.Errorf("%v, %v", m, err)
	}
}
