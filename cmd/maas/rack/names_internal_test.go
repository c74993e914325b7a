package rack

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/dnssrv/dnsupdate"
)

// naming is a rack's names over a DNS server, with machines by MAC.
type naming struct {
	t        *testing.T
	dns      *dnssrv.Server
	names    *names
	machines map[string]string
}

func newNaming(t *testing.T) *naming {
	t.Helper()
	n := &naming{t: t, dns: dnssrv.New(dnssrv.Config{}), machines: map[string]string{}}
	if err := n.dns.Update(dnssrv.Change{Zones: []dnssrv.Zone{{Name: "maas"}, {Name: "2.0.192.in-addr.arpa"}}}); err != nil {
		t.Fatal(err)
	}
	n.names = newNames(n.dns, func(mac net.HardwareAddr) string { return n.machines[mac.String()] })
	n.names.taken = func(label string) bool {
		for _, name := range n.machines {
			if name == label {
				return true
			}
		}
		return false
	}
	n.names.setDomains([]dhcpsrv.Subnet{{Name: "lan", Domain: "maas"}})
	return n
}

// lease is one of a client.
func lease(mac byte, addr, hostname string) dhcpsrv.Lease {
	return dhcpsrv.Lease{
		Addr: netip.MustParseAddr(addr), State: dhcpsrv.Bound, MAC: net.HardwareAddr{2, 0, 0, 0, 0, mac}, Hostname: hostname, Subnet: "lan",
		Start: time.Unix(int64(mac), 0),
	}
}

func (n *naming) grant(mac byte, addr, hostname string) {
	n.names.event(dhcpsrv.Event{Kind: dhcpsrv.Granted, Lease: lease(mac, addr, hostname)})
}

func (n *naming) release(mac byte, addr, hostname string) {
	n.names.event(dhcpsrv.Event{Kind: dhcpsrv.Released, Lease: lease(mac, addr, hostname)})
}

// expect compares the addresses of a name.
func (n *naming) expect(name string, want ...string) {
	n.t.Helper()
	m := handled(n.t.Context(), n.dns, new(dns.Msg).SetQuestion(name+".maas.", dns.TypeA), netip.MustParseAddr("192.0.2.9"))
	var got []string
	for _, rr := range m.Answer {
		got = append(got, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		n.t.Errorf("%s is %v, want %v", name, got, want)
	}
}

// A name that a client sends takes nothing from a machine, nor from the client that had it first.
func TestNamesHaveOwners(t *testing.T) {
	n := newNaming(t)
	n.machines["02:00:00:00:00:01"] = "db-1"
	n.grant(6, "192.0.2.166", "db-1")
	n.expect("db-1") // the machine has no lease yet, and the name is its own
	n.grant(1, "192.0.2.100", "something")
	n.expect("db-1", "192.0.2.100")
	n.grant(6, "192.0.2.166", "db-1")
	n.expect("db-1", "192.0.2.100")

	n.grant(8, "192.0.2.168", "nas")
	n.grant(9, "192.0.2.169", "nas")
	n.expect("nas", "192.0.2.168")
	n.grant(8, "192.0.2.178", "nas") // another address of the same client
	n.expect("nas", "192.0.2.168", "192.0.2.178")
	n.release(8, "192.0.2.168", "nas")
	n.release(8, "192.0.2.178", "nas")
	n.expect("nas")
	n.grant(9, "192.0.2.169", "nas") // it renews, and the name is free
	n.expect("nas", "192.0.2.169")
}

// A machine takes its name from a client, when it gets a lease and when the region names it.
func TestMachinesTakeTheirNames(t *testing.T) {
	n := newNaming(t)
	n.grant(7, "192.0.2.167", "web")
	n.expect("web", "192.0.2.167")
	n.machines["02:00:00:00:00:02"] = "web"
	n.grant(2, "192.0.2.102", "")
	n.expect("web", "192.0.2.102")

	n.grant(5, "192.0.2.105", "mail")
	n.expect("mail", "192.0.2.105")
	n.machines["02:00:00:00:00:03"] = "mail"
	leases := []dhcpsrv.Lease{lease(5, "192.0.2.105", "mail")}
	n.names.rename(slices.Values(leases), map[string]bool{"02:00:00:00:00:03": true})
	n.expect("mail")
}

// Clients become no services by their host names.
func TestServiceNamesAreNoClients(t *testing.T) {
	n := newNaming(t)
	for i, name := range []string{"wpad", "WPAD", "isatap", "localhost", "ns", "maas-internal", "wpad.example"} {
		n.grant(byte(10+i), netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)}).String(), name)
	}
	n.grant(30, "192.0.2.30", "wpad-2")
	n.expect("wpad")
	n.expect("isatap")
	n.expect("ns")
	n.expect("maas-internal")
	n.expect("wpad-2", "192.0.2.30")
}

// After a restart the client that has held its lease for longest is the first one, whatever its address.
func TestTheFirstAfterARestart(t *testing.T) {
	n := newNaming(t)
	n.names.refresh(slices.Values([]dhcpsrv.Lease{lease(9, "192.0.2.1", "nas"), lease(3, "192.0.2.200", "nas")}))
	n.expect("nas", "192.0.2.200")
}

// handled returns the answer of a DNS server to a message.
func handled(ctx context.Context, s *dnssrv.Server, q *dns.Msg, client netip.Addr) *dns.Msg {
	in, err := q.Pack()
	if err != nil {
		panic(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(s.Handle(ctx, in, client)); err != nil {
		panic(err)
	}
	return m
}

// sent is a DNS server of others that notes what it is asked.
type sent struct{ said []string }

func (s *sent) Set(h dnsupdate.Host) {
	s.said = append(s.said, "+"+h.Name+" "+h.Addr.String()+" "+h.MAC.String())
}
func (s *sent) Remove(h dnsupdate.Host) {
	s.said = append(s.said, "-"+h.Name+" "+h.Addr.String()+" "+h.MAC.String())
}

// expect compares what was asked since the last call.
func (s *sent) expect(t *testing.T, what string, want ...string) {
	t.Helper()
	if !slices.Equal(s.said, want) {
		t.Errorf("%s: asked %q, want %q", what, s.said, want)
	}
	s.said = nil
}

// Servers of others get the names of leases that exist already, and each change with the client that has the name.
func TestNamesAtOthers(t *testing.T) {
	n, others := newNaming(t), &sent{}
	n.grant(1, "192.0.2.1", "one")
	leases := slices.Values([]dhcpsrv.Lease{lease(1, "192.0.2.1", "one"), lease(9, "192.0.2.9", "")})
	n.names.register([]registrar{others}, leases)
	others.expect(t, "at first", "+one.maas 192.0.2.1 02:00:00:00:00:01")
	n.grant(1, "192.0.2.1", "one")
	others.expect(t, "a renewal")
	n.grant(2, "192.0.2.2", "one")
	others.expect(t, "a name that is taken")
	n.grant(1, "192.0.2.1", "uno")
	others.expect(t, "another name", "-one.maas 192.0.2.1 02:00:00:00:00:01", "+uno.maas 192.0.2.1 02:00:00:00:00:01")
	n.release(1, "192.0.2.1", "uno")
	others.expect(t, "the end", "-uno.maas 192.0.2.1 02:00:00:00:00:01")
	n.release(3, "192.0.2.3", "three")
	others.expect(t, "the end of a lease of a former run", "-three.maas 192.0.2.3 02:00:00:00:00:03")
	n.names.refresh(leases)
	others.expect(t, "a refresh", "+one.maas 192.0.2.1 02:00:00:00:00:01")
	n.names.register(nil, nil)
	n.release(1, "192.0.2.1", "one")
	others.expect(t, "after its end")
}
