package plan_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/setting"
)

// town is a model made by hand: plans need no database. Rack a serves VLAN 1 and, as a relay's target,
// VLAN 2; rack b is its partner. Each test changes a copy.
func town() *inventory.Model {
	link := func(name string, cidrs ...string) []inventory.RackLink {
		l := inventory.RackLink{Name: name}
		for _, c := range cidrs {
			l.Addrs = append(l.Addrs, prefix(c))
		}
		return []inventory.RackLink{l}
	}
	return &inventory.Model{
		Fabrics: []ipam.Fabric{{ID: 1, Name: "fabric-1"}},
		VLANs: []ipam.VLAN{
			{ID: 1, FabricID: 1, MTU: ipam.DefaultMTU, DHCP: true, PrimaryRack: "a", SecondaryRack: "b"},
			{ID: 2, FabricID: 1, VID: 2, MTU: ipam.DefaultMTU, RelayVLANID: 1},
		},
		Subnets: []ipam.Subnet{
			{ID: 1, VLANID: 1, Prefix: prefix("10.0.0.0/24"), Gateway: addr("10.0.0.1")},
			{ID: 2, VLANID: 2, Prefix: prefix("10.2.0.0/24")},
			{ID: 3, VLANID: 1, Prefix: prefix("fd00::/64")},
		},
		Ranges: []ipam.Range{
			{ID: 1, SubnetID: 1, Type: ipam.RangeDynamic, Start: addr("10.0.0.100"), End: addr("10.0.0.199")},
			{ID: 2, SubnetID: 1, Type: ipam.RangeReserved, Start: addr("10.0.0.2"), End: addr("10.0.0.9")},
		},
		Domains: []inventory.Domain{{ID: 1, Name: "maas"}, {ID: 2, Name: "lab"}},
		Racks: []inventory.Rack{
			{ID: 1, Name: "a", Links: link("eth0", "10.0.0.2/24", "fd00::2/64")},
			{ID: 2, Name: "b", Links: link("ens3", "10.0.0.3/24")},
			{ID: 3, Name: "c", Links: link("eth0", "192.0.2.1/24")},
		},
		Machines: []inventory.Machine{
			{ID: 1, Hostname: "m1", FQDN: "m1.maas", DomainID: 1, Tags: []string{"old", "new"}, Interfaces: []inventory.Interface{held(1, "10.0.0.50")}},
		},
		Tags:     []inventory.Tag{{ID: 1, Name: "old", KernelOpts: "one"}, {ID: 2, Name: "new", KernelOpts: "  two  three "}},
		Settings: map[string]string{},
		Profiles: map[inventory.BootTarget]pxe.Profile{},
	}
}

// held is an interface that holds addresses.
func held(n int, addrs ...string) inventory.Interface {
	i := nic(n)
	i.Name, i.Boot = fmt.Sprintf("eth%d", n-1), n == 1
	for k, a := range addrs {
		i.Links = append(i.Links, ipam.Allocation{ID: int64(n*10 + k), Type: ipam.AllocSticky, SubnetID: 1, Addr: addr(a)})
	}
	return i
}

func TestDiscovery(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rack   int
		change func(m *inventory.Model)
		want   string
	}{
		{"defaults", 0, nil, "true [] [] [10.0.0.0/24 fd00::/64] []"},
		{"one subnet", 1, nil, "true [] [] [10.0.0.0/24] []"},
		{"no subnet of the site", 2, nil, "true [] [] [] []"},
		{"off", 0, func(m *inventory.Model) { m.Settings[setting.NetworkDiscovery] = "disabled" }, "false [] [] [10.0.0.0/24 fd00::/64] []"},
		{"resolvers", 1, func(m *inventory.Model) {
			m.Settings[setting.UpstreamDNS] = "192.0.2.53, [2001:db8::53]:5353 nonsense"
		}, "true [] [192.0.2.53:53 [2001:db8::53]:5353] [10.0.0.0/24] []"},
		{"rules", 1, func(m *inventory.Model) { m.Settings[setting.DiscoveryIgnore] = "02:00 10.0.0.7" }, "true [02:00 10.0.0.7] [] [10.0.0.0/24] []"},
		{"swept", 0, func(m *inventory.Model) { m.Subnets[0].ActiveDiscovery = true }, "true [] [] [10.0.0.0/24 fd00::/64] [10.0.0.0/24]"},
		{"never swept", 0, func(m *inventory.Model) {
			m.Subnets[0].ActiveDiscovery = true
			m.Settings[setting.ActiveDiscoveryInterval] = "0"
		}, "true [] [] [10.0.0.0/24 fd00::/64] []"},
	} {
		m := town()
		if tt.change != nil {
			tt.change(m)
		}
		p := plan.Discovery(m, m.Racks[tt.rack])
		if got := fmt.Sprintln(p.Listen, p.Ignore, p.Resolvers, p.Subnets, p.Confirm); strings.TrimSpace(got) != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// The most particular profile counts: machine, its tags, subnet, the subnet's tags, site; of several
// tags the oldest.
func TestBootRule(t *testing.T) {
	disk := pxe.Profile{Kind: pxe.Local}
	order := []struct {
		take func(m *inventory.Model)
		rule string
	}{
		{func(m *inventory.Model) { m.Machines[0].Profile = nil }, "the machine's own"},
		{func(m *inventory.Model) { delete(m.Profiles, inventory.BootTarget{TagID: 1}) }, "tag old"},
		{func(m *inventory.Model) { delete(m.Profiles, inventory.BootTarget{TagID: 2}) }, "tag new"},
		{func(m *inventory.Model) { delete(m.Profiles, inventory.BootTarget{SubnetID: 1}) }, "subnet 10.0.0.0/24"},
		{func(m *inventory.Model) { delete(m.Profiles, inventory.BootTarget{TagID: 3}) }, "tag place of subnet 10.0.0.0/24"},
		{func(m *inventory.Model) { delete(m.Settings, setting.BootProfile) }, "the site's default"},
	}
	m := town()
	m.Tags = append(m.Tags, inventory.Tag{ID: 3, Name: "place"})
	m.SubnetTags = map[int64][]string{1: {"place"}}
	m.Machines[0].Profile = &disk
	m.Settings[setting.BootProfile] = `{"name":"site","kernel":"vmlinuz"}`
	for _, of := range []inventory.BootTarget{{TagID: 1}, {TagID: 2}, {TagID: 3}, {SubnetID: 1}} {
		m.Profiles[of] = disk
	}
	for i, o := range order {
		if got := plan.BootRule(m, &m.Machines[0], &m.Subnets[0]); got != o.rule {
			t.Errorf("with %d profiles taken back: %q, want %q", i, got, o.rule)
		}
		if i == 3 {
			if got := plan.BootRule(m, nil, &m.Subnets[0]); got != o.rule {
				t.Errorf("an unknown machine: %q, want %q", got, o.rule)
			}
			if got := plan.BootRule(m, &m.Machines[0], nil); got != "the site's default" {
				t.Errorf("in an unknown subnet: %q", got)
			}
		}
		o.take(m)
	}
	if got := plan.BootRule(m, &m.Machines[0], &m.Subnets[0]); got != "" {
		t.Errorf("without any profile: %q", got)
	}
}

func TestBootOf(t *testing.T) {
	m := town()
	m.Settings[setting.KernelOpts] = "zero"
	m.Devices = []inventory.Device{{ID: 9, Hostname: "printer"}}
	nodes := plan.Nodes(m)
	if len(nodes) != 2 || nodes[0].Hostname != "m1" || nodes[1].Machine != nil {
		t.Fatalf("nodes %+v", nodes)
	}
	if b := plan.BootOf(m, nodes[0]); b.Profile != nil || b.Options != "zero one two three" {
		t.Errorf("machine: %+v", b)
	}
	if b := plan.BootOf(m, nodes[1]); b.Profile == nil || b.Profile.Kind != pxe.Local {
		t.Errorf("a device boots from the network: %+v", b)
	}
}

// Options of a node go before those of its range, subnet and site; of several at one place the newest
// counts; a snippet that is off or cannot be read counts for nothing.
func TestDHCPOptionsByPlace(t *testing.T) {
	m := town()
	snippet := func(id int64, value string, s inventory.Snippet) inventory.Snippet {
		s.ID, s.Name, s.Value, s.Enabled = id, fmt.Sprint("s", id), value, true
		return s
	}
	off := snippet(8, "option log-servers 192.0.2.8;", inventory.Snippet{})
	off.Enabled = false
	m.Snippets = []inventory.Snippet{
		snippet(1, "option log-servers 192.0.2.1;", inventory.Snippet{}),
		snippet(2, "default-lease-time 3600; option log-servers 192.0.2.2; option time-servers 192.0.2.22;", inventory.Snippet{}),
		snippet(3, "option log-servers 192.0.2.3;", inventory.Snippet{SubnetID: 1}),
		snippet(4, "option log-servers 192.0.2.4;", inventory.Snippet{RangeID: 1}),
		snippet(5, "option log-servers 192.0.2.5;", inventory.Snippet{NodeID: 1}),
		off,
		snippet(9, "option nonsense", inventory.Snippet{}),
	}
	snap := plan.DHCP(m, m.Racks[0])
	text := func(data []byte) string { return netip.AddrFrom4([4]byte(data)).String() }
	const logServers = 7 // RFC 2132
	got := map[string]string{}
	for _, o := range snap.Options {
		if o.Code == logServers {
			got["site"] = text(o.Data)
		}
	}
	for _, o := range snap.Subnets[0].Options {
		got["subnet"] = text(o.Data)
	}
	for _, o := range snap.Subnets[0].Pools[0].Options {
		got["range"] = text(o.Data)
	}
	for _, r := range snap.Reservations {
		for _, o := range r.Options {
			got["node"] = text(o.Data)
		}
	}
	want := map[string]string{"site": "192.0.2.2", "subnet": "192.0.2.3", "range": "192.0.2.4", "node": "192.0.2.5"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if n := len(snap.Options); n != 2 {
		t.Errorf("%d options of the site, want log-servers once and time-servers", n)
	}
	if l := snap.Subnets[0].LeaseTime; l != time.Hour {
		t.Errorf("leases of %v, want the site's", l)
	}
	m.Snippets = append(m.Snippets, snippet(10, "default-lease-time 7200;", inventory.Snippet{SubnetID: 1}))
	if l := plan.DHCP(m, m.Racks[0]).Subnets[0].LeaseTime; l != 2*time.Hour {
		t.Errorf("leases of %v, want the subnet's", l)
	}
}

// A change that plans of machines depend on makes other inputs, for the racks that it concerns.
func TestNodeInputs(t *testing.T) {
	for _, tt := range []struct {
		name         string
		change       func(m *inventory.Model)
		all, a, b, c bool // equal for all racks, for each
	}{
		{"nothing", func(*inventory.Model) {}, true, true, true, true},
		{"a machine", func(m *inventory.Model) { m.Machines[0].Hostname = "x" }, true, true, true, true},
		{"a subnet's name", func(m *inventory.Model) { m.Subnets[0].Name = "x" }, true, true, true, true},
		{"a zone", func(m *inventory.Model) { m.Zones = append(m.Zones, inventory.AvailabilityZone{ID: 2}) }, true, true, true, true},
		{"kernel options", func(m *inventory.Model) { m.Settings[setting.KernelOpts] = "x" }, false, false, false, false},
		{"a tag", func(m *inventory.Model) { m.Tags[0].KernelOpts = "x" }, false, false, false, false},
		{"a profile", func(m *inventory.Model) { m.Profiles[inventory.BootTarget{TagID: 1}] = pxe.Profile{} }, false, false, false, false},
		{"a reserved IP", func(m *inventory.Model) { m.Reserved = append(m.Reserved, ipam.ReservedIP{ID: 1}) }, false, false, false, false},
		{"a rack's address", func(m *inventory.Model) { m.Racks[0].Links[0].Addrs[0] = prefix("10.0.0.4/24") }, true, false, true, true},
		{"a subnet's prefix", func(m *inventory.Model) { m.Subnets[0].Prefix = prefix("10.0.0.0/25") }, true, false, false, true},
		{"another secondary rack", func(m *inventory.Model) { m.VLANs[0].SecondaryRack = "c" }, true, true, false, false},
		{"DHCP off", func(m *inventory.Model) { m.VLANs[0].DHCP = false }, true, false, false, true},
	} {
		before, m := plan.NodeInputsOf(town()), town()
		tt.change(m)
		after := plan.NodeInputsOf(m)
		got := []bool{before.Equal(after), before.EqualFor(after, "a"), before.EqualFor(after, "b"), before.EqualFor(after, "c")}
		if want := []bool{tt.all, tt.a, tt.b, tt.c}; !cmp.Equal(got, want) {
			t.Errorf("%s: equal %v, want %v", tt.name, got, want)
		}
	}
	b := plan.NodeInputsOf(town())
	if b.Equal(nil) || (*plan.NodeInputs)(nil).Equal(b) || b.EqualFor(b, "unknown") {
		t.Error("inputs equal none, or those of an unknown rack")
	}
}

// sets are the record sets of a plan with data, in short.
func sets(sets []dnssrv.RRset, names ...string) string {
	var b strings.Builder
	for _, s := range sets {
		for _, n := range names {
			if s.Name == n && len(s.Data) > 0 {
				fmt.Fprintf(&b, "%s %s %v", s.Name, s.Type, s.Data)
				if s.TTL != 0 {
					fmt.Fprintf(&b, " ttl %d", s.TTL)
				}
				if s.Learned {
					b.WriteString(" learned")
				}
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

// orphan is an address of no machine.
func orphan(id int64, kind ipam.AllocType, a, hostname string) inventory.Orphan {
	return inventory.Orphan{Hostname: hostname, Allocation: ipam.Allocation{ID: id, Type: kind, SubnetID: 1, Addr: addr(a)}}
}

func TestNamesAndTheirRivals(t *testing.T) {
	const reverse = "50.0.0.10.in-addr.arpa"
	for _, tt := range []struct {
		name   string
		change func(m *inventory.Model)
		of     []string
		want   string
	}{
		{"a machine", func(*inventory.Model) {}, []string{"m1.maas", reverse}, reverse + " PTR [m1.maas]\nm1.maas A [10.0.0.50]\n"},
		{"a lease with the machine's name", func(m *inventory.Model) {
			m.Orphans = append(m.Orphans, orphan(1, ipam.AllocDiscovered, "10.0.0.150", "m1"))
		}, []string{"m1.maas", "150.0.0.10.in-addr.arpa"}, "m1.maas A [10.0.0.50]\n"},
		{"a lease, named by the racks' rule", func(m *inventory.Model) {
			m.Orphans = append(m.Orphans, orphan(1, ipam.AllocDiscovered, "10.0.0.150", "Laptop.corp"))
		}, []string{"laptop.maas", "150.0.0.10.in-addr.arpa"}, "150.0.0.10.in-addr.arpa PTR [laptop.maas] learned\nlaptop.maas A [10.0.0.150] learned\n"},
		{"a lease without a host's name", func(m *inventory.Model) {
			m.Orphans = append(m.Orphans, orphan(1, ipam.AllocDiscovered, "10.0.0.150", "(none)"), orphan(2, ipam.AllocDiscovered, "10.0.0.151", ""))
		}, []string{"(none).maas", ".maas", "150.0.0.10.in-addr.arpa", "151.0.0.10.in-addr.arpa"}, ""},
		{"a reserved address without a name", func(m *inventory.Model) {
			m.Orphans = append(m.Orphans, orphan(1, ipam.AllocUserReserved, "10.0.0.90", ""))
		}, []string{"10-0-0-90.maas"}, "10-0-0-90.maas A [10.0.0.90]\n"},
		{"an operator's record beside the machine's", func(m *inventory.Model) {
			m.Records = append(m.Records, inventory.DNSRecord{ID: 1, DomainID: 1, Name: "m1", Type: "A", TTL: 60, Data: "10.0.0.51"})
		}, []string{"m1.maas"}, "m1.maas A [10.0.0.50 10.0.0.51] ttl 60\n"},
		{"an operator's record of the address", func(m *inventory.Model) {
			m.Records = append(m.Records, inventory.DNSRecord{ID: 1, DomainID: 2, Name: "www", Type: "A", Data: "10.0.0.50"})
		}, []string{"www.lab", reverse}, reverse + " PTR [m1.maas]\nwww.lab A [10.0.0.50]\n"},
		{"a wildcard is no host", func(m *inventory.Model) {
			m.Records = append(m.Records, inventory.DNSRecord{ID: 1, DomainID: 2, Name: "*", Type: "A", Data: "10.0.0.60"})
		}, []string{"*.lab", "60.0.0.10.in-addr.arpa"}, "*.lab A [10.0.0.60]\n"},
		{"a machine takes a CNAME's name", func(m *inventory.Model) {
			m.Records = append(m.Records, inventory.DNSRecord{ID: 1, DomainID: 1, Name: "m1", Type: "CNAME", Data: "www.example"})
		}, []string{"m1.maas"}, "m1.maas A [10.0.0.50]\n"},
		{"server names get their domain", func(m *inventory.Model) {
			m.Records = append(m.Records,
				inventory.DNSRecord{ID: 1, DomainID: 2, Name: "@", Type: "MX", Data: "10 mail"}, inventory.DNSRecord{ID: 2, DomainID: 2, Name: "x", Type: "CNAME", Data: "a.example"})
		}, []string{"lab", "x.lab"}, "lab MX [10 mail.lab]\nx.lab CNAME [a.example]\n"},
		{"records of an external domain", func(m *inventory.Model) {
			m.Domains[1].External = true
			m.Records = append(m.Records, inventory.DNSRecord{ID: 1, DomainID: 2, Name: "www", Type: "A", Data: "10.0.0.60"})
		}, []string{"www.lab"}, ""},
		{"a default domain that others serve", func(m *inventory.Model) { m.Domains[0].External = true }, []string{"m1.maas", reverse, "ns.maas", "ns.maas-internal"},
			reverse + " PTR [m1.maas]\nns.maas-internal A [10.0.0.2 10.0.0.3]\nns.maas-internal AAAA [fd00::2]\n"},
		{"a subnet without reverse records", func(m *inventory.Model) { m.Subnets[0].RDNS = ipam.RDNSDisabled }, []string{"m1.maas", reverse}, "m1.maas A [10.0.0.50]\n"},
		{"a second interface", func(m *inventory.Model) {
			m.Machines[0].Interfaces = append(m.Machines[0].Interfaces, held(2, "10.0.0.52"))
		}, []string{"m1.maas", "eth1.m1.maas"}, "eth1.m1.maas A [10.0.0.52]\nm1.maas A [10.0.0.50]\n"},
		{"of two machines the oldest has the reverse record", func(m *inventory.Model) {
			m.Machines = append(m.Machines, inventory.Machine{ID: 2, Hostname: "m0", FQDN: "m0.maas", DomainID: 1, Interfaces: []inventory.Interface{held(1, "10.0.0.50")}})
		}, []string{reverse}, reverse + " PTR [m1.maas]\n"},
	} {
		m := town()
		tt.change(m)
		p := plan.DNS(m)
		if d := cmp.Diff(tt.want, sets(p.Sets, tt.of...)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		if err := dnssrv.New(dnssrv.Config{}).Update(dnssrv.Change{Zones: p.Zones, Set: p.Sets}); err != nil {
			t.Errorf("%s: servers refuse the plan: %v", tt.name, err)
		}
	}
}

func TestDNSAccessAndForwarding(t *testing.T) {
	m := town()
	m.Settings[setting.DNSNotify] = "192.0.2.53 192.0.2.54:5353"
	m.Settings[setting.DNSTransfer] = "192.0.2.0/28 Site-Key."
	m.Settings[setting.DNSTrustedACL] = "10.9.0.0/16 10.0.0.0/24"
	m.Subnets[1].DenyDNS = true
	m.Domains[1].AllowTransfer = []string{"lab-key", "198.51.100.1/32"}
	m.Domains[1].AllowUpdate = []inventory.UpdateGrant{{Key: "acme", Name: "_acme-challenge", Types: []string{"TXT"}}, {Key: "all", Name: "@"}}
	external := inventory.Domain{ID: 3, Name: "corp", External: true, AllowTransfer: []string{"other"}, Forward: []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:53")}}
	m.Domains = append(m.Domains, external)
	p := plan.DNS(m)
	want := dnssrv.Access{
		Notify:   []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53"), netip.MustParseAddrPort("192.0.2.54:5353")},
		Transfer: []netip.Prefix{prefix("192.0.2.0/28")}, TransferKeys: []string{"site-key"},
		Zones:  []dnssrv.ZoneAccess{{Zone: "lab", Transfer: []netip.Prefix{prefix("198.51.100.1/32")}, TransferKeys: []string{"lab-key"}}},
		Update: []dnssrv.UpdateRule{{Key: "acme", Zone: "lab", Below: "_acme-challenge.lab", Types: []string{"TXT"}}, {Key: "all", Zone: "lab", Below: "lab"}},
	}
	compare := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	ports := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
	if d := cmp.Diff(want, p.Access, compare, ports); d != "" {
		t.Errorf("access (-want +got):\n%s", d)
	}
	if got := fmt.Sprint(p.Forwarding.Allow); got != "[10.0.0.0/24 10.9.0.0/16 fd00::/64]" {
		t.Errorf("allowed: %s", got)
	}
	if got := fmt.Sprint(p.Forwarding.Domains); got != "[{corp [10.9.9.9:53]}]" {
		t.Errorf("forwarded domains: %s", got)
	}
	for _, z := range p.Zones {
		if z.Name == "corp" {
			t.Error("a zone is made of an external domain")
		}
	}
}

// The DHCP of a subnet, as each rack serves it.
func TestWhoServesASubnet(t *testing.T) {
	show := func(m *inventory.Model) string {
		var b strings.Builder
		for _, r := range m.Racks {
			for _, s := range plan.DHCP(m, r).Subnets {
				fmt.Fprintf(&b, "%s %s link=%s server=%s partner=%s\n", r.Name, s.Prefix, s.Link, s.Server, s.Partner)
			}
		}
		return b.String()
	}
	for _, tt := range []struct {
		name   string
		change func(m *inventory.Model)
		want   string
	}{
		{"two racks, a relay, IPv6 of one", func(*inventory.Model) {}, `a 10.0.0.0/24 link=eth0 server=10.0.0.2 partner=b
a 10.2.0.0/24 link= server=10.0.0.2 partner=b
a fd00::/64 link=eth0 server=fd00::2 partner=
b 10.0.0.0/24 link=ens3 server=10.0.0.3 partner=a
b 10.2.0.0/24 link= server=10.0.0.3 partner=a
`},
		{"unmanaged", func(m *inventory.Model) { m.Subnets[0].Unmanaged, m.Subnets[2].Unmanaged = true, true }, `a 10.2.0.0/24 link= server=10.0.0.2 partner=b
b 10.2.0.0/24 link= server=10.0.0.3 partner=a
`},
		{"DHCP off", func(m *inventory.Model) { m.VLANs[0].DHCP = false }, ""},
		{"a rack without an address there", func(m *inventory.Model) { m.VLANs[0].SecondaryRack = "c" }, `a 10.0.0.0/24 link=eth0 server=10.0.0.2 partner=
a 10.2.0.0/24 link= server=10.0.0.2 partner=
a fd00::/64 link=eth0 server=fd00::2 partner=
`},
		{"a VLAN that is not there", func(m *inventory.Model) { m.VLANs = m.VLANs[1:] }, ""},
	} {
		m := town()
		tt.change(m)
		if d := cmp.Diff(tt.want, show(m)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

// The racks of a subnet have a name of their own, unless the site leaves its domain to other servers.
func TestInternalNames(t *testing.T) {
	const name = "10-0-0-0--24.maas-internal"
	m := town()
	if got := sets(plan.DNS(m).Sets, name); got != name+" A [10.0.0.2 10.0.0.3]\n" {
		t.Errorf("both racks: %s", got)
	}
	m.Subnets[0].DenyDNS = true
	if got := sets(plan.DNS(m).Sets, name); got != "" {
		t.Errorf("of a subnet whose clients may not ask: %s", got)
	}
	m = town()
	m.Settings[setting.InternalDomain] = "racks.lab"
	if got := sets(plan.DNS(m).Sets, "10-0-0-0--24.racks.lab"); got == "" {
		t.Error("not in the configured domain")
	}
	m.Domains = append(m.Domains, inventory.Domain{ID: 3, Name: "racks.lab", External: true})
	if got := sets(plan.DNS(m).Sets, "10-0-0-0--24.racks.lab"); got != "" {
		t.Errorf("in a domain of other servers: %s", got)
	}
}
