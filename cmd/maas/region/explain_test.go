package region

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack/explain"
	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory"
)

// get calls the command socket, and returns its error text unless it answers 200.
func get(t *testing.T, r *Region, path string, out any) string {
	t.Helper()
	w := httptest.NewRecorder()
	r.Local().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	if w.Code != 200 {
		return w.Body.String()
	}
	ok(t, json.Unmarshal(w.Body.Bytes(), out))
	return ""
}

func kindsOf(facts []AddressFact) (out []string) {
	for _, f := range facts {
		out = append(out, f.Kind)
	}
	return out
}

// Of a subnet that the site does not manage, and of one where DHCP is off, the answers say so.
func TestExplainUnserved(t *testing.T) {
	r, _ := opened(t)
	ctx := t.Context()
	s, err := r.inv.Subnets.Create(ctx, ipam.Subnet{Prefix: netip.MustParsePrefix("198.51.100.0/24")})
	ok(t, err)
	for kind, first := range map[ipam.RangeType]string{ipam.RangeDynamic: "198.51.100.100", ipam.RangeReserved: "198.51.100.50"} {
		start := netip.MustParseAddr(first)
		_, err = r.inv.Ranges.Create(ctx, ipam.Range{SubnetID: s.ID, Type: kind, Start: start, End: start.Next()})
		ok(t, err)
	}
	s, err = r.inv.Subnets.Get(ctx, s.ID)
	ok(t, err)
	s.Unmanaged = true
	_, err = r.inv.Subnets.Update(ctx, s)
	ok(t, err)
	fabric, err := r.inv.Fabrics.Create(ctx, ipam.Fabric{Name: "far"})
	ok(t, err)
	v, err := r.inv.DefaultVLAN(ctx, fabric.ID)
	ok(t, err)
	_, err = r.inv.Subnets.Create(ctx, ipam.Subnet{Prefix: netip.MustParsePrefix("203.0.113.0/24"), VLANID: v.ID})
	ok(t, err)
	for ip, want := range map[string]string{
		"198.51.100.7":   "the site serves no DHCP in 198.51.100.0/24, and gives out its addresses only inside of reserved ranges",
		"198.51.100.100": "which no rack serves while the subnet is unmanaged",
		"198.51.100.51":  "from which the site gives out addresses",
	} {
		var out AddressExplanation
		if text := get(t, r, "/api/v1/explain/ip/"+ip, &out); text != "" || out.Facts[0].Kind != "unmanaged" {
			t.Errorf("%s: %s %+v", ip, text, out.Facts)
		}
		if text, _ := json.Marshal(out.Facts); !strings.Contains(string(text), want) {
			t.Errorf("%s: no %q in %s", ip, want, text)
		}
	}
	for query, want := range map[string][]string{
		"":                         {"198.51.100.0/24 is unmanaged", "203.0.113.0/24 is on VLAN untagged"},
		"&subnet=198.51.100.0/24":  {"198.51.100.0/24 is unmanaged"},
		"&subnet=203.0.113.0%2F24": {"where DHCP is off"},
		"&subnet=192.0.2.0/24":     nil,
	} {
		var out DHCPExplanation
		if text := get(t, r, "/api/v1/explain/dhcp?mac=02:00:00:00:00:09"+query, &out); text != "" || len(out.Unserved) != len(want) {
			t.Errorf("%s: %s %q", query, text, out.Unserved)
			continue
		}
		for i := range want {
			if !strings.Contains(out.Unserved[i], want[i]) {
				t.Errorf("%s: %q, want %q", query, out.Unserved[i], want[i])
			}
		}
	}
}

func TestExplainAddress(t *testing.T) {
	r, _ := opened(t)
	ctx := t.Context()
	subnets, err := r.inv.Subnets.List(ctx)
	ok(t, err)
	subnets[0].Gateway = netip.MustParseAddr("192.0.2.254")
	_, err = r.inv.Subnets.Update(ctx, subnets[0])
	ok(t, err)
	_, err = r.inv.ReservedIPs.Create(ctx, ipam.ReservedIP{Addr: netip.MustParseAddr("192.0.2.20"), MAC: hw(4), Comment: "the clock"})
	ok(t, err)
	m, _, err := r.inv.Enlist(ctx, inventory.Enlistment{MAC: hw(3), Hostname: "node1"})
	ok(t, err)
	_, err = r.inv.LinkInterface(ctx, m.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: netip.MustParseAddr("192.0.2.10")})
	ok(t, err)
	ok(t, r.inv.Leases.Record(ctx, inventory.LeaseFact{MAC: hw(5), Addr: netip.MustParseAddr("192.0.2.200"), Hostname: "tablet", Expires: time.Now().Add(time.Hour)}))
	ok(t, r.inv.Discoveries.Record(ctx, "rack", discovery.Event{Kind: discovery.New, Device: discovery.Device{
		Interface: "eth0", Addr: netip.MustParseAddr("192.0.2.30"), MAC: discovery.MAC{2, 0, 0, 0, 0, 6}, First: time.Now(), Last: time.Now(), Expires: time.Now().Add(time.Hour),
	}}))
	for _, test := range []struct {
		ip    string
		kinds []string
		text  string // in one of the facts
	}{
		{"192.0.2.254", []string{"gateway"}, "the gateway of 192.0.2.0/24"},
		{"192.0.2.20", []string{"reservation"}, "reserved for 02:00:00:00:00:04: the clock"},
		{"192.0.2.10", []string{"allocation", "dns"}, "node1.maas leads to it"},
		{"192.0.2.200", []string{"range", "allocation", "dns"}, "in the dynamic range"},
		{"192.0.2.30", []string{"discovery"}, "seen by rack rack on eth0 from 02:00:00:00:00:06"},
		{"192.0.2.1", []string{"allocation", "rack", "dns"}, "rack rack has it on eth0"},
		{"203.0.113.1", nil, ""},
	} {
		var out AddressExplanation
		if text := get(t, r, "/api/v1/explain/ip/"+test.ip, &out); text != "" {
			t.Errorf("%s: %s", test.ip, text)
			continue
		}
		got := slices.Compact(kindsOf(out.Facts))
		if !slices.Equal(got, test.kinds) {
			t.Errorf("%s: facts %v, want %v", test.ip, got, test.kinds)
		}
		if text, _ := json.Marshal(out.Facts); !strings.Contains(string(text), test.text) {
			t.Errorf("%s: no %q in %s", test.ip, test.text, text)
		}
		if inside := out.Subnet != ""; inside != strings.HasPrefix(test.ip, "192.") || inside && out.VLAN != "fabric-1/0" {
			t.Errorf("%s: subnet %q, VLAN %q", test.ip, out.Subnet, out.VLAN)
		}
		if len(out.Racks) != 1 || !strings.Contains(out.Racks[0].Error, "not connected") {
			t.Errorf("%s: racks %+v", test.ip, out.Racks)
		}
	}
}

// The network configuration of a machine is rendered with its addresses and gateways.
func TestNetworkIsExplained(t *testing.T) {
	r, _ := opened(t)
	subnets, err := r.inv.Subnets.List(t.Context())
	ok(t, err)
	subnets[0].Gateway = netip.MustParseAddr("192.0.2.254")
	_, err = r.inv.Subnets.Update(t.Context(), subnets[0])
	ok(t, err)
	m, _, err := r.inv.Enlist(t.Context(), inventory.Enlistment{MAC: hw(3), Hostname: "node1"})
	ok(t, err)
	_, err = r.inv.LinkInterface(t.Context(), m.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: netip.MustParseAddr("192.0.2.10")})
	ok(t, err)
	for format, want := range map[string]string{
		"": `via: "192.0.2.254"`, "networkd": "Gateway=192.0.2.254", "kernel": "ip=192.0.2.10::192.0.2.254:255.255.255.0::eth0:none", "networkmanager": "address1=192.0.2.10/24",
	} {
		var out NetworkExplanation
		if text := get(t, r, "/api/v1/explain/network/node1?format="+format, &out); text != "" {
			t.Errorf("%s: %s", format, text)
			continue
		}
		all := ""
		for _, f := range out.Files {
			all += f.Content
		}
		if !strings.Contains(all, want) || out.Machine != "node1.maas" {
			t.Errorf("%s: no %q in %s", format, want, all)
		}
	}
}

func TestExplainRefuses(t *testing.T) {
	r, _ := opened(t)
	vlans, err := r.inv.VLANs.List(t.Context())
	ok(t, err)
	_, err = r.inv.VLANs.Create(t.Context(), ipam.VLAN{FabricID: vlans[0].FabricID, VID: 9})
	ok(t, err)
	_, err = r.inv.Machines.Create(t.Context(), inventory.Machine{Hostname: "bare"})
	ok(t, err)
	for path, want := range map[string]string{
		"ip/nonsense":                         `\"nonsense\" is not an IP address`,
		"dhcp":                                "is needed, and is a MAC address",
		"dhcp?mac=02:00:00:00:00:01&arch=vax": "is none of none, bios, uefi",
		"dhcp?mac=02:00:00:00:00:01&subnet=10.9.0.0/8": "subnet",
		"dhcp?mac=02:00:00:00:00:01&vlan=vid:9":        "has no subnets",
		"boot/bare":                                    "has no interface to boot from",
		"boot/nobody":                                  "nobody",
		"network/nobody":                               "nobody",
		"network/bare?format=toml":                     "must be one of cloud-init-v1, cloud-init-v2",
	} {
		var out any
		if text := get(t, r, "/api/v1/explain/"+path, &out); !strings.Contains(text, want) {
			t.Errorf("%s: %q, want %q", path, text, want)
		}
	}
}

// The racks are asked for the machine's own firmware, and in the subnets that the query names.
func TestExplainAsksRacks(t *testing.T) {
	r, _ := opened(t)
	var asked []explain.Query
	methods := new(rpc.Methods)
	explain.Offer(methods, func(_ context.Context, q explain.Query) (explain.Answer, error) {
		asked = append(asked, q)
		return explain.Answer{Boot: &explain.Boot{Addr: netip.MustParseAddr("192.0.2.50")}}, nil
	})
	defer r.rpc.Attach("rack", methods)()
	m, _, err := r.inv.Enlist(t.Context(), inventory.Enlistment{MAC: hw(3), Hostname: "node1", Firmware: "bios-pxe", Arch: "amd64/generic"})
	ok(t, err)
	ok(t, r.inv.Profiles.SetDefault(t.Context(), &pxe.Profile{Name: "site", Kernel: "vmlinuz"}))
	subnets, err := r.inv.Subnets.List(t.Context())
	ok(t, err)

	var dhcp DHCPExplanation
	if text := get(t, r, "/api/v1/explain/dhcp?mac="+hw(3).String()+"&ipv6=true&vlan=untagged&arch=none", &dhcp); text != "" {
		t.Fatal(text)
	}
	if dhcp.Machine != "node1.maas" || len(asked) != 1 || !asked[0].IPv6 || !slices.Equal(asked[0].Subnets, []netip.Prefix{subnets[0].Prefix}) {
		t.Errorf("%+v asked %+v", dhcp, asked)
	}
	var boot BootExplanation
	if text := get(t, r, "/api/v1/explain/boot/"+m.SystemID, &boot); text != "" {
		t.Fatal(text)
	}
	if q := asked[1]; !q.Boot || q.MAC != hw(3).String() || q.Arch == nil {
		t.Errorf("asked %+v", q)
	}
	if len(boot.Racks) != 1 || boot.Racks[0].Boot.Rule == "" || !strings.Contains(boot.Why, "neither the machine nor its tags have a profile") {
		t.Errorf("%+v", boot)
	}
	// A MAC without a machine is a machine that would be enlisted.
	if text := get(t, r, "/api/v1/explain/boot/02:00:00:00:00:99", &boot); text != "" || !strings.Contains(boot.Why, "no machine has this MAC") {
		t.Errorf("%q, %+v", text, boot)
	}
}

func TestFirmwareOfAQuery(t *testing.T) {
	for _, test := range []struct {
		text string
		m    inventory.Machine
		want firmware.Arch
	}{
		{"bios", inventory.Machine{}, firmware.ArchBIOS},
		{"", inventory.Machine{}, firmware.ArchEFI64},
		{"", inventory.Machine{Architecture: "arm64/generic"}, firmware.ArchARM64},
		{"", inventory.Machine{Firmware: "uefi-arm64-pxe"}, firmware.ArchARM64},
		{"", inventory.Machine{Firmware: "of another release", Architecture: "amd64/generic"}, firmware.ArchEFI64},
		{"uefi", inventory.Machine{Architecture: "arm64/generic"}, firmware.ArchEFI64},
	} {
		if got, err := archOf(test.text, test.m); err != nil || got == nil || *got != test.want {
			t.Errorf("%q of %+v: %v, %v, want %v", test.text, test.m, got, err, test.want)
		}
	}
}

func TestWhyProfile(t *testing.T) {
	own := &pxe.Profile{Name: "own", Kernel: "k"}
	model := &inventory.Model{
		Tags: []inventory.Tag{{ID: 1, Name: "lab"}}, Profiles: map[inventory.BootTarget]pxe.Profile{{TagID: 1}: *own},
		Settings: map[string]string{},
	}
	for _, test := range []struct {
		m    inventory.Machine
		want string
	}{
		{inventory.Machine{}, "no machine has this MAC"},
		{inventory.Machine{ID: 1}, "neither the machine nor its tags"},
		{inventory.Machine{ID: 1, Profile: own}, "the machine has a profile of its own"},
		{inventory.Machine{ID: 1, Tags: []string{"lab"}}, "the machine has the profile of its tag lab; kernel options of its tags (lab)"},
	} {
		if got := whyProfile(model, test.m); !strings.HasPrefix(got, test.want) {
			t.Errorf("%+v: %q, want %q", test.m, got, test.want)
		}
	}
}
