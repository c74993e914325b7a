package dnssrv_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

const (
	keyName = "maas-key."
	secret  = "c2VjcmV0LW9mLXRoaXMtdGVzdC1vbmx5LWFiY2RlZg=="
)

var testKeys = []dnssrv.Key{{Name: keyName, Secret: secret}}

// freePort is a port that was free on loopback a moment ago, for UDP and TCP.
func freePort(t testing.TB) int {
	t.Helper()
	for range 50 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := ln.Addr().(*net.TCPAddr).Port
		conn, err := net.ListenPacket("udp", ln.Addr().String())
		ln.Close()
		if err == nil {
			conn.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// daemon runs a name server until the test ends, and waits until it knows the zone.
func daemon(t testing.TB, port int, zone, program string, args ...string) string {
	t.Helper()
	var output bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", program, output.String())
		}
	})
	server := fmt.Sprintf("127.0.0.1:%d", port)
	eventually(t, program+" answers for "+zone, func() bool { return serialAt(server, zone) != 0 })
	return server
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 300 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// serialAt is the serial a server has of a zone, zero when it has none.
func serialAt(server, zone string) uint32 {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(zone), dns.TypeSOA)
	m, err := dns.Exchange(q, server)
	if err != nil || len(m.Answer) != 1 {
		return 0
	}
	return m.Answer[0].(*dns.SOA).Serial
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// bind serves zones, each by the given statement, with BIND.
func bind(t testing.TB, zones map[string]string) string {
	netlab.Require(t, netlab.Program("named", "bind9"))
	dir, port := t.TempDir(), freePort(t)
	conf := fmt.Sprintf(`options { directory %q; pid-file none; session-keyfile %q; listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };
	recursion no; allow-query { any; }; notify no; minimal-responses no-auth; zero-no-soa-ttl no; ixfr-from-differences no; allow-notify { 127.0.0.1; }; };
controls { };
key %q { algorithm hmac-sha256; secret %q; };
`, dir, filepath.Join(dir, "session.key"), port, keyName, secret)
	last := ""
	for zone, statement := range zones {
		conf += fmt.Sprintf("zone %q { %s };\n", zone, statement)
		last = zone
	}
	return daemon(t, port, last, "named", "-g", "-n", "1", "-c", write(t, filepath.Join(dir, "named.conf"), conf))
}

// primary is the example with everything that a secondary and an updater need.
func primary(t testing.TB) *dnssrv.Server {
	s := dnssrv.New(dnssrv.Config{})
	fillExample(t, s)
	if err := s.SetAccess(dnssrv.Access{
		Keys: testKeys, TransferKeys: []string{keyName}, Update: []dnssrv.UpdateRule{{Key: keyName, Below: "maas"}},
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// normal is an answer without what servers may do differently, by design: the order of records, the additional section,
// and the authority section of positive answers.
func normal(m *dns.Msg) string {
	m = m.Copy()
	m.Extra = nil
	if len(m.Answer) > 0 {
		m.Ns = nil
	}
	var lines []string
	for _, rr := range append(m.Answer, m.Ns...) {
		if soa, ok := rr.(*dns.SOA); ok {
			soa.Serial = 0
		}
		lines = append(lines, strings.ToLower(rr.String())) // some compress names with those of the question, in its case
	}
	slices.Sort(lines)
	return fmt.Sprintf("%s aa=%v\n%s", dns.RcodeToString[m.Rcode], m.Authoritative, strings.Join(lines, "\n"))
}

// populated is the example with many hosts, so that there are enough names to ask for.
func populated(t testing.TB) *dnssrv.Server {
	s := example(t)
	var c dnssrv.Change
	for i := range 200 {
		name := fmt.Sprintf("h%d.maas", i)
		c.Set = append(c.Set, set(name, "A", fmt.Sprintf("192.0.2.%d", i+20)), set(name, "AAAA", fmt.Sprintf("2001:db8::%x", i+1)),
			set(dnssrv.PTRName(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 20)})), "PTR", name))
		switch i % 8 {
		case 0:
			c.Set = append(c.Set, set("alias-"+name, "CNAME", name))
		case 1:
			c.Set = append(c.Set, set(name, "MX", "10 web.maas"), set(name, "TXT", `"one" "two"`))
		case 2:
			c.Set = append(c.Set, set("*."+name, "CNAME", "web.maas"))
		case 3:
			c.Set = append(c.Set, set("a.b.c."+name, "SRV", "1 2 3 "+name), set(name, "SSHFP", "4 2 "+strings.Repeat("0a", 32)))
		case 4:
			c.Set = append(c.Set, set(name, "HTTPS", "1 . alpn=h2"), set(name, "CAA", `0 issue "example.com"`), set("_443._tcp."+name, "TLSA", "3 1 1 "+strings.Repeat("0b", 32)))
		case 5:
			c.Set = append(c.Set, set("zone-"+name, "NS", "ns.zone-"+name, "ns.elsewhere.example"), set("ns.zone-"+name, "A", "192.0.2.2"))
		case 6:
			// Below h3 are a.b.c.h3, and so below the DNAME b.c.h3; alias-h6 goes on through it.
			c.Set = append(c.Set, set(name, "DNAME", fmt.Sprintf("c.h%d.maas", i-3)), set("alias-"+name, "CNAME", "a.b."+name))
		case 7:
			c.Set = append(c.Set, set("d."+name, "DNAME", "elsewhere.example"), set("e."+name, "DNAME", "h"+fmt.Sprint(i-1)+".maas"))
		}
	}
	update(t, s, c)
	return s
}

var exported = []string{"maas", "2.0.192.in-addr.arpa"}

// files are the exported zones.
func files(t testing.TB, s *dnssrv.Server) map[string]string {
	dir := t.TempDir()
	out := map[string]string{}
	for _, zone := range exported {
		var text bytes.Buffer
		if err := s.WriteZone(&text, zone); err != nil {
			t.Fatal(err)
		}
		out[zone] = write(t, filepath.Join(dir, zone), text.String())
	}
	return out
}

// BIND and Knot, serving the zones as they are exported, give the same answers to questions about every name, its
// neighbours, and names below and above, for many types, over UDP and TCP. DNS_QUESTIONS sets how many.
func TestAnswersEqualThoseOfBIND(t *testing.T) {
	s := populated(t)
	zones := map[string]string{}
	for zone, file := range files(t, s) {
		zones[zone] = fmt.Sprintf("type primary; check-names ignore; check-integrity no; file %q;", file)
	}
	compare(t, s, bind(t, zones))
}

func TestAnswersEqualThoseOfKnot(t *testing.T) {
	netlab.Require(t, netlab.Program("knotd", "knot"))
	s := populated(t)
	dir, port := t.TempDir(), freePort(t)
	conf := fmt.Sprintf("server:\n  listen: 127.0.0.1@%d\n  rundir: %s\ndatabase:\n  storage: %s\nzone:\n", port, dir, dir)
	for zone, file := range files(t, s) {
		conf += fmt.Sprintf("  - domain: %s\n    file: %s\n    semantic-checks: off\n", zone, file)
	}
	compare(t, s, daemon(t, port, "maas", "knotd", "-c", write(t, filepath.Join(dir, "knot.conf"), conf)))
}

// compare asks both servers the same.
func compare(t *testing.T, s *dnssrv.Server, theirs string) {
	ours := serve(t, s)
	limit := 5000
	if text := os.Getenv("DNS_QUESTIONS"); text != "" {
		if _, err := fmt.Sscan(text, &limit); err != nil {
			t.Fatal(err)
		}
	}
	all := questions(t, s)
	t.Logf("%d of %d questions", min(limit, len(all)), len(all))
	clients := []*dns.Client{{Net: "udp", UDPSize: 1232, Timeout: 5 * time.Second}, {Net: "tcp", Timeout: 5 * time.Second}}
	differences := 0
	for i := range min(limit, len(all)) {
		q := all[i*7919%len(all)] // prime: a spread sample
		client := clients[min(i%10, 9)/9]
		a, _, err := client.Exchange(q, ours)
		if err != nil {
			t.Fatal(err)
		}
		b, _, err := client.Exchange(q, theirs)
		if err != nil {
			t.Fatal(err)
		}
		if a.Truncated && b.Truncated {
			continue
		}
		if b.Rcode == dns.RcodeServerFailure && strings.HasPrefix(dns.CanonicalName(q.Question[0].Name), "loop") {
			b.Rcode = dns.RcodeSuccess // BIND calls a circle of CNAMEs a failure, Knot and we leave that to the resolver
		}
		if diff := cmp.Diff(normal(b), normal(a)); diff != "" && differences < 20 {
			differences++
			t.Errorf("%s %s by %s (-theirs +ours):\n%s", q.Question[0].Name, dns.TypeToString[q.Question[0].Qtype], client.Net, diff)
		}
	}
}

// questions are about every name of the zones, their neighbours, and names below and above, for many types.
func questions(t testing.TB, s *dnssrv.Server) []*dns.Msg {
	seen := map[string]bool{}
	var names []string
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	for _, zone := range exported {
		var text bytes.Buffer
		if err := s.WriteZone(&text, zone); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text.String()) {
			name, _, _ := strings.Cut(line, "\t")
			for _, variant := range []string{name, "a." + name, "*." + name, "x.y." + name, strings.ToUpper(name), "0" + name, strings.TrimPrefix(name, "h")} {
				add(variant)
			}
		}
	}
	var out []*dns.Msg
	for _, name := range names {
		for _, qtype := range []uint16{
			dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeSOA, dns.TypeCNAME, dns.TypeMX, dns.TypeTXT, dns.TypeSRV, dns.TypePTR, dns.TypeDS,
			dns.TypeCAA, dns.TypeHTTPS, dns.TypeTLSA, dns.TypeSSHFP, dns.TypeDNAME, 999,
		} {
			for _, do := range []bool{false, true} {
				q := new(dns.Msg)
				q.SetQuestion(name, qtype)
				q.RecursionDesired = false
				if do {
					q.SetEdns0(1232, true)
				}
				out = append(out, q)
			}
		}
	}
	return out
}

// keepsUp changes records of a primary and waits for them at its secondary, which it tells.
func keepsUp(t *testing.T, s *dnssrv.Server, secondary string) {
	t.Helper()
	if err := s.SetAccess(dnssrv.Access{
		Keys: testKeys, TransferKeys: []string{keyName}, Notify: []netip.AddrPort{netip.MustParseAddrPort(secondary)},
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.SendNotifies(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	for i := range 5 {
		update(t, s, dnssrv.Change{Set: []dnssrv.RRset{
			set("moving.maas", "A", fmt.Sprintf("192.0.2.%d", 100+i)), set(fmt.Sprintf("new%d.maas", i), "AAAA", "2001:db8::1"),
		}})
		want, _ := s.Serial("maas")
		eventually(t, "the secondary has the change", func() bool { return serialAt(secondary, "maas") == want })
	}
	q := new(dns.Msg)
	q.SetQuestion("moving.maas.", dns.TypeA)
	m, err := dns.Exchange(q, secondary)
	if err != nil || len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != "192.0.2.104" {
		t.Errorf("the secondary says %v, %v", m, err)
	}
}

func TestBINDIsASecondary(t *testing.T) {
	netlab.Require(t, netlab.Program("named", "bind9"))
	s := primary(t)
	host, port, _ := net.SplitHostPort(serve(t, s))
	secondary := bind(t, map[string]string{"maas": fmt.Sprintf(
		"type secondary; masterfile-format text; file \"maas.zone\"; request-ixfr yes; primaries { %s port %s key %q; };", host, port, keyName)})
	keepsUp(t, s, secondary)
}

func TestKnotIsASecondary(t *testing.T) {
	netlab.Require(t, netlab.Program("knotd", "knot"))
	s := primary(t)
	host, port, _ := net.SplitHostPort(serve(t, s))
	dir, own := t.TempDir(), freePort(t)
	conf := fmt.Sprintf(`server:
  listen: 127.0.0.1@%d
  rundir: %s
database:
  storage: %s
key:
  - id: maas-key
    algorithm: hmac-sha256
    secret: %s
remote:
  - id: primary
    address: %s@%s
    key: maas-key
acl:
  - id: told
    address: 127.0.0.1
    action: notify
zone:
  - domain: maas
    storage: %s
    master: primary
    acl: told
`, own, dir, dir, secret, host, port, dir)
	keepsUp(t, s, daemon(t, own, "maas", "knotd", "-c", write(t, filepath.Join(dir, "knot.conf"), conf)))
}

func TestNsupdate(t *testing.T) {
	netlab.Require(t, netlab.Program("nsupdate", "bind9-dnsutils"))
	s := primary(t)
	host, port, _ := net.SplitHostPort(serve(t, s))
	run := func(key, script string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "nsupdate", "-y", key)
		cmd.Stdin = strings.NewReader(fmt.Sprintf("server %s %s\nzone maas\n%s\nsend\n", host, port, script))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	good := "hmac-sha256:" + keyName + ":" + secret
	if out, err := run(good, "prereq nxdomain upd.maas\nupdate add upd.maas 60 A 192.0.2.99\nupdate add upd.maas 60 TXT \"hi there\"\nupdate delete web.maas AAAA"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := digest(ask(t, s, "upd.maas", "A")); got != "NOERROR aa\nan upd.maas. 60 IN A 192.0.2.99" {
		t.Error(got)
	}
	if got := digest(ask(t, s, "web.maas", "AAAA")); got != "NOERROR aa\nau SOA maas." {
		t.Error(got)
	}
	for what, c := range map[string][3]string{
		"prerequisite": {good, "prereq nxdomain upd.maas\nupdate add upd.maas 60 A 192.0.2.98", "YXDOMAIN"},
		"rrset":        {good, "prereq nxrrset upd.maas A\nupdate add upd.maas 60 A 192.0.2.98", "YXRRSET"},
		"wrong key":    {"hmac-sha256:" + keyName + ":AAAA", "update add upd.maas 60 A 192.0.2.98", ""},
		"other key":    {"hmac-sha256:other:" + secret, "update add upd.maas 60 A 192.0.2.98", ""},
	} {
		if out, err := run(c[0], c[1]); err == nil || !strings.Contains(out, c[2]) {
			t.Errorf("%s: %v: %s", what, err, out)
		}
	}
	if out, err := run(good, "update delete upd.maas"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := digest(ask(t, s, "upd.maas", "A")); !strings.HasPrefix(got, "NXDOMAIN") {
		t.Error(got)
	}
}

func TestDigTransfers(t *testing.T) {
	netlab.Require(t, netlab.Program("dig", "bind9-dnsutils"))
	s := primary(t)
	host, port, _ := net.SplitHostPort(serve(t, s))
	before, _ := s.Serial("maas")
	update(t, s, dnssrv.Change{Set: []dnssrv.RRset{set("one.maas", "A", "192.0.2.61")}})
	dig := func(args ...string) string {
		args = append([]string{"@" + host, "-p", port, "+noall", "+answer", "+nocookie"}, args...)
		out, _ := exec.CommandContext(t.Context(), "dig", args...).CombinedOutput()
		return string(out)
	}
	key := "hmac-sha256:" + keyName + ":" + secret
	if got := dig("-y", key, "maas", "AXFR"); strings.Count(got, "SOA") != 2 || !strings.Contains(got, "ns.sub.maas.") || strings.Contains(got, "WARNING") {
		t.Errorf("AXFR: %s", got)
	}
	if got := dig("-y", key, "maas", fmt.Sprintf("IXFR=%d", before)); strings.Count(got, "SOA") != 4 || strings.Count(got, "\tA\t") != 1 {
		t.Errorf("IXFR: %s", got)
	}
	if got := dig("maas", "AXFR"); !strings.Contains(got, "Transfer failed") {
		t.Errorf("AXFR without key: %s", got)
	}
	if got := dig("+cookie", "+comments", "web.maas"); !strings.Contains(got, "(good)") {
		t.Errorf("cookie: %s", got)
	}
}

func TestKdig(t *testing.T) {
	netlab.Require(t, netlab.Program("kdig", "knot-dnsutils"))
	s := primary(t)
	host, port, _ := net.SplitHostPort(serve(t, s))
	for args, want := range map[string]string{
		"web.maas AAAA +short":                                    "2001:db8::7\n",
		"web.maas AAAA +short +tcp":                               "2001:db8::7\n",
		"-x 192.0.2.7 +short":                                     "web.maas.\n",
		"-y hmac-sha256:" + keyName + ":" + secret + " maas AXFR": "host.wild.maas.",
	} {
		out, err := exec.CommandContext(t.Context(), "kdig", append([]string{"@" + host, "-p", port}, strings.Fields(args)...)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) || strings.Contains(string(out), "WARNING") {
			t.Errorf("%s: %v, want %q\n%s", args, err, want, out)
		}
	}
}
