package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/setting"
)

var discoveryTime = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// seenEvent is a report about 02:00:00:00:00:<n> at an address of the rack's eth0.
func seenEvent(kind discovery.Kind, n byte, addr string, info discovery.Info) discovery.Event {
	e := discovery.Event{Kind: kind, Device: discovery.Device{
		Interface: "eth0", MAC: discovery.MAC{2, 0, 0, 0, 0, n}, First: discoveryTime, Last: discoveryTime, Expires: discoveryTime.Add(time.Hour),
		Count: 1, Sources: discovery.ARP, Info: info,
	}}
	if addr != "" {
		e.Device.Addr = netip.MustParseAddr(addr)
	}
	return e
}

func seenMAC(n byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, n} }

func named(name string, origin discovery.Source) discovery.Info {
	return discovery.Info{Names: []discovery.Name{{Name: name, Origin: origin}}}
}

// watched makes a site with racks on one subnet each.
func watched(t *testing.T, inv *inventory.Inventory, prefixes ...string) []ipam.Subnet {
	t.Helper()
	var out []ipam.Subnet
	for i, text := range prefixes {
		p := netip.MustParsePrefix(text)
		s := fine(inv.Subnets.Create(t.Context(), ipam.Subnet{Prefix: p}))(t)
		link := inventory.RackLink{Name: "eth0", MAC: fmt.Sprintf("02:00:00:00:ff:%02x", i), Addrs: []netip.Prefix{netip.PrefixFrom(p.Addr().Next(), p.Bits())}}
		fine(inv.RegisterRack(t.Context(), inventory.Rack{Name: fmt.Sprintf("rack-%d", i+1), Links: []inventory.RackLink{link}}))(t)
		out = append(out, s)
	}
	return out
}

// fine ends the test unless a call went well.
func fine[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func record(t *testing.T, inv *inventory.Inventory, rack string, events ...discovery.Event) {
	t.Helper()
	for _, e := range events {
		for range 2 { // twice changes nothing
			if err := inv.Discoveries.Record(t.Context(), rack, e); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func shown(t *testing.T, inv *inventory.Inventory, view inventory.DiscoveryView) []string {
	t.Helper()
	out := []string{}
	for _, d := range fine(inv.Discoveries.List(t.Context(), view))(t) {
		out = append(out, fmt.Sprintf("%s %s %q", d.Addr, d.MAC, d.Hostname))
	}
	slices.Sort(out)
	return out
}

func described(t *testing.T, inv *inventory.Inventory) string {
	t.Helper()
	var b strings.Builder
	for _, e := range fine(inv.Events.Last(t.Context(), 0, 100))(t) {
		b.WriteString(e.Level + ": " + e.Description + "\n")
	}
	return b.String()
}

func TestDiscoveryViews(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		watched(t, inv, "192.0.2.0/24")
		record(t, inv, "rack-1", seenEvent(discovery.New, 7, "192.0.2.7", named("printer", discovery.MDNS)), seenEvent(discovery.New, 8, "192.0.2.8", discovery.Info{}),
			seenEvent(discovery.New, 9, "192.0.2.9", discovery.Info{}))
		// The other rack knows more of the first.
		later := seenEvent(discovery.New, 7, "192.0.2.7", discovery.Info{})
		later.Device.Last = discoveryTime.Add(time.Minute)
		record(t, inv, "rack-2", later)
		fine(inv.Machines.Create(t.Context(), inventory.Machine{Interfaces: []inventory.Interface{{Interface: ipam.Interface{MAC: seenMAC(8)}}}}))(t)
		fine(inv.ReserveAddress(t.Context(), inventory.Reservation{Addr: netip.MustParseAddr("192.0.2.9")}))(t)
		seven, eight, nine := `192.0.2.7 02:00:00:00:00:07 "printer"`, `192.0.2.8 02:00:00:00:00:08 ""`, `192.0.2.9 02:00:00:00:00:09 ""`
		for view, want := range map[inventory.DiscoveryView][]string{
			inventory.AllDiscoveries: {seven, eight, nine}, inventory.UnknownMAC: {seven, nine}, inventory.UnknownAddr: {seven, eight}, inventory.UnknownMACAndAddr: {seven},
		} {
			if got := shown(t, inv, view); !slices.Equal(got, want) {
				t.Errorf("view %d: got %q, want %q", view, got, want)
			}
		}
		all := fine(inv.Discoveries.List(t.Context(), inventory.AllDiscoveries))(t)
		d := fine(inv.Discoveries.Get(t.Context(), all[0].Key()))(t)
		if d.Rack != "rack-2" || len(d.Observers) != 2 || d.Fabric.ID != 0 && d.VLAN.ID == 0 || d.Subnet.Prefix.String() != "192.0.2.0/24" {
			t.Errorf("got %+v", d)
		}
		if _, err := inv.Discoveries.Get(t.Context(), "nonsense"); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
}

func TestDiscoveriesMoveAndQuarrelAndExpire(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		watched(t, inv, "192.0.2.0/24")
		moved := seenEvent(discovery.Moved, 8, "192.0.2.7", discovery.Info{})
		moved.Previous = discovery.MAC{2, 0, 0, 0, 0, 7}
		conflict := seenEvent(discovery.Conflict, 9, "192.0.2.10", discovery.Info{})
		conflict.Previous = discovery.MAC{2, 0, 0, 0, 0, 10}
		record(t, inv, "rack-1", seenEvent(discovery.New, 7, "192.0.2.7", discovery.Info{}), moved)
		if err := inv.Discoveries.Record(t.Context(), "rack-1", conflict); err != nil {
			t.Fatal(err)
		}
		if got := shown(t, inv, 0); len(got) != 2 || got[1] != `192.0.2.7 02:00:00:00:00:08 ""` {
			t.Errorf("got %q", got)
		}
		text := described(t, inv)
		if strings.Count(text, "192.0.2.7 moved from 02:00:00:00:00:07 to 02:00:00:00:00:08") != 1 || !strings.Contains(text, "error: 192.0.2.10 is used by two devices") {
			t.Errorf("events:\n%s", text)
		}
		if n := fine(inv.Discoveries.Expire(t.Context(), discoveryTime.Add(2*time.Hour)))(t); n != 2 {
			t.Errorf("%d expired", n)
		}
	})
}

// A router that answers for all addresses is an event, and no device.
func TestProxyARPIsAnEvent(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		watched(t, inv, "192.0.2.0/24")
		known := seenEvent(discovery.ProxyARP, 1, "192.0.2.254", discovery.Info{})
		unknown := seenEvent(discovery.ProxyARP, 2, "", discovery.Info{})
		for _, e := range []discovery.Event{known, unknown} {
			if err := inv.Discoveries.Record(t.Context(), "rack-1", e); err != nil {
				t.Fatal(err)
			}
		}
		if got := shown(t, inv, 0); len(got) != 0 {
			t.Errorf("devices %q", got)
		}
		text := described(t, inv)
		for _, want := range []string{"warning: 02:00:00:00:00:01 at 192.0.2.254 answers for all addresses", "warning: 02:00:00:00:00:02 answers for all addresses"} {
			if strings.Count(text, want) != 1 {
				t.Errorf("no %q in:\n%s", want, text)
			}
		}
	})
}

func TestSeenAddressesAreNotGivenOut(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		subnet := watched(t, inv, "192.0.2.0/29")[0] // .1 is the rack's
		record(t, inv, "rack-1", seenEvent(discovery.New, 7, "192.0.2.2", discovery.Info{}), seenEvent(discovery.New, 8, "192.0.2.3", discovery.Info{}))
		got := fine(inv.ReserveAddress(t.Context(), inventory.Reservation{SubnetID: subnet.ID}))(t)
		if got.Addr.String() != "192.0.2.4" {
			t.Errorf("given %s", got.Addr)
		}
	})
}

func TestNewTagsAndForeignServers(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		subnet := watched(t, inv, "192.0.2.0/24")[0]
		fabric := fine(inv.VLANs.Get(t.Context(), subnet.VLANID))(t).FabricID
		tagged := seenEvent(discovery.New, 7, "198.51.100.7", discovery.Info{})
		tagged.Device.VID = 42
		own := seenEvent(discovery.New, 1, "192.0.2.1", discovery.Info{DHCPServer: true})
		foreign := seenEvent(discovery.New, 9, "192.0.2.9", discovery.Info{DHCPServer: true})
		heard := seenEvent(discovery.New, 9, "192.0.2.10", discovery.Info{DHCPServer: true})
		heard.Device.MAC = discovery.MAC{}
		record(t, inv, "rack-1", tagged, own, foreign, heard)
		if v, err := inv.VLANByVID(t.Context(), fabric, 42); err != nil {
			t.Errorf("VLAN %+v: %v", v, err)
		}
		servers := fine(inv.Discoveries.DHCPServers(t.Context()))(t)
		if len(servers) != 2 || servers[0].Addr.String() != "192.0.2.9" || servers[1].MAC != nil {
			t.Errorf("servers %+v", servers)
		}
		for _, d := range fine(inv.Discoveries.List(t.Context(), 0))(t) {
			if d.ExternalDHCP != (d.Addr.String() == "192.0.2.9") || d.VID == 42 && d.VLAN.VID != 42 {
				t.Errorf("%+v", d)
			}
		}
		if err := inv.Settings.Set(t.Context(), setting.DiscoveryVLANs, "propose"); err != nil {
			t.Fatal(err)
		}
		tagged.Device.VID = 43
		record(t, inv, "rack-1", tagged)
		if _, err := inv.VLANByVID(t.Context(), fabric, 43); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("VLAN 43: %v", err)
		}
		text := described(t, inv)
		for _, want := range []string{"VLAN 42 was seen", "VLAN 43 is in use", "another DHCP server, 192.0.2.9", "another DHCP server, 192.0.2.10"} {
			if strings.Count(text, want) != 1 {
				t.Errorf("%q is not once in\n%s", want, text)
			}
		}
	})
}

func TestClearDiscoveries(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		watched(t, inv, "192.0.2.0/24")
		fill := func() {
			both := seenEvent(discovery.New, 7, "192.0.2.7", named("printer", discovery.MDNS))
			both.Device.Sources |= discovery.MDNS
			only := seenEvent(discovery.New, 8, "192.0.2.8", named("phone", discovery.MDNS))
			only.Device.Sources = discovery.MDNS
			record(t, inv, "rack-1", both, only, seenEvent(discovery.New, 9, "192.0.2.9", discovery.Info{}))
		}
		for _, c := range []struct {
			what inventory.ClearWhat
			want []string
		}{
			{inventory.ClearMDNS, []string{`192.0.2.7 02:00:00:00:00:07 ""`, `192.0.2.9 02:00:00:00:00:09 ""`}},
			{inventory.ClearNeighbours, []string{`192.0.2.7 02:00:00:00:00:07 "printer"`, `192.0.2.8 02:00:00:00:00:08 "phone"`}},
			{inventory.ClearAll, []string{}},
		} {
			if err := inv.Discoveries.Clear(t.Context(), inventory.ClearAll); err != nil {
				t.Fatal(err)
			}
			fill()
			if err := inv.Discoveries.Clear(t.Context(), c.what); err != nil {
				t.Fatal(err)
			}
			if got := shown(t, inv, 0); !slices.Equal(got, c.want) {
				t.Errorf("%d: got %q, want %q", c.what, got, c.want)
			}
		}
		fill()
		if n := fine(inv.Discoveries.Forget(t.Context(), netip.MustParseAddr("192.0.2.8"), seenMAC(8)))(t); n != 1 {
			t.Errorf("%d cleared", n)
		}
	})
}

// A rack that has not heard of a rule yet still reports what it sees.
func TestIgnoredDevicesAreNotRecorded(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		watched(t, inv, "192.0.2.0/24")
		seven, eight := seenEvent(discovery.New, 7, "192.0.2.7", discovery.Info{}), seenEvent(discovery.New, 8, "192.0.2.8", discovery.Info{})
		record(t, inv, "rack-1", seven)
		if err := inv.Settings.Set(t.Context(), setting.DiscoveryIgnore, "192.0.2.7"); err != nil {
			t.Fatal(err)
		}
		record(t, inv, "rack-1", seven, eight)
		if got, want := shown(t, inv, 0), []string{`192.0.2.8 02:00:00:00:00:08 ""`}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestPromote(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		subnet := watched(t, inv, "192.0.2.0/24")[0]
		fine(inv.Ranges.Create(t.Context(), ipam.Range{SubnetID: subnet.ID, Type: ipam.RangeDynamic, Start: netip.MustParseAddr("192.0.2.100"), End: netip.MustParseAddr("192.0.2.199")}))(t)
		record(t, inv, "rack-1", seenEvent(discovery.New, 7, "192.0.2.7", named("printer.local", discovery.MDNS)),
			seenEvent(discovery.New, 8, "192.0.2.8", named("printer", discovery.MDNS)), seenEvent(discovery.New, 9, "192.0.2.109", discovery.Info{}))
		ask := func(n byte, addr string) inventory.Promotion {
			return inventory.Promotion{Addr: netip.MustParseAddr(addr), MAC: seenMAC(n), Device: true}
		}
		got := fine(inv.Discoveries.Promote(t.Context(), ask(7, "192.0.2.7")))(t)
		if d := got.Device; d == nil || d.FQDN != "printer.maas" || got.Addr.String() != "192.0.2.7" || len(d.Interfaces) != 1 || len(d.Interfaces[0].Links) != 1 ||
			d.Interfaces[0].Links[0].Type != ipam.AllocSticky || d.Interfaces[0].VLANID != subnet.VLANID {
			t.Errorf("got %+v", got)
		}
		if !inDNS(t, inv, "printer.maas", "192.0.2.7") {
			t.Error("it has no DNS record")
		}
		if text := described(t, inv); !strings.Contains(text, "device printer.maas was made of what rack rack-1 saw on eth0: 02:00:00:00:00:07 at 192.0.2.7") {
			t.Errorf("events:\n%s", text)
		}
		// The name is taken by now, and a machine is made.
		machine := ask(8, "192.0.2.8")
		machine.Device = false
		if got := fine(inv.Discoveries.Promote(t.Context(), machine))(t); got.Machine == nil || got.Machine.Hostname == "printer" || got.Machine.Hostname == "" {
			t.Errorf("got %+v", got)
		}
		for _, c := range []struct {
			name string
			ask  inventory.Promotion
			is   error
		}{
			{"again", ask(7, "192.0.2.7"), fs.ErrExist},
			{"never seen", ask(10, "192.0.2.10"), fs.ErrNotExist},
		} {
			if _, err := inv.Discoveries.Promote(t.Context(), c.ask); !errors.Is(err, c.is) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		// An address of DHCP's cannot be kept, and then nothing is made.
		var refused *ipam.RefusedError
		if _, err := inv.Discoveries.Promote(t.Context(), ask(9, "192.0.2.109")); !errors.As(err, &refused) {
			t.Errorf("got %v", err)
		}
		if n := len(fine(inv.Devices.List(t.Context()))(t)); n != 1 {
			t.Errorf("%d devices", n)
		}
		without := ask(9, "192.0.2.109")
		without.NoAddress = true
		if got := fine(inv.Discoveries.Promote(t.Context(), without))(t); got.Device == nil || got.Addr.IsValid() {
			t.Errorf("got %+v", got)
		}
		if got := shown(t, inv, inventory.UnknownMAC); len(got) != 0 {
			t.Errorf("still unknown: %q", got)
		}
	})
}

func inDNS(t *testing.T, inv *inventory.Inventory, name, addr string) bool {
	t.Helper()
	for _, set := range plan.DNS(fine(inv.Model(t.Context()))(t)).Sets {
		if strings.TrimSuffix(set.Name, ".") == name && set.Type == "A" && slices.Contains(set.Data, addr) {
			return true
		}
	}
	return false
}

func TestOneRackScansASubnetAtATime(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		subnet := watched(t, inv, "192.0.2.0/24")[0].ID
		now := discoveryTime
		claim := func(rack string, after, interval time.Duration, want bool) {
			t.Helper()
			if got := fine(inv.Scans.Claim(t.Context(), subnet, rack, now.Add(after), interval, time.Minute))(t); got != want {
				t.Errorf("%s after %v: %v", rack, after, got)
			}
		}
		claim("rack-1", 0, time.Hour, true)
		claim("rack-2", time.Second, 0, false)
		if err := inv.Scans.End(t.Context(), subnet, "rack-1", now.Add(10*time.Second)); err != nil {
			t.Fatal(err)
		}
		claim("rack-2", 20*time.Second, time.Hour, false) // was done lately
		claim("rack-2", 20*time.Second, 0, true)          // a user asks for it
		claim("rack-1", 2*time.Minute, 0, true)           // the other one is gone
		claim("rack-1", -24*time.Hour, time.Hour, true)   // the clock was wrong
	})
}

func TestPlanScan(t *testing.T) {
	subnet := func(id int64, prefix string) ipam.Subnet {
		return ipam.Subnet{ID: id, VLANID: id, Prefix: netip.MustParsePrefix(prefix), ActiveDiscovery: id != 3}
	}
	link := func(addrs ...string) []inventory.RackLink {
		var l inventory.RackLink
		for _, a := range addrs {
			l.Addrs = append(l.Addrs, netip.MustParsePrefix(a))
		}
		return []inventory.RackLink{l}
	}
	m := &inventory.Model{
		Subnets: []ipam.Subnet{subnet(1, "192.0.2.0/24"), subnet(2, "198.51.100.0/24"), subnet(3, "203.0.113.0/24"), subnet(4, "10.0.0.0/24"), subnet(5, "10.0.1.0/24")},
		VLANs:   []ipam.VLAN{{ID: 2, PrimaryRack: "b"}},
		Racks: []inventory.Rack{
			{Name: "a", Links: link("192.0.2.1/24", "198.51.100.1/24", "203.0.113.1/24")},
			{Name: "b", Links: link("192.0.2.2/24", "198.51.100.2/24")}, {Name: "away", Links: link("10.0.0.1/24")},
		},
	}
	plans, left := inventory.PlanScan(m, []string{"a", "b"}, func(s ipam.Subnet) bool { return s.ActiveDiscovery })
	if len(plans) != 2 || plans[0].Rack != "a" || plans[0].Subnets[0].ID != 1 || plans[1].Rack != "b" || plans[1].Subnets[0].ID != 2 || len(left) != 2 {
		t.Errorf("%+v, %+v", plans, left)
	}
	m.Settings = map[string]string{setting.UpstreamDNS: "192.0.2.53 2001:db8::53", setting.DiscoveryIgnore: "02:00:00"}
	p := plan.Discovery(m, m.Racks[1])
	if !p.Listen || len(p.Subnets) != 2 || len(p.Resolvers) != 2 || p.Resolvers[0].String() != "192.0.2.53:53" || len(p.Ignore) != 1 || m.ScanInterval() != 3*time.Hour {
		t.Errorf("%+v", p)
	}
	m.Settings[setting.NetworkDiscovery] = "disabled"
	if plan.Discovery(m, m.Racks[1]).Listen || m.ScanInterval() != 0 {
		t.Error("disabled, but listens")
	}
}

func TestBeaconsProposeFabrics(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		subnets := watched(t, inv, "192.0.2.0/24", "198.51.100.0/24")
		other := fine(inv.Fabrics.Create(t.Context(), ipam.Fabric{Name: "other"}))(t)
		vlan := fine(inv.DefaultVLAN(t.Context(), other.ID))(t)
		subnets[1].VLANID = vlan.ID
		subnets[1].Version = fine(inv.Subnets.Get(t.Context(), subnets[1].ID))(t).Version
		if _, err := inv.Subnets.Update(t.Context(), subnets[1]); err != nil {
			t.Fatal(err)
		}
		if got := fine(inv.Topology.Proposals(t.Context()))(t); len(got) != 0 {
			t.Errorf("proposed without a reason: %+v", got)
		}
		heard := seenEvent(discovery.New, 1, "", discovery.Info{Beacon: &discovery.Beacon{Rack: "rack-1", Interface: "eth0"}})
		record(t, inv, "rack-2", heard)
		got := fine(inv.Topology.Proposals(t.Context()))(t)
		if len(got) != 1 || got[0].Subnet.ID != subnets[1].ID || got[0].To.ID != subnets[0].VLANID || got[0].Rack != "rack-2" {
			t.Fatalf("got %+v", got)
		}
		// A link without a subnet is where its neighbours are.
		heard.Device.Interface = "eth1"
		record(t, inv, "rack-2", heard)
		tagged := seenEvent(discovery.New, 7, "203.0.113.7", discovery.Info{})
		tagged.Device.Interface, tagged.Device.VID = "eth1", 77
		record(t, inv, "rack-2", tagged)
		fabric := fine(inv.VLANs.Get(t.Context(), subnets[0].VLANID))(t).FabricID
		if _, err := inv.VLANByVID(t.Context(), fabric, 77); err != nil {
			t.Error(err)
		}
		if done := fine(inv.Topology.Apply(t.Context()))(t); len(done) != 1 {
			t.Errorf("done %+v", done)
		}
		if s := fine(inv.Subnets.Get(context.Background(), subnets[1].ID))(t); s.VLANID != subnets[0].VLANID {
			t.Errorf("still on VLAN %d", s.VLANID)
		}
		record(t, inv, "rack-3", seenEvent(discovery.New, 3, "", discovery.Info{Beacon: &discovery.Beacon{Rack: "rack-3", Interface: "eth0"}}))
		if text := described(t, inv); strings.Count(text, "eth0 of rack rack-3 hears its own beacons") != 1 {
			t.Errorf("events:\n%s", text)
		}
		sw := seenEvent(discovery.New, 5, "", discovery.Info{Switch: &discovery.Switch{Chassis: "leaf", Port: "ge-0/0/1", TTL: time.Minute}})
		record(t, inv, "rack-1", sw)
		peers := fine(inv.Topology.Peers(t.Context()))(t)
		if s := peers[len(peers)-1].Switch(); len(peers) != 4 || s == nil || s.Port != "ge-0/0/1" {
			t.Errorf("peers %+v", peers)
		}
	})
}

// A router that answers for all addresses of a subnet makes none of them unavailable; devices keep
// theirs, and no conflict is reported with it, but one between two devices is.
func TestProxyARPMakesNoAddressUnavailable(t *testing.T) {
	for name, c := range map[string]struct {
		prefix  string
		answers int // last octet of the last address that the router answers for
	}{
		"all of a /24": {"192.0.2.0/24", 254}, "a part of a /24": {"192.0.2.0/24", 40}, "a /28": {"192.0.2.0/28", 14},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
				subnet := watched(t, inv, c.prefix)[0] // .1 is the rack's
				at := func(n int) string { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}).String() }
				record(t, inv, "rack-1", seenEvent(discovery.New, 5, at(5), discovery.Info{}))
				for i := 2; i <= c.answers; i++ {
					record(t, inv, "rack-1", seenEvent(discovery.New, 9, at(i), discovery.Info{}))
				}
				conflict := seenEvent(discovery.Conflict, 9, at(5), discovery.Info{})
				conflict.Previous = discovery.MAC{2, 0, 0, 0, 0, 5}
				moved := seenEvent(discovery.Moved, 9, at(5), discovery.Info{})
				moved.Previous = conflict.Previous
				real := seenEvent(discovery.Conflict, 5, at(5), discovery.Info{})
				real.Previous = discovery.MAC{2, 0, 0, 0, 0, 6}
				record(t, inv, "rack-1", conflict, moved)
				text := described(t, inv)
				if strings.Contains(text, "used by two devices") || strings.Contains(text, "moved from") || strings.Count(text, "a router with proxy ARP") != 1 {
					t.Errorf("events:\n%s", text)
				}
				record(t, inv, "rack-1", real)
				if text := described(t, inv); !strings.Contains(text, "used by two devices") {
					t.Errorf("a conflict beside it is not reported:\n%s", text)
				}
				u := fine(inv.Usage(t.Context(), subnet.ID))(t)
				if len(u.Neighbours) != 2 { // the device, and the router at one address
					t.Errorf("neighbors %v", u.Neighbours)
				}
				for range 5 {
					if got := fine(inv.ReserveAddress(t.Context(), inventory.Reservation{SubnetID: subnet.ID}))(t); got.Addr.String() == at(5) {
						t.Errorf("given %s, which a device has", got.Addr)
					}
				}
			})
		})
	}
}
