package dnssrv_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// follow makes s a secondary until stop is called or the test ends.
func follow(t *testing.T, s *dnssrv.Server, conf dnssrv.Secondary) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Follow(ctx, conf) }()
	stopped := false
	stop = func() {
		cancel()
		if !stopped {
			stopped = true
			if err := <-done; err != nil {
				t.Errorf("follow: %v", err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// zoneText is the zone as the server has it, without serials.
func zoneText(t *testing.T, s *dnssrv.Server, zone string) string {
	t.Helper()
	var b strings.Builder
	if err := s.WriteZone(&b, zone); err != nil {
		return err.Error()
	}
	lines := strings.Split(b.String(), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Three servers in a row: a change at the first is at the last, by NOTIFY and IXFR, and a restart needs nobody.
func TestChainOfServers(t *testing.T) {
	first := primary(t)
	second, third := dnssrv.New(dnssrv.Config{}), dnssrv.New(dnssrv.Config{})
	if err := third.SetAccess(dnssrv.Access{Keys: testKeys}); err != nil {
		t.Fatal(err)
	}
	addr1, addr2, addr3 := serve(t, first), serve(t, second), serve(t, third)
	file := filepath.Join(t.TempDir(), "maas.zone")
	for s, next := range map[*dnssrv.Server]string{first: addr2, second: addr3} {
		access := dnssrv.Access{Keys: testKeys, TransferKeys: []string{keyName}, Notify: []netip.AddrPort{netip.MustParseAddrPort(next)}}
		if err := s.SetAccess(access); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.SendNotifies(ctx) }()
		t.Cleanup(func() { cancel(); <-done })
	}
	follow(t, second, dnssrv.Secondary{Zone: "maas", Primaries: []netip.AddrPort{netip.MustParseAddrPort(addr1)}, Key: keyName})
	stop := follow(t, third, dnssrv.Secondary{Zone: "maas", Primaries: []netip.AddrPort{netip.MustParseAddrPort(addr2)}, Key: keyName, File: file})
	same := func() bool { return zoneText(t, first, "maas") == zoneText(t, third, "maas") }
	eventually(t, "the zone is at the third", same)
	for i := range 5 {
		update(t, first, dnssrv.Change{Set: []dnssrv.RRset{
			set("moving.maas", "A", fmt.Sprintf("192.0.2.%d", 100+i)), set(fmt.Sprintf("new%d.maas", i), "AAAA", "2001:db8::1"), set("web.maas", "MX", fmt.Sprint(i, " web.maas")),
		}})
		eventually(t, "the change is at the third", same)
	}
	err := third.Update(dnssrv.Change{Set: []dnssrv.RRset{set("own.maas", "A", "192.0.2.1")}})
	if err == nil || !strings.Contains(err.Error(), "follows a primary") {
		t.Errorf("an own record in a zone of another primary: %v", err)
	}
	stop()
	if got := digest(ask(t, third, "web.maas", "A")); got != "REFUSED" {
		t.Errorf("after the end: %s", got)
	}
	kept := dnssrv.New(dnssrv.Config{})
	follow(t, kept, dnssrv.Secondary{Zone: "maas", Primaries: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}, File: file})
	eventually(t, "the kept zone is served", func() bool { return zoneText(t, first, "maas") == zoneText(t, kept, "maas") })
}

func TestSecondariesAreChecked(t *testing.T) {
	s := example(t)
	some := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}
	for want, conf := range map[string]dnssrv.Secondary{
		"served already":      {Zone: "maas", Primaries: some},
		"needs a primary":     {Zone: "other"},
		"not a domain name":   {Zone: "..", Primaries: some},
		"an address and a po": {Zone: "other", Primaries: []netip.AddrPort{{}}},
		"not among the serv":  {Zone: "other", Primaries: some, Key: "k"},
	} {
		if err := s.Follow(t.Context(), conf); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", conf, err, want)
		}
	}
}

// Following and changing do not wait for each other.
func TestFollowBesideUpdates(t *testing.T) {
	const times = 20_000
	s := example(t)
	done := make(chan struct{}, 2)
	go func() {
		for range times {
			if s.Follow(t.Context(), dnssrv.Secondary{Zone: "maas", Primaries: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}}) == nil {
				t.Error("a zone of this server's is followed")
			}
		}
		done <- struct{}{}
	}()
	go func() {
		for range times {
			if err := s.Update(dnssrv.Change{Zones: []dnssrv.Zone{{Name: "third"}}}); err != nil {
				t.Error(err)
			}
		}
		done <- struct{}{}
	}()
	for range 2 {
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatal("both wait")
		}
	}
}

// zoneOfOthers is a zone file whose times make a secondary give up soon.
const zoneOfOthers = `$TTL 300
@ SOA ns1 hostmaster 1 1 1 3 60
@ NS ns1
ns1 A 192.0.2.1
web A 192.0.2.7
web A 192.0.2.8
*.wild TXT "any"
zero 0 A 192.0.2.9
`

// BIND is the primary: changes made there by nsupdate come, notified or not, and when it is gone for good the zone goes.
func TestFollowsBIND(t *testing.T) {
	netlab.Require(t, netlab.Program("named", "bind9"), netlab.Program("nsupdate", "bind9-dnsutils"), netlab.Program("ldns-notify", "ldnsutils"))
	file := write(t, filepath.Join(t.TempDir(), "other.zone"), zoneOfOthers)
	if err := os.Chmod(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	primary := bind(t, map[string]string{"other": fmt.Sprintf(
		"type primary; file %q; allow-transfer { key %q; }; allow-update { key %q; }; serial-update-method increment;", file, keyName, keyName)})
	s := dnssrv.New(dnssrv.Config{})
	if err := s.SetAccess(dnssrv.Access{Keys: testKeys}); err != nil {
		t.Fatal(err)
	}
	own := serve(t, s)
	follow(t, s, dnssrv.Secondary{Zone: "other", Primaries: []netip.AddrPort{netip.MustParseAddrPort(primary)}, Key: keyName})
	eventually(t, "the zone is here", func() bool { _, ok := s.Serial("other"); return ok })
	if got := digest(ask(t, s, "x.wild.other", "TXT")); got != "NOERROR aa\nan x.wild.other. 300 IN TXT \"any\"" {
		t.Error(got)
	}
	host, port, _ := net.SplitHostPort(primary)
	for i := range 3 {
		cmd := exec.CommandContext(t.Context(), "nsupdate", "-y", "hmac-sha256:"+keyName+":"+secret)
		cmd.Stdin = strings.NewReader(fmt.Sprintf("server %s %s\nzone other\nupdate add n%d.other 60 A 192.0.2.%d\nupdate delete web.other A 192.0.2.7\nsend\n", host, port, i, i))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("nsupdate: %v: %s", err, out)
		}
		ownHost, ownPort, _ := net.SplitHostPort(own)
		if out, err := exec.CommandContext(t.Context(), "ldns-notify", "-z", "other", "-p", ownPort, ownHost).CombinedOutput(); err != nil {
			t.Fatalf("ldns-notify: %v: %s", err, out)
		}
		eventually(t, "the change is here", func() bool { return serialAt(own, "other") == serialAt(primary, "other") })
		if got := digest(ask(t, s, fmt.Sprintf("n%d.other", i), "A")); !strings.HasPrefix(got, "NOERROR aa\nan n") {
			t.Error(got)
		}
	}
	if got := digest(ask(t, s, "web.other", "A")); got != "NOERROR aa\nan web.other. 300 IN A 192.0.2.8" {
		t.Error(got)
	}
}

func TestZoneGoesWhenItsPrimaryIsGone(t *testing.T) {
	netlab.Require(t, netlab.Program("named", "bind9"))
	s := dnssrv.New(dnssrv.Config{})
	t.Run("primary", func(lives *testing.T) {
		file := write(lives, filepath.Join(lives.TempDir(), "other.zone"), zoneOfOthers)
		primary := bind(lives, map[string]string{"other": fmt.Sprintf("type primary; file %q; allow-transfer { any; };", file)})
		follow(t, s, dnssrv.Secondary{Zone: "other", Primaries: []netip.AddrPort{netip.MustParseAddrPort(primary)}})
		eventually(lives, "the zone is here", func() bool { _, ok := s.Serial("other"); return ok })
	})
	eventually(t, "the zone is gone", func() bool { _, ok := s.Serial("other"); return !ok })
}

func TestKnotIsAPrimary(t *testing.T) {
	netlab.Require(t, netlab.Program("knotd", "knot"))
	dir, port := t.TempDir(), freePort(t)
	write(t, filepath.Join(dir, "other.zone"), zoneOfOthers)
	conf := fmt.Sprintf(`server:
  listen: 127.0.0.1@%d
  rundir: %[2]s
database:
  storage: %[2]s
acl:
  - id: all
    address: 127.0.0.1
    action: transfer
zone:
  - domain: other
    storage: %[2]s
    file: other.zone
    acl: all
`, port, dir)
	primary := daemon(t, port, "other", "knotd", "-c", write(t, filepath.Join(dir, "knot.conf"), conf))
	s := dnssrv.New(dnssrv.Config{})
	follow(t, s, dnssrv.Secondary{Zone: "other", Primaries: []netip.AddrPort{netip.MustParseAddrPort(primary)}})
	eventually(t, "the zone is here", func() bool { return len(ask(t, s, "web.other", "A").Answer) == 2 })
}

// Damaged transfers change nothing.
func TestSignedZonesAreNotFollowed(t *testing.T) {
	rr, err := dns.NewRR(`web.other. 60 IN NSEC \000.web.other. A`)
	if err != nil {
		t.Fatal(err)
	}
	soa, _ := dns.NewRR("other. 60 IN SOA ns.other. h.other. 1 1 1 3 60")
	ns, _ := dns.NewRR("other. 60 IN NS ns.other.")
	for name, records := range map[string][]dns.RR{
		"signed": {soa, ns, rr, soa}, "without servers": {soa, soa}, "without end": {soa, ns}, "without SOA": {ns},
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			m.Answer = records
			_ = w.WriteMsg(m)
		})}
		done, started := make(chan error, 1), make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { done <- server.ActivateAndServe() }()
		<-started
		s := dnssrv.New(dnssrv.Config{})
		stop := follow(t, s, dnssrv.Secondary{Zone: "other", Primaries: []netip.AddrPort{netip.MustParseAddrPort(ln.Addr().String())}})
		if name != "without end" { // that one waits for more
			for i := 0; i < 20; i++ {
				if _, ok := s.Serial("other"); ok {
					t.Errorf("%s: the zone is served", name)
				}
			}
		}
		stop()
		_ = server.Shutdown()
		<-done
	}
}

func TestSerialsNeverGoBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "serials")
	var last uint32
	for restart := range 4 {
		serials, err := dnssrv.OpenSerials(path)
		if err != nil {
			t.Fatal(err)
		}
		s := dnssrv.New(dnssrv.Config{Serials: serials})
		update(t, s, dnssrv.Change{Zones: []dnssrv.Zone{{Name: "maas"}}})
		if now, _ := s.Serial("maas"); now <= last {
			t.Fatalf("restart %d begins with %d after %d", restart, now, last)
		}
		for i := range 20_000 { // faster than the clock, and more than is reserved at once
			update(t, s, dnssrv.Change{Set: []dnssrv.RRset{set("a.maas", "A", fmt.Sprintf("192.0.2.%d", i%2))}})
		}
		last, _ = s.Serial("maas")
		update(t, s, dnssrv.Change{RemoveZones: []string{"maas"}})
		update(t, s, dnssrv.Change{Zones: []dnssrv.Zone{{Name: "maas"}}})
		if now, _ := s.Serial("maas"); now <= last {
			t.Fatalf("a zone that comes back begins with %d after %d", now, last)
		}
		last, _ = s.Serial("maas")
	}
	write(t, path, "nonsense")
	if _, err := dnssrv.OpenSerials(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("damaged file: %v", err)
	}
}
