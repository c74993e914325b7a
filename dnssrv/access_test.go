package dnssrv_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

func allow(t testing.TB, s *dnssrv.Server, a dnssrv.Access) {
	t.Helper()
	a.Keys = append(a.Keys, testKeys...)
	if err := s.SetAccess(a); err != nil {
		t.Fatal(err)
	}
}

// fetch transfers a zone and returns how many messages came, or what went wrong.
func fetch(server, zone, key, algorithm string) string {
	q := new(dns.Msg)
	q.SetAxfr(dns.Fqdn(zone))
	tr := &dns.Transfer{}
	if key != "" {
		tr.TsigSecret = map[string]string{key: secret}
		q.SetTsig(key, algorithm, 300, time.Now().Unix())
	}
	envelopes, err := tr.In(q, server)
	if err != nil {
		return err.Error()
	}
	got := "ok"
	for e := range envelopes {
		if e.Error != nil {
			got = e.Error.Error()
		}
	}
	return got
}

// What is allowed in one zone is not in another.
func TestAccessOfZones(t *testing.T) {
	s := example(t)
	server := serve(t, s)
	const refused, badKey = "dns: bad xfr rcode: 5", "dns: bad authentication"
	for _, c := range []struct {
		name      string
		access    dnssrv.Access
		zone, key string
		want      string
	}{
		{"nobody", dnssrv.Access{}, "maas", keyName, refused},
		{"a key in its zone", dnssrv.Access{Zones: []dnssrv.ZoneAccess{{Zone: "MAAS.", TransferKeys: []string{"Maas-Key"}}}}, "maas", keyName, "ok"},
		{"without the key", dnssrv.Access{Zones: []dnssrv.ZoneAccess{{Zone: "maas", TransferKeys: []string{keyName}}}}, "maas", "", refused},
		{"another zone", dnssrv.Access{Zones: []dnssrv.ZoneAccess{{Zone: "maas", TransferKeys: []string{keyName}}}}, "2.0.192.in-addr.arpa", keyName, refused},
		{"a network in its zone", dnssrv.Access{Zones: []dnssrv.ZoneAccess{{Zone: "maas", Transfer: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}}, "maas", "", "ok"},
		{"all zones", dnssrv.Access{TransferKeys: []string{keyName}}, "2.0.192.in-addr.arpa", keyName, "ok"},
		{"an unknown key", dnssrv.Access{TransferKeys: []string{keyName}}, "maas", "other.", badKey},
	} {
		allow(t, s, c.access)
		if got := fetch(server, c.zone, c.key, dns.HmacSHA256); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	allow(t, s, dnssrv.Access{TransferKeys: []string{keyName}})
	if got := fetch(server, "maas", keyName, dns.HmacSHA512); got != badKey {
		t.Errorf("the key with another algorithm: %s", got)
	}
}

func TestAccessIsChecked(t *testing.T) {
	s := example(t)
	short := dnssrv.Key{Name: "k", Secret: "c2hvcnQ="}
	for want, a := range map[string]dnssrv.Access{
		"16 octets":         {Keys: []dnssrv.Key{short}},
		"none of hmac":      {Keys: []dnssrv.Key{{Name: "k", Secret: secret, Algorithm: "hmac-md5"}}},
		"not a domain name": {Keys: []dnssrv.Key{{Name: "a..b", Secret: secret}}},
		`transfer key "x"`:  {Zones: []dnssrv.ZoneAccess{{Zone: "maas", TransferKeys: []string{"x"}}}},
		`update key "x"`:    {Update: []dnssrv.UpdateRule{{Key: "x", Below: "maas"}}},
		"address and a por": {Zones: []dnssrv.ZoneAccess{{Zone: "maas", Notify: []netip.AddrPort{{}}}}},
		`"a..b" is not`:     {Keys: testKeys, Update: []dnssrv.UpdateRule{{Key: keyName, Zone: "a..b", Below: "maas"}}},
		`no type "B"`:       {Keys: testKeys, Update: []dnssrv.UpdateRule{{Key: keyName, Below: "maas", Types: []string{"B"}}}},
	} {
		if err := s.SetAccess(a); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), string(short.Secret)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %s %q", short, short, short, short.Secret, short.Secret); strings.Contains(text, "c2hvcnQ") {
		t.Errorf("the secret shows: %s", text)
	}
	for algorithm, size := range map[string]int{"": 44, "hmac-sha384": 64, "HMAC-SHA512.": 88} {
		if k, err := dnssrv.NewKey("k", algorithm); err != nil || len(k.Secret) != size {
			t.Errorf("%q: %d, %v", algorithm, len(k.Secret), err)
		}
	}
}

// keeper is an Updater that keeps records by changing the server.
type keeper struct {
	s *dnssrv.Server

	mu    sync.Mutex // guards the fields below
	rcode int
	err   error
}

func (k *keeper) Update(_ context.Context, key string, message []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	sets, rcode := k.s.Preview(key, message)
	if rcode != dns.RcodeSuccess || k.err != nil || k.rcode != dns.RcodeSuccess {
		return max(rcode, k.rcode), k.err
	}
	return dns.RcodeSuccess, k.s.Update(dnssrv.Change{Set: sets})
}

func TestUpdatesAreKeptElsewhere(t *testing.T) {
	k := &keeper{}
	k.s = dnssrv.New(dnssrv.Config{Updates: k})
	fillExample(t, k.s)
	server := serve(t, k.s)
	allow(t, k.s, dnssrv.Access{Update: []dnssrv.UpdateRule{{Key: keyName, Zone: "MAAS.", Below: "dyn.maas", Types: []string{"A", "TXT"}}}})
	send := func(text string) string {
		m := new(dns.Msg)
		m.SetUpdate("maas.")
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Insert([]dns.RR{rr})
		m.SetTsig(keyName, dns.HmacSHA256, 300, time.Now().Unix())
		answer, _, err := (&dns.Client{TsigSecret: map[string]string{keyName: secret}}).Exchange(m, server)
		if err != nil {
			return err.Error()
		}
		return dns.RcodeToString[answer.Rcode]
	}
	for _, c := range []struct {
		name, record, want string
		rcode              int
		err                error
	}{
		{"kept", "a.dyn.maas. 60 A 192.0.2.77", "NOERROR", 0, nil},
		{"another name", "a.maas. 60 A 192.0.2.77", "REFUSED", 0, nil},
		{"another type", "a.dyn.maas. 60 AAAA 2001:db8::1", "REFUSED", 0, nil},
		{"refused by the keeper", "b.dyn.maas. 60 A 192.0.2.77", "REFUSED", dns.RcodeRefused, nil},
		{"no keeper", "b.dyn.maas. 60 A 192.0.2.77", "SERVFAIL", 0, errors.New("away")},
	} {
		k.mu.Lock()
		k.rcode, k.err = c.rcode, c.err
		k.mu.Unlock()
		if got := send(c.record); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if got := digest(ask(t, k.s, "a.dyn.maas", "A")); got != "NOERROR aa\nan a.dyn.maas. 60 IN A 192.0.2.77" {
		t.Error(got)
	}
}

// A client that may change nothing learns nothing by an update that changes nothing, and such an
// update costs no work.
func TestUpdatesOfNothing(t *testing.T) {
	k := &keeper{err: errors.New("asked")}
	k.s = dnssrv.New(dnssrv.Config{Updates: k})
	fillExample(t, k.s)
	server := serve(t, k.s)
	ask := func(signed bool) string {
		m := new(dns.Msg).SetUpdate("maas.")
		m.NameUsed([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: "web.maas."}}})
		c := &dns.Client{TsigSecret: map[string]string{keyName: secret}}
		if signed {
			m.SetTsig(keyName, dns.HmacSHA256, 300, time.Now().Unix())
		}
		answer, _, err := c.Exchange(m, server)
		if err != nil {
			return err.Error()
		}
		return dns.RcodeToString[answer.Rcode]
	}
	allow(t, k.s, dnssrv.Access{})
	for _, signed := range []bool{false, true} {
		if got := ask(signed); got != "REFUSED" {
			t.Errorf("signed %v: %s", signed, got)
		}
	}
	allow(t, k.s, dnssrv.Access{Update: []dnssrv.UpdateRule{{Key: keyName, Below: "maas"}}})
	if got := ask(true); got != "NOERROR" {
		t.Error(got)
	}
}

func TestNormal(t *testing.T) {
	got, err := dnssrv.RRset{Name: "A.Example", Type: "srv", Data: []string{"00 5 8080 Web.Example"}}.Normal()
	want := dnssrv.RRset{Name: "a.example.", Type: "SRV", Data: []string{"0 5 8080 Web.Example."}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if _, err := (dnssrv.RRset{Name: "a.example", Type: "CAA", Data: []string{"issue"}}).Normal(); err == nil {
		t.Error("accepted")
	}
}

// askSigned asks by UDP, signed at a time, and returns the answer and what is wrong with its signature.
func askSigned(t *testing.T, server string, q *dns.Msg, at time.Time) (*dns.Msg, error) {
	t.Helper()
	q.SetTsig(keyName, dns.HmacSHA256, 300, at.Unix())
	wire, mac, err := dns.TsigGenerate(q, secret, "", false)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(wire); err != nil {
		t.Fatal(err)
	}
	in := make([]byte, dns.MaxMsgSize)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := conn.Read(in)
	if err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(in[:n]); err != nil {
		t.Fatal(err)
	}
	sig := m.IsTsig()
	if sig == nil {
		t.Fatalf("not signed: %v", m)
	}
	if _, want, err := dns.TsigGenerate(m.Copy(), secret, mac, false); err != nil || sig.MAC != want { // the library's check wants no error
		return m, fmt.Errorf("the signature is %s, not %s: %v", sig.MAC, want, err)
	}
	return m, nil
}

// An answer that does not fit into a datagram is signed once it has been cut.
func TestSignatureOfTruncatedAnswer(t *testing.T) {
	s := example(t)
	var big []string
	for i := range 10 {
		big = append(big, fmt.Sprint(i, strings.Repeat("x", 200)))
	}
	update(t, s, dnssrv.Change{Set: []dnssrv.RRset{set("big.maas", "TXT", big...)}})
	allow(t, s, dnssrv.Access{})
	m, err := askSigned(t, serve(t, s), new(dns.Msg).SetQuestion("big.maas.", dns.TypeTXT), time.Now())
	if err != nil || !m.Truncated || len(m.Answer) != 0 {
		t.Errorf("%v: %v", err, m)
	}
}

// A client with the wrong time is told the right one, by an answer that it can verify (RFC 8945
// section 5.2.3).
func TestSignatureOfAnotherTime(t *testing.T) {
	s := example(t)
	allow(t, s, dnssrv.Access{})
	at := time.Now().Add(-time.Hour)
	m, err := askSigned(t, serve(t, s), new(dns.Msg).SetQuestion("web.maas.", dns.TypeA), at)
	sig := m.IsTsig()
	if m.Rcode != dns.RcodeNotAuth || len(m.Answer) != 0 || err != nil {
		t.Fatalf("%v: %v", err, m)
	}
	now, err := strconv.ParseInt(sig.OtherData, 16, 64)
	if sig.Error != dns.RcodeBadTime || sig.TimeSigned != uint64(at.Unix()) || sig.OtherLen != 6 || err != nil || time.Since(time.Unix(now, 0)).Abs() > time.Minute {
		t.Errorf("%v: %v", err, sig)
	}
}
