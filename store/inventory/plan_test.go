package inventory_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
	"github.com/google/go-cmp/cmp"
)

// site makes a site with one of everything that plans depend on.
func site(t testing.TB) *inventory.Inventory {
	t.Helper()
	inv, ctx := openInventory(t, "memory:"), t.Context()
	s := must[ipam.Subnet](t)(inv.Bootstrap(ctx, inventory.Bootstrap{
		Rack: "rack1", Link: "eth0", Address: prefix("10.0.0.2/24"), Gateway: addr("10.0.0.1"), DNS: []netip.Addr{addr("9.9.9.9"), addr("fd00::53")},
	}))
	small := must[ipam.Subnet](t)(inv.CreateSubnet(ctx, ipam.Subnet{Prefix: prefix("192.0.2.64/26"), DenyProxy: true}))
	v6 := must[ipam.Subnet](t)(inv.CreateSubnet(ctx, ipam.Subnet{Prefix: prefix("fd00::/64"), DenyDNS: true}))
	relayed := must[ipam.VLAN](t)(inv.CreateVLAN(ctx, ipam.VLAN{VID: 7, MTU: 9000, RelayVLANID: s.VLANID}))
	far := must[ipam.Subnet](t)(inv.CreateSubnet(ctx, ipam.Subnet{Prefix: prefix("10.7.0.0/24"), VLANID: relayed.ID, RDNS: ipam.RDNSDisabled}))
	must[ipam.Subnet](t)(inv.CreateSubnet(ctx, ipam.Subnet{Prefix: prefix("10.8.0.0/24"), Unmanaged: true}))
	must[ipam.Range](t)(inv.CreateRange(ctx, ipam.Range{SubnetID: far.ID, Type: ipam.RangeDynamic, Start: addr("10.7.0.100"), End: addr("10.7.0.199")}))
	must[ipam.StaticRoute](t)(inv.CreateRoute(ctx, ipam.StaticRoute{SourceID: s.ID, DestinationID: far.ID, Gateway: addr("10.0.0.3")}))
	lab := must[inventory.Domain](t)(inv.CreateDomain(ctx, inventory.Domain{Name: "lab.example", TTL: 60}))
	must[inventory.Domain](t)(inv.CreateDomain(ctx, inventory.Domain{Name: "corp.example", External: true, Forward: []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:53")}}))
	for _, r := range []inventory.DNSRecord{
		{Name: "@", Type: "mx", Data: "10 mail"}, {Name: "www", Type: "CNAME", Data: "node1"}, {Name: "web", Type: "A", Data: "10.0.0.80"},
		{Name: "_sip._tcp", Type: "SRV", Data: "0 5 5060 node1.maas", TTL: 5}, {Name: "node1", Type: "TXT", Data: `"a b"`},
	} {
		must[inventory.DNSRecord](t)(inv.CreateRecord(ctx, r))
	}
	fill(t, inv, s, small, v6, lab)
	return inv
}

// fill adds machines, devices, leases and reservations.
func fill(t testing.TB, inv *inventory.Inventory, s, small, v6 ipam.Subnet, lab inventory.Domain) {
	t.Helper()
	ctx := t.Context()
	node1 := must[inventory.Machine](t)(inv.CreateMachine(ctx, inventory.Machine{Hostname: "node1", Interfaces: []inventory.Interface{nic(1), nic(2)}, Profile: &pxe.Profile{Kind: pxe.Local}}))
	for _, r := range []inventory.LinkRequest{
		{Mode: ipam.LinkStatic, Addr: addr("10.0.0.50")}, {Mode: ipam.LinkStatic, SubnetID: small.ID}, {Mode: ipam.LinkStatic, SubnetID: v6.ID},
	} {
		must[ipam.Allocation](t)(inv.LinkInterface(ctx, node1.Interfaces[0].ID, r))
	}
	must[ipam.Allocation](t)(inv.LinkInterface(ctx, node1.Interfaces[1].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("10.0.0.51")}))
	bonded := must[inventory.Machine](t)(inv.CreateMachine(ctx, inventory.Machine{Hostname: "bonded", DomainID: lab.ID, Interfaces: []inventory.Interface{nic(3), nic(4)}}))
	bond := must[ipam.Interface](t)(inv.CreateInterface(ctx, ipam.Interface{
		NodeID: bonded.ID, Name: "bond0", Kind: ipam.Bond, Parents: []int64{bonded.Interfaces[0].ID, bonded.Interfaces[1].ID}, Enabled: true,
	}))
	must[ipam.Allocation](t)(inv.LinkInterface(ctx, bond.ID, inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("10.0.0.60")}))
	_, _, err := inv.Enlist(ctx, inventory.Enlistment{MAC: mac(5), Hostname: "leased"})
	ok(t, err)
	ok(t, inv.RecordLease(ctx, inventory.LeaseFact{MAC: mac(5), Addr: addr("10.0.0.200"), Hostname: "ignored", Expires: time.Now().Add(time.Hour)}))
	ok(t, inv.RecordLease(ctx, inventory.LeaseFact{MAC: mac(6), Addr: addr("10.0.0.201"), Hostname: "Laptop", Expires: time.Now().Add(time.Hour)}))
	ok(t, inv.RecordLease(ctx, inventory.LeaseFact{MAC: mac(7), Addr: addr("10.0.0.202"), Hostname: "node1", Expires: time.Now().Add(time.Hour)}))
	must[ipam.ReservedIP](t)(inv.CreateReservedIP(ctx, ipam.ReservedIP{Addr: addr("10.0.0.70"), MAC: mac(5)}))
	must[ipam.ReservedIP](t)(inv.CreateReservedIP(ctx, ipam.ReservedIP{Addr: addr("10.0.0.71"), MAC: mac(8)}))
	must[ipam.Allocation](t)(inv.ReserveAddress(ctx, inventory.Reservation{Addr: addr("10.0.0.90"), Owner: "ada", Hostname: "db"}))
	must[ipam.Allocation](t)(inv.ReserveAddress(ctx, inventory.Reservation{Addr: addr("10.0.0.91"), Owner: "ada"}))
	printer := must[inventory.Device](t)(inv.CreateDevice(ctx, inventory.Device{Hostname: "printer", Interfaces: []inventory.Interface{nic(9)}}))
	must[ipam.Allocation](t)(inv.LinkInterface(ctx, printer.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("10.0.0.95")}))
	ok(t, inv.SetDefaultProfile(ctx, &pxe.Profile{Kernel: "vmlinuz", Initrd: []string{"initrd"}, Cmdline: "quiet"}))
	ok(t, inv.SetSetting(ctx, inventory.SettingUpstreamDNS, "1.1.1.1, 8.8.8.8:5353"))
	ok(t, inv.SetSetting(ctx, inventory.SettingDNSTrustedACL, "172.16.0.0/12"))
	ok(t, inv.SetSetting(ctx, inventory.SettingSecondaryNS, "NS2.example. bad_name"))
	ok(t, inv.SetSetting(ctx, inventory.SettingNTPServers, "10.0.0.123 ntp.example"))
}

func model(t testing.TB, inv *inventory.Inventory) *inventory.Model {
	t.Helper()
	m, err := inv.Model(t.Context())
	ok(t, err)
	return m
}

func TestPlanDHCP(t *testing.T) {
	m := model(t, site(t))
	snap := inventory.PlanDHCP(m, m.Racks[0])
	var b strings.Builder
	for _, s := range snap.Subnets {
		fmt.Fprintf(&b, "subnet %s link=%q segment=%s server=%s routers=%v dns=%v ntp=%v mtu=%d domain=%s search=%v\n", s.Name, s.Link, s.Segment, s.Server, s.Routers, s.DNS, s.NTP, s.MTU, s.Domain, s.Search)
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
	if other := inventory.PlanDHCP(m, inventory.Rack{Name: "rack2"}); len(other.Subnets) != 0 {
		t.Errorf("a rack of no VLAN serves %+v", other.Subnets)
	}
}

// Both racks of a VLAN serve all of it, as partners; clients are told both
// racks' DNS.
func TestPlanDHCPOfSecondaryRack(t *testing.T) {
	inv, ctx := site(t), t.Context()
	must[inventory.Rack](t)(inv.RegisterRack(ctx, inventory.Rack{Name: "rack2", Links: []inventory.RackLink{{Name: "ens3", Addrs: []netip.Prefix{prefix("10.0.0.4/24")}}}}))
	v := must[ipam.VLAN](t)(inv.DefaultVLAN(ctx, 0))
	v.SecondaryRack = "rack2"
	ok(t, inv.UpdateVLAN(ctx, v))
	if err := inv.SetSetting(ctx, inventory.SettingTakeover, "5"); err == nil {
		t.Error("a takeover after 5 seconds was accepted")
	}
	ok(t, inv.SetSetting(ctx, inventory.SettingTakeover, "90"))
	m := model(t, inv)
	var b strings.Builder
	for _, rack := range m.Racks {
		snap := inventory.PlanDHCP(m, rack)
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
		fmt.Fprintf(&b, "%s: boot servers %v\n", rack.Name, inventory.PlanBootServers(m, rack))
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
	inv, ctx := site(t), t.Context()
	modes := func() string {
		m := model(t, inv)
		snap := inventory.PlanDHCP(m, m.Racks[0])
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
	if err := inv.UpdateVLAN(ctx, v); err == nil {
		t.Error("a mode that there is not was accepted")
	}
	ok(t, inv.SetSetting(ctx, inventory.SettingCircuitQuota, "8"))
	ok(t, inv.SetSetting(ctx, inventory.SettingLinkQuota, "9"))
	for mode, want := range map[ipam.DHCPMode]string{
		ipam.DHCPServe: "10.0.0.0/24 serve 8 9; 10.7.0.0/24 serve 8 9; ", ipam.DHCPProxy: "10.0.0.0/24 proxy 8 9; 10.7.0.0/24 proxy 8 9; ",
		ipam.DHCPAuto: "10.0.0.0/24 auto 8 9; 10.7.0.0/24 serve 8 9; ",
	} {
		v = must[ipam.VLAN](t)(inv.DefaultVLAN(ctx, 0))
		v.DHCPMode = mode
		ok(t, inv.UpdateVLAN(ctx, v))
		if got := modes(); got != want {
			t.Errorf("%q: %s, want %s", mode, got, want)
		}
	}
}

func TestPlanDNS(t *testing.T) {
	plan := inventory.PlanDNS(model(t, site(t)))
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
	plan := bootsOf(t, model(t, site(t)))
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
	inv := site(t)
	m, again := model(t, inv), model(t, inv)
	if d := cmp.Diff(fmt.Sprintf("%+v", inventory.PlanDNS(m)), fmt.Sprintf("%+v", inventory.PlanDNS(again))); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(fmt.Sprintf("%+v", inventory.PlanDHCP(m, m.Racks[0])), fmt.Sprintf("%+v", inventory.PlanDHCP(again, again.Racks[0]))); d != "" {
		t.Error(d)
	}
}
