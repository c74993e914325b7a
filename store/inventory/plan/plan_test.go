package plan_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/internal/sitetest"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/setting"
)

func TestPlanDHCP(t *testing.T) {
	m := model(t, sitetest.Site(t))
	snap := plan.DHCP(m, m.Racks[0])
	var b strings.Builder
	for _, s := range snap.Subnets {
		fmt.Fprintf(&b, "subnet %s link=%q segment=%s server=%s routers=%v dns=%v ntp=%v mtu=%d domain=%s search=%v\n", s.Name, s.Link, s.SharedNetwork, s.Server, s.Routers, s.DNS, s.NTP, s.MTU, s.Domain, s.Search)
		for _, p := range s.Pools {
			fmt.Fprintf(&b, "  pool %s-%s\n", p.First, p.Last)
		}
		for _, r := range s.Routes {
			fmt.Fprintf(&b, "  route %s via %s\n", r.Dest, r.Via)
		}
	}
	for _, r := range snap.Reservations {
		fmt.Fprintf(&b, "%s %s aliases=%v %s %s\n", r.Name, r.MAC, r.Aliases, r.Addr, r.Hostname)
	}
	want := `subnet 10.0.0.0/24 link="eth0" segment=vlan-1 server=10.0.0.2 routers=[10.0.0.1] dns=[10.0.0.2 9.9.9.9] ntp=[10.0.0.123] mtu=0 domain=maas search=[maas lab.example]
  pool 10.0.0.191-10.0.0.254
  route 10.7.0.0/24 via 10.0.0.3
subnet 10.7.0.0/24 link="" segment=vlan-2 server=10.0.0.2 routers=[] dns=[] ntp=[10.0.0.123] mtu=9000 domain=maas search=[maas lab.example]
  pool 10.7.0.100-10.7.0.199
node1-eth0 52:54:00:00:00:01 aliases=[] 10.0.0.50 node1
node1-eth1 52:54:00:00:00:02 aliases=[] 10.0.0.51 node1
bonded-bond0 52:54:00:00:00:03 aliases=[52:54:00:00:00:04] 10.0.0.60 bonded
reserved-10.0.0.70 52:54:00:00:00:05 aliases=[] 10.0.0.70 leased
reserved-10.0.0.71 52:54:00:00:00:08 aliases=[] 10.0.0.71 
printer-eth0 52:54:00:00:00:09 aliases=[] 10.0.0.95 printer
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	srv, err := dhcpsrv.New(dhcpsrv.Config{})
	ok(t, err)
	ok(t, srv.Update(snap))
	if other := plan.DHCP(m, inventory.Rack{Name: "rack2"}); len(other.Subnets) != 0 {
		t.Errorf("a rack of no VLAN serves %+v", other.Subnets)
	}
}

// Both racks of a VLAN serve all of it, as partners; clients are told both
// racks' DNS.
func TestPlanDHCPOfSecondaryRack(t *testing.T) {
	inv, ctx := sitetest.Site(t), t.Context()
	must[inventory.Rack](t)(inv.RegisterRack(ctx, inventory.Rack{Name: "rack2", Links: []inventory.RackLink{{Name: "ens3", Addrs: []netip.Prefix{prefix("10.0.0.4/24")}}}}))
	v := must[ipam.VLAN](t)(inv.DefaultVLAN(ctx, 0))
	v.SecondaryRack = "rack2"
	ok(t, errOf(inv.VLANs.Update(ctx, v)))
	if err := inv.Settings.Set(ctx, setting.Takeover, "5"); err == nil {
		t.Error("a takeover after 5 seconds was accepted")
	}
	ok(t, inv.Settings.Set(ctx, setting.Takeover, "90"))
	m := model(t, inv)
	var b strings.Builder
	for _, rack := range m.Racks {
		snap := plan.DHCP(m, rack)
		for _, s := range snap.Subnets {
			fmt.Fprintf(&b, "%s: %s link=%q server=%s dns=%v pools=%d partner=%s %v secondary=%v\n", rack.Name, s.Name, s.Link, s.Server, s.DNS, len(s.Pools), s.Partner, s.PartnerServer, s.Secondary)
		}
		fmt.Fprintf(&b, "%s: partners %v\n", rack.Name, snap.Partners)
		fixed := 0
		for _, r := range snap.Reservations {
			if r.Addr.IsValid() {
				fixed++
			}
		}
		fmt.Fprintf(&b, "%s: %d fixed addresses\n", rack.Name, fixed)
		fmt.Fprintf(&b, "%s: boot servers %v\n", rack.Name, plan.BootServers(m, rack))
		srv, err := dhcpsrv.New(dhcpsrv.Config{})
		ok(t, err)
		ok(t, srv.Update(snap))
	}
	want := `rack1: 10.0.0.0/24 link="eth0" server=10.0.0.2 dns=[10.0.0.2 10.0.0.4 9.9.9.9] pools=1 partner=rack2 10.0.0.4 secondary=false
rack1: 10.7.0.0/24 link="" server=10.0.0.2 dns=[] pools=1 partner=rack2 10.0.0.4 secondary=false
rack1: partners [{rack2 rack1 [10.0.0.4] 1m30s}]
rack1: 6 fixed addresses
rack1: boot servers [{10.0.0.0/24 [10.0.0.2 10.0.0.4]} {10.7.0.0/24 [10.0.0.2 10.0.0.4]}]
rack2: 10.0.0.0/24 link="ens3" server=10.0.0.4 dns=[10.0.0.4 10.0.0.2 9.9.9.9] pools=1 partner=rack1 10.0.0.2 secondary=true
rack2: 10.7.0.0/24 link="" server=10.0.0.4 dns=[] pools=1 partner=rack1 10.0.0.2 secondary=true
rack2: partners [{rack1 rack2 [10.0.0.2] 1m30s}]
rack2: 6 fixed addresses
rack2: boot servers [{10.0.0.0/24 [10.0.0.4 10.0.0.2]} {10.7.0.0/24 [10.0.0.4 10.0.0.2]}]
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Another server gives the addresses: the racks only say what to boot, and found out by themselves only where they hear.
func TestPlanDHCPMode(t *testing.T) {
	inv, ctx := sitetest.Site(t), t.Context()
	modes := func() string {
		m := model(t, inv)
		snap := plan.DHCP(m, m.Racks[0])
		srv, err := dhcpsrv.New(dhcpsrv.Config{FindServers: dhcplink.FindServers})
		ok(t, err)
		ok(t, srv.Update(snap))
		var b strings.Builder
		for _, s := range snap.Subnets {
			fmt.Fprintf(&b, "%s %v %d %d; ", s.Name, s.Mode, s.CircuitQuota, s.LinkQuota)
		}
		return b.String()
	}
	v := must[ipam.VLAN](t)(inv.DefaultVLAN(ctx, 0))
	v.DHCPMode = "perhaps"
	if _, err := inv.VLANs.Update(ctx, v); err == nil {
		t.Error("a mode that there is not was accepted")
	}
	ok(t, inv.Settings.Set(ctx, setting.CircuitQuota, "8"))
	ok(t, inv.Settings.Set(ctx, setting.LinkQuota, "9"))
	for mode, want := range map[ipam.DHCPMode]string{
		ipam.DHCPServe: "10.0.0.0/24 serve 8 9; 10.7.0.0/24 serve 8 9; ", ipam.DHCPProxy: "10.0.0.0/24 proxy 8 9; 10.7.0.0/24 proxy 8 9; ",
		ipam.DHCPAuto: "10.0.0.0/24 auto 8 9; 10.7.0.0/24 serve 8 9; ",
	} {
		v = must[ipam.VLAN](t)(inv.DefaultVLAN(ctx, 0))
		v.DHCPMode = mode
		ok(t, errOf(inv.VLANs.Update(ctx, v)))
		if got := modes(); got != want {
			t.Errorf("%q: %s, want %s", mode, got, want)
		}
	}
}

func TestPlanDNS(t *testing.T) {
	plan := plan.DNS(model(t, sitetest.Site(t)))
	var b strings.Builder
	for _, z := range plan.Zones {
		fmt.Fprintf(&b, "zone %s %d %v\n", z.Name, z.TTL, z.NS)
		for _, r := range z.Ranges {
			fmt.Fprintf(&b, "  names of %s-%s in %q\n", r.From, r.To, r.Domain)
		}
	}
	for _, s := range plan.Sets {
		learned := ""
		if s.Learned {
			learned = " learned"
		}
		fmt.Fprintf(&b, "%s %d %s %s%s\n", s.Name, s.TTL, s.Type, strings.Join(s.Data, ", "), learned)
	}
	fmt.Fprintln(&b, plan.Forwarding.Servers, plan.Forwarding.Allow, plan.Forwarding.Domains)
	want := `zone 0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa 30 [ns.maas ns2.example]
zone 0.0.10.in-addr.arpa 30 [ns.maas ns2.example]
  names of 10.0.0.191-10.0.0.254 in "maas"
zone 0.8.10.in-addr.arpa 30 [ns.maas ns2.example]
zone 2.0.192.in-addr.arpa 30 [ns.maas ns2.example]
zone 64-26.2.0.192.in-addr.arpa 30 [ns.maas ns2.example]
zone lab.example 60 [ns.maas ns2.example]
zone maas 30 [ns.maas ns2.example]
  names of 10.0.0.191-10.0.0.254 in ""
  names of 10.7.0.100-10.7.0.199 in ""
zone maas-internal 15 [ns.maas ns2.example]
0.0.0.0.0.0.0.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa 0 PTR node1.maas
10-0-0-0--24.maas-internal 0 A 10.0.0.2
10-0-0-91.maas 0 A 10.0.0.91
10-7-0-0--24.maas-internal 0 A 10.0.0.2
2.0.0.10.in-addr.arpa 0 PTR rack1.maas
200.0.0.10.in-addr.arpa 0 PTR leased.maas learned
201.0.0.10.in-addr.arpa 0 PTR laptop.maas learned
50.0.0.10.in-addr.arpa 0 PTR node1.maas
51.0.0.10.in-addr.arpa 0 PTR eth1.node1.maas
60.0.0.10.in-addr.arpa 0 PTR bonded.lab.example
65.2.0.192.in-addr.arpa 0 CNAME 65.64-26.2.0.192.in-addr.arpa
65.64-26.2.0.192.in-addr.arpa 0 PTR node1.maas
80.0.0.10.in-addr.arpa 0 PTR web.maas
90.0.0.10.in-addr.arpa 0 PTR db.maas
91.0.0.10.in-addr.arpa 0 PTR 10-0-0-91.maas
95.0.0.10.in-addr.arpa 0 PTR printer.maas
_sip._tcp.maas 5 SRV 0 5 5060 node1.maas
bonded.lab.example 0 A 10.0.0.60
db.maas 0 A 10.0.0.90
eth1.node1.maas 0 A 10.0.0.51
laptop.maas 0 A 10.0.0.201 learned
leased.maas 0 A 10.0.0.200 learned
maas 0 MX 10 mail.maas
node1.maas 0 A 10.0.0.50, 192.0.2.65
node1.maas 0 AAAA fd00::1:0:0
node1.maas 0 TXT "a b"
ns.maas 0 A 10.0.0.2
printer.maas 0 A 10.0.0.95
rack1.maas 0 A 10.0.0.2
web.maas 0 A 10.0.0.80
www.maas 0 CNAME node1.maas
[1.1.1.1:53 8.8.8.8:5353] [10.0.0.0/24 10.7.0.0/24 10.8.0.0/24 172.16.0.0/12 192.0.2.64/26] [{corp.example [10.9.9.9:53]}]
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	srv := dnssrv.New(dnssrv.Config{})
	ok(t, srv.Update(dnssrv.Change{Zones: plan.Zones, Set: plan.Sets}))
	ok(t, srv.SetForwarding(plan.Forwarding))
}

func TestWhatMachinesBoot(t *testing.T) {
	plan := sitetest.BootsOf(t, model(t, sitetest.Site(t)))
	for _, tt := range []struct {
		mac  int
		kind pxe.Kind
		file string
	}{{1, pxe.Local, ""}, {2, pxe.Local, ""}, {9, pxe.Local, ""}, {5, "", "vmlinuz"}, {99, "", "vmlinuz"}} {
		p, err := plan.Resolve(t.Context(), pxe.Request{MAC: mac(tt.mac)})
		if err != nil || p.Kind != tt.kind || p.Kernel != tt.file {
			t.Errorf("%s: %+v, %v", mac(tt.mac), p, err)
		}
	}
}

// A plan is the same for the same model, so that nothing is sent when nothing changed.
func TestPlansAreStable(t *testing.T) {
	inv := sitetest.Site(t)
	m, again := model(t, inv), model(t, inv)
	if d := cmp.Diff(fmt.Sprintf("%+v", plan.DNS(m)), fmt.Sprintf("%+v", plan.DNS(again))); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(fmt.Sprintf("%+v", plan.DHCP(m, m.Racks[0])), fmt.Sprintf("%+v", plan.DHCP(again, again.Racks[0]))); d != "" {
		t.Error(d)
	}
}
