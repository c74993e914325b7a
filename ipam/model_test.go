package ipam_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/google/go-cmp/cmp"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func mac(s string) net.HardwareAddr {
	m, err := net.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return m
}

func TestValidate(t *testing.T) {
	net10 := netip.MustParsePrefix("10.0.0.0/24")
	src, dst := ipam.Subnet{ID: 1, Prefix: net10}, ipam.Subnet{ID: 2, Prefix: netip.MustParsePrefix("10.0.1.0/24")}
	six := ipam.Subnet{ID: 3, Prefix: netip.MustParsePrefix("fd00::/64")}
	eth0 := ipam.Interface{Name: "eth0", MAC: mac("52:54:00:00:00:01"), NodeID: 1}
	br0 := ipam.Interface{Name: "br0", Kind: ipam.Bridge, NodeID: 1}
	for _, tt := range []struct {
		name string
		err  error
		want string // "" = valid
	}{
		{"fabric", ipam.Fabric{ID: 3, Name: "fabric-3"}.Validate(), ""},
		{"fabric of other id", ipam.Fabric{ID: 3, Name: "fabric-4"}.Validate(), `ipam: fabric "fabric-4": name is kept for generated names; choose one that is not fabric-<number>`},
		{"space undefined", ipam.Space{Name: "undefined"}.Validate(), `ipam: space "undefined": name is kept for "no space"`},
		{"vid 4095", ipam.VLAN{VID: 4095}.Validate(), `ipam: vlan "4095": vid must be 0 to 4094`},
		{"mtu", ipam.VLAN{VID: 5, MTU: 551}.Validate(), `ipam: vlan "5": mtu must be 552 to 65535`},
		{"dhcp needs a rack", ipam.VLAN{DHCP: true}.Validate(), `ipam: vlan "0": dhcp_on needs a primary rack`},
		{"same racks", ipam.VLAN{PrimaryRack: "a", SecondaryRack: "a"}.Validate(), `ipam: vlan "0": secondary_rack is the primary rack too; choose another`},
		{"relay and dhcp", ipam.VLAN{DHCP: true, PrimaryRack: "a", RelayVLANID: 3}.Validate(), `ipam: vlan "0": relay_vlan excludes DHCP on the VLAN; turn one of them off`},
		{"subnet", ipam.Subnet{Prefix: net10, Gateway: addr("10.0.0.1"), Name: "lab: a/b"}.Validate(), ""},
		{"host bits", ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.0.1/24")}.Validate(), `ipam: subnet "10.0.0.1/24": cidr has host bits set; write 10.0.0.0/24`},
		{"/0", ipam.Subnet{Prefix: netip.MustParsePrefix("0.0.0.0/0")}.Validate(), `ipam: subnet "0.0.0.0/0": cidr must be longer than /0`},
		{"gateway outside", ipam.Subnet{Prefix: net10, Gateway: addr("10.0.1.1")}.Validate(), "ipam: gateway 10.0.1.1: is not in subnet 10.0.0.0/24"},
		{"gateway link-local", ipam.Subnet{Prefix: six.Prefix, Gateway: addr("fe80::1")}.Validate(), ""},
		{"gateway link-local v4", ipam.Subnet{Prefix: net10, Gateway: addr("fe80::1")}.Validate(), "ipam: gateway fe80::1: is not in subnet 10.0.0.0/24"},
		{"subnet name", ipam.Subnet{Prefix: net10, Name: "a;b"}.Validate(), `ipam: subnet "a;b": name may hold letters, digits, space and . : / _ - only`},
		{"route to itself", ipam.StaticRoute{Gateway: addr("10.0.0.1")}.Validate(src, src), `ipam: static route "from 10.0.0.0/24 to 10.0.0.0/24": destination is the source too`},
		{"route of two families", ipam.StaticRoute{Gateway: addr("10.0.0.1")}.Validate(src, six), `ipam: static route "from 10.0.0.0/24 to fd00::/64": destination is of another IP version than the source`},
		{"route gateway", ipam.StaticRoute{Gateway: addr("10.0.1.1")}.Validate(src, dst), "ipam: gateway 10.0.1.1 of a static route: is not in subnet 10.0.0.0/24"},
		{"dhcp with address", ipam.Allocation{Type: ipam.AllocDHCP, Addr: addr("10.0.0.1")}.Validate(src), `ipam: dhcp address "10.0.0.1": ip must be left out; the DHCP server chooses it`},
		{"sticky outside", ipam.Allocation{Type: ipam.AllocSticky, Addr: addr("10.0.1.1")}.Validate(src), "ipam: address 10.0.1.1: is not in subnet 10.0.0.0/24"},
		{"physical", eth0.Validate(nil), ""},
		{"interface name", ipam.Interface{Name: "a b", MAC: eth0.MAC}.Validate(nil), `ipam: interface "a b": name must be 1 to 15 letters, digits or _ . : -`},
		{"no mac", ipam.Interface{Name: "eth0"}.Validate(nil), `ipam: interface "eth0": mac_address must be six octets`},
		{"bond of a bridge", ipam.Interface{Name: "bond0", Kind: ipam.Bond, MAC: eth0.MAC, NodeID: 1}.Validate([]ipam.Interface{eth0, br0}), `ipam: interface "bond0": parents br0: only physical interfaces can be bonded`},
		{"bridge of a bridge", ipam.Interface{Name: "br1", Kind: ipam.Bridge, NodeID: 1}.Validate([]ipam.Interface{br0}), `ipam: interface "br1": parents br0: a bridge cannot contain bridges`},
		{"vlan without vlan", ipam.Interface{Name: "eth0.5", Kind: ipam.VLANInterface, NodeID: 1}.Validate([]ipam.Interface{eth0}), `ipam: interface "eth0.5": vlan is missing`},
		{"parent elsewhere", ipam.Interface{Name: "br1", Kind: ipam.Bridge, NodeID: 2}.Validate([]ipam.Interface{eth0}), `ipam: interface "br1": parents eth0 belongs to another machine`},
		{"overlap", ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.0.128/25")}.CheckOverlap([]ipam.Subnet{{ID: 1, Name: "lab", Prefix: net10}}), "ipam: subnet 10.0.0.128/25: overlaps another (subnet lab (10.0.0.0/24))"},
		{"no overlap with itself", src.CheckOverlap([]ipam.Subnet{src, dst}), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if tt.err != nil {
				got = tt.err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// lab is a managed /24 with one object of each kind.
func lab() *ipam.Usage {
	return &ipam.Usage{
		Subnet: ipam.Subnet{ID: 1, Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: addr("10.0.0.1"), DNSServers: []netip.Addr{addr("10.0.0.2"), addr("8.8.8.8")}},
		Ranges: []ipam.Range{
			{ID: 1, Type: ipam.RangeDynamic, Start: addr("10.0.0.100"), End: addr("10.0.0.149")},
			{ID: 2, Type: ipam.RangeReserved, Start: addr("10.0.0.200"), End: addr("10.0.0.209")},
		},
		Allocations: []ipam.Allocation{
			{Type: ipam.AllocSticky, Addr: addr("10.0.0.50"), Holder: "node1 eth0"},
			{Type: ipam.AllocDiscovered, Addr: addr("10.0.0.120")},
			{Type: ipam.AllocAuto, Addr: addr("10.0.0.130"), Holder: "node2 eth0"}, // from before the range was made
		},
		Reserved: []ipam.ReservedIP{{Addr: addr("10.0.0.60"), MAC: mac("52:54:00:00:00:01")}},
		Routes:   []ipam.StaticRoute{{Gateway: addr("10.0.0.70"), Destination: netip.MustParsePrefix("10.5.0.0/16")}},
	}
}

func TestCheckRange(t *testing.T) {
	const dynamic, reserved = ipam.RangeDynamic, ipam.RangeReserved
	for _, tt := range []struct {
		name       string
		id         int64
		kind       ipam.RangeType
		start, end string
		want       string
	}{
		{"free", 0, dynamic, "10.0.0.150", "10.0.0.199", ""},
		{"reserved over an address", 0, reserved, "10.0.0.40", "10.0.0.60", ""},
		{"dynamic over an address", 0, dynamic, "10.0.0.40", "10.0.0.55", "ipam: dynamic range 10.0.0.40-10.0.0.55: overlaps another (sticky address 10.0.0.50 of node1 eth0 is inside it)"},
		{"dynamic over a reservation", 0, dynamic, "10.0.0.55", "10.0.0.65", "ipam: dynamic range 10.0.0.55-10.0.0.65: overlaps another (reserved IP 10.0.0.60 for 52:54:00:00:00:01 is inside it)"},
		{"dynamic over a route", 0, dynamic, "10.0.0.65", "10.0.0.75", "ipam: dynamic range 10.0.0.65-10.0.0.75: overlaps another (static route to 10.5.0.0/16 via 10.0.0.70 is inside it)"},
		{"dynamic over the gateway", 0, dynamic, "10.0.0.1", "10.0.0.1", "ipam: dynamic range 10.0.0.1-10.0.0.1: overlaps another (gateway 10.0.0.1 is inside it)"},
		{"over a range", 0, reserved, "10.0.0.140", "10.0.0.160", "ipam: reserved range 10.0.0.140-10.0.0.160: overlaps another (dynamic range 10.0.0.100-10.0.0.149)"},
		{"network address", 0, reserved, "10.0.0.0", "10.0.0.5", "ipam: reserved range 10.0.0.0-10.0.0.5: the first address of 10.0.0.0/24 names the network and cannot be used"},
		{"broadcast", 0, reserved, "10.0.0.250", "10.0.0.255", "ipam: reserved range 10.0.0.250-10.0.0.255: the last address of 10.0.0.0/24 is its broadcast address and cannot be used"},
		{"outside", 0, reserved, "10.0.0.250", "10.0.1.5", "ipam: end 10.0.1.5 of the reserved range: is not in subnet 10.0.0.0/24"},
		{"backwards", 0, reserved, "10.0.0.9", "10.0.0.5", "ipam: reserved range 10.0.0.9-10.0.0.5: ends before it starts"},
		{"two families", 0, reserved, "10.0.0.9", "fd00::5", "ipam: reserved range 10.0.0.9-fd00::5: mixes IPv4 and IPv6"},
		{"shrink around its addresses", 1, dynamic, "10.0.0.110", "10.0.0.140", ""},
		{"grow into free space", 1, dynamic, "10.0.0.90", "10.0.0.160", ""},
		{"grow over an address", 1, dynamic, "10.0.0.45", "10.0.0.149", "ipam: dynamic range 10.0.0.45-10.0.0.149: overlaps another (sticky address 10.0.0.50 of node1 eth0 is inside it)"},
		{"make it reserved", 1, reserved, "10.0.0.100", "10.0.0.149", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := lab().CheckRange(ipam.Range{ID: tt.id, Type: tt.kind, Start: addr(tt.start), End: addr(tt.end)})
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestCheckRangeIPv6(t *testing.T) {
	u := &ipam.Usage{Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix("fd00::/64")}}
	small := ipam.Range{Type: ipam.RangeDynamic, Start: addr("fd00::1"), End: addr("fd00::fe")}
	if err := u.CheckRange(small); err == nil {
		t.Error("a dynamic range of 254 addresses was accepted")
	}
	// The low block is closed to automatic allocation only.
	ok := ipam.Range{Type: ipam.RangeDynamic, Start: addr("fd00::1"), End: addr("fd00::ffff")}
	if err := u.CheckRange(ok); err != nil {
		t.Error(err)
	}
	if e := u.Explain(addr("fd00::5")); e.Auto == nil || e.Static != nil {
		t.Errorf("fd00::5: auto %v, static %v; want refused and allowed", e.Auto, e.Static)
	}
	if e := u.Explain(addr("fd00::1:0:0")); e.Auto != nil {
		t.Errorf("fd00::1:0:0: %v", e.Auto)
	}
	if a, err := newPool(t, ipam.PoolConfig{Usage: *u}).Next(t.Context(), ""); err != nil || a != addr("fd00::1:0:0") {
		t.Errorf("Next = %v, %v; want the first address above the low block", a, err)
	}
}

func TestExplain(t *testing.T) {
	for _, tt := range []struct{ addr, want string }{
		{"10.0.0.33", `10.0.0.33 on 10.0.0.0/24: unused
  automatic allocation: possible
  assigning it by hand: possible
`},
		{"10.0.0.130", `10.0.0.130 on 10.0.0.0/24: assigned-ip, dynamic
  it is in: dynamic range 10.0.0.100-10.0.0.149
  it is in: auto address 10.0.0.130 of node2 eth0
  automatic allocation: no, address 10.0.0.130: belongs to the DHCP server (dynamic range 10.0.0.100-10.0.0.149)
  assigning it by hand: no, address 10.0.0.130: belongs to the DHCP server (dynamic range 10.0.0.100-10.0.0.149)
  DHCP: handed out from the dynamic range
`},
		{"10.0.0.60", `10.0.0.60 on 10.0.0.0/24: reserved
  it is in: reserved IP 10.0.0.60 for 52:54:00:00:00:01
  automatic allocation: no, address 10.0.0.60: is kept for another link address (reserved IP 10.0.0.60 for 52:54:00:00:00:01)
  assigning it by hand: no, address 10.0.0.60: is kept for another link address (reserved IP 10.0.0.60 for 52:54:00:00:00:01)
`},
	} {
		got := lab().Explain(addr(tt.addr)).String()
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.addr, d)
		}
	}
}

func TestReservedIPs(t *testing.T) {
	u := lab()
	m := mac("52:54:00:00:00:02")
	for _, tt := range []struct {
		r    ipam.ReservedIP
		want string
	}{
		{ipam.ReservedIP{Addr: addr("10.0.0.61"), MAC: m}, ""},
		{ipam.ReservedIP{Addr: addr("10.0.0.205"), MAC: m}, ""},
		{ipam.ReservedIP{Addr: addr("10.0.0.110"), MAC: m}, "ipam: reserved IP 10.0.0.110 for 52:54:00:00:00:02: belongs to the DHCP server (dynamic range 10.0.0.100-10.0.0.149)"},
		{ipam.ReservedIP{Addr: addr("10.0.0.50"), MAC: m}, "ipam: reserved IP 10.0.0.50 for 52:54:00:00:00:02: is in use (sticky address 10.0.0.50 of node1 eth0)"},
		{ipam.ReservedIP{Addr: addr("10.0.0.60"), MAC: m}, "ipam: reserved IP 10.0.0.60 for 52:54:00:00:00:02: is in use (reserved IP 10.0.0.60 for 52:54:00:00:00:01)"},
		{ipam.ReservedIP{Addr: addr("10.0.0.62"), MAC: mac("52:54:00:00:00:01")}, "ipam: reserved IP 10.0.0.62 for 52:54:00:00:00:01: overlaps another (reserved IP 10.0.0.60 for 52:54:00:00:00:01)"},
		{ipam.ReservedIP{Addr: addr("10.0.0.255"), MAC: m}, "ipam: reserved IP 10.0.0.255 for 52:54:00:00:00:02: the last address of 10.0.0.0/24 is its broadcast address and cannot be used"},
	} {
		got := ""
		if err := u.CheckReservedIP(tt.r, nil); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	holder := func(a ipam.Allocation) bool { return a.Holder == "node1 eth0" }
	if err := u.CheckReservedIP(ipam.ReservedIP{Addr: addr("10.0.0.50"), MAC: m}, holder); err != nil {
		t.Errorf("its own address: %v", err)
	}
	if err := u.CheckAddress(addr("10.0.0.60"), mac("52:54:00:00:00:01"), false); err != nil {
		t.Errorf("the machine the reservation is for: %v", err)
	}
}

func TestStatistics(t *testing.T) {
	u := lab()
	st := u.Statistics()
	// 1 gateway, 1 DNS server inside, 50 dynamic (with what is in it), 10 reserved, .50, .60, .70
	if got, want := st.String(), "65 of 254 addresses used (25.6 %)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if st.Largest.Int64() != 50 {
		t.Errorf("largest = %s, want 50 (.150 to .199)", st.Largest)
	}
	if st.Exhausting(16) || !st.Exhausting(84) == st.Exhausting(200) {
		t.Error("189 free of 254: no notice is due at a threshold of 16")
	}
	full := ipam.Usage{Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/24")}, Ranges: []ipam.Range{{Start: addr("10.0.0.1"), End: addr("10.0.0.240")}}}
	if !full.Statistics().Exhausting(16) {
		t.Error("14 free of 254: a notice is due")
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"10.0.0.1-10.0.0.9", "10.0.0.0/24", "fd00::1-fd00::ff", "10.0.0.9", "10.0.0.9-10.0.0.1", "fe80::1%eth0", "::ffff:10.0.0.1-10.0.0.2", "-", "1-2", "10.0.0.1 - 10.0.0.3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ipam.ParseRange(s)
		if err != nil {
			return
		}
		if !r.IsValid() {
			t.Fatalf("%q: accepted an invalid range", s)
		}
		again, err := ipam.ParseRange(r.From().String() + "-" + r.To().String())
		if err != nil || again != r {
			t.Fatalf("%q: %s reads back as %s, %v", s, r, again, err)
		}
	})
}

func TestNamesReadBack(t *testing.T) {
	for _, a := range []ipam.AllocType{0, 1, 4, 5, 6} {
		if b, err := ipam.ParseAllocType(a.String()); err != nil || a != b {
			t.Errorf("%v: %v, %v", a, b, err)
		}
	}
	for k := ipam.Physical; k <= ipam.Unknown; k++ {
		if b, err := ipam.ParseInterfaceKind(k.String()); err != nil || k != b {
			t.Errorf("%v: %v, %v", k, b, err)
		}
	}
	for m := ipam.LinkAuto; m <= ipam.LinkUp; m++ {
		if b, err := ipam.ParseLinkMode(m.String()); err != nil || m != b {
			t.Errorf("%v: %v, %v", m, b, err)
		}
	}
	for _, r := range []ipam.RangeType{ipam.RangeReserved, ipam.RangeDynamic} {
		if b, err := ipam.ParseRangeType(r.String()); err != nil || r != b {
			t.Errorf("%v: %v, %v", r, b, err)
		}
	}
}
