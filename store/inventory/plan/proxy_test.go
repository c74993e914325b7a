package plan_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/internal/sitetest"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/setting"
)

var samePrefix = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func TestPlanProxy(t *testing.T) {
	inv := sitetest.Site(t)
	must[inventory.Rack](t)(inv.RegisterRack(t.Context(), inventory.Rack{
		Name: "far", Links: []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{prefix("10.7.0.2/24"), prefix("192.0.2.66/26")}}},
	}))
	m := model(t, inv)
	subnets := []netip.Prefix{prefix("10.0.0.0/24"), prefix("10.7.0.0/24"), prefix("10.8.0.0/24"), prefix("fd00::/64")}
	racks := []netip.Prefix{prefix("10.0.0.2/32"), prefix("10.7.0.2/32"), prefix("192.0.2.66/32")}
	near, far := plan.Proxy(m, "rack1", "rack1", plan.BMCs{}), plan.Proxy(m, "far", "rack1", plan.BMCs{})
	if d := cmp.Diff(append(slices.Clone(subnets), racks[1:]...), near.Policy.Allow, cmp.Transformer("sorted", func(p []netip.Prefix) []netip.Prefix {
		p = slices.Clone(p)
		slices.SortFunc(p, netip.Prefix.Compare)
		return p
	}), samePrefix); d != "" {
		t.Errorf("clients of the proxy beside the region (-want +got):\n%s", d)
	}
	if d := cmp.Diff(subnets, far.Policy.Allow, samePrefix); d != "" {
		t.Errorf("clients of the other (-want +got):\n%s", d)
	}
	inside := []netip.Prefix{subnets[0], subnets[1], subnets[2], prefix("192.0.2.64/26"), subnets[3]}
	if !slices.Equal(near.Policy.Deny, inside) || !slices.Equal(far.Policy.Deny, inside) {
		t.Errorf("machines may reach the site through their proxies: %v, %v", near.Policy.Deny, far.Policy.Deny)
	}
	if near.Policy.Parents != nil || !slices.Equal(far.Policy.Parents, []string{"http://10.0.0.2:8000/"}) || near.Port != 8000 {
		t.Errorf("%+v, %+v", near, far)
	}
}

// What machines are given, and what racks do, for each combination of the settings.
func TestProxySettings(t *testing.T) {
	const external = "http://user:secret@proxy.example:3128"
	for name, c := range map[string]struct {
		settings []string
		url      string
		port     int
		parents  []string
	}{
		"as it comes":        {nil, "http://10.0.0.2:8000/", 8000, nil},
		"off":                {[]string{"enable_http_proxy", "false"}, "", 0, nil},
		"another port":       {[]string{"maas_proxy_port", "3128"}, "http://10.0.0.2:3128/", 3128, nil},
		"external":           {[]string{"http_proxy", external}, external, 0, nil},
		"external and off":   {[]string{"http_proxy", external, "enable_http_proxy", "false"}, "", 0, nil},
		"external as a peer": {[]string{"http_proxy", external, "use_peer_proxy", "true"}, "http://10.0.0.2:8000/", 8000, []string{external}},
		"a peer of nobody":   {[]string{"use_peer_proxy", "true"}, "http://10.0.0.2:8000/", 8000, nil},
		"IPv4, and directly": {[]string{"prefer_v4_proxy", "true", "no_proxy", ".lab.example, 10.0.0.0/8", "proxy_routes", "/a/=http://a.example/ /b/=https://b.example/x/", "proxy_uplink", "5000"}, "http://10.0.0.2:8000/", 8000, nil},
	} {
		inv := sitetest.Site(t)
		for i := 0; i < len(c.settings); i += 2 {
			if err := inv.Settings.Set(t.Context(), c.settings[i], c.settings[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		m := model(t, inv)
		plan, url := plan.Proxy(m, "rack1", "rack1", plan.BMCs{}), plan.ProxyURLsOf(m, m.Racks[0]).Anywhere
		if plan.Port != c.port || url != c.url || !slices.Equal(plan.Policy.Parents, c.parents) {
			t.Errorf("%s: port %d, parents %v, machines get %q", name, plan.Port, plan.Policy.Parents, url)
		}
		if direct := len(plan.Policy.Direct) == 2 && plan.Policy.PreferIPv4 && len(plan.Policy.Routes) == 2 && plan.Policy.Uplink == 5000; direct != (name == "IPv4, and directly") {
			t.Errorf("%s: %+v", name, plan.Policy)
		}
		if plan.Port == 0 && len(plan.Policy.Allow) > 0 {
			t.Errorf("%s: a proxy that is off allows %v", name, plan.Policy.Allow)
		}
	}
}

// Ports and the parents of some hosts reach the racks: the ports all of them, the parents the one
// through which the others go.
func TestProxyPortsAndParents(t *testing.T) {
	inv := sitetest.Site(t)
	must[inventory.Rack](t)(inv.RegisterRack(t.Context(), inventory.Rack{Name: "far", Links: []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{prefix("10.7.0.2/24")}}}}))
	for name, value := range map[string]string{
		"proxy_tunnel_ports": "443, 8443", "proxy_ports": "80 8000-8999",
		"proxy_parents": ".corp.example=http://one.example:3128 10.9.0.0/16=http://other.example .corp.example=http://user:secret@two.example:3128",
	} {
		if err := inv.Settings.Set(t.Context(), name, value); err != nil {
			t.Fatal(err)
		}
	}
	m := model(t, inv)
	near, far := plan.Proxy(m, "rack1", "rack1", plan.BMCs{}).Policy, plan.Proxy(m, "far", "rack1", plan.BMCs{}).Policy
	want := []proxy.HostParents{
		{Hosts: []string{".corp.example"}, Parents: []string{"http://one.example:3128", "http://user:secret@two.example:3128"}},
		{Hosts: []string{"10.9.0.0/16"}, Parents: []string{"http://other.example"}},
	}
	if d := cmp.Diff(want, near.HostParents); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if len(far.HostParents) != 0 || len(far.Parents) != 1 {
		t.Errorf("the rack behind the other has %v and %v", far.Parents, far.HostParents)
	}
	for _, p := range []proxy.Policy{near, far} {
		if !slices.Equal(p.TunnelPorts, []proxy.Ports{proxy.Port(443), proxy.Port(8443)}) || !slices.Equal(p.Ports, []proxy.Ports{proxy.Port(80), {First: 8000, Last: 8999}}) {
			t.Errorf("%v, %v", p.TunnelPorts, p.Ports)
		}
	}
}

func TestMachinesGetTheProxyOfTheirNetwork(t *testing.T) {
	m := model(t, sitetest.Site(t))
	rack := m.Racks[0]
	rack.Links = []inventory.RackLink{{Addrs: []netip.Prefix{prefix("192.0.2.66/26"), prefix("10.0.0.3/24"), prefix("fd00::3/64")}}}
	got := plan.ProxyURLsOf(m, rack)
	want := plan.ProxyURLs{
		Anywhere: "http://10.0.0.3:8000/",
		Subnets: map[netip.Prefix]string{
			prefix("10.0.0.0/24"): "http://10.0.0.3:8000/", prefix("fd00::/64"): "http://[fd00::3]:8000/", prefix("192.0.2.64/26"): "", // denied
			prefix("10.7.0.0/24"): "http://192.0.2.66:8000/", // the VLAN is relayed to the first of those where the rack is
			prefix("10.8.0.0/24"): "http://192.0.2.66:8000/",
		},
	}
	if d := cmp.Diff(want, got, samePrefix); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	denied := inventory.Rack{Links: []inventory.RackLink{{Addrs: []netip.Prefix{prefix("192.0.2.66/26")}}}}
	if got := plan.ProxyURLsOf(m, denied).Anywhere; got != "" {
		t.Errorf("machines of a network without proxy get %q", got)
	}
}

func TestProxySettingsThatCannotBe(t *testing.T) {
	inv := openInventory(t, "memory:")
	for _, c := range [][2]string{
		{"enable_http_proxy", "maybe"}, {"use_peer_proxy", "2"}, {"prefer_v4_proxy", "x"}, {"http_proxy", "proxy.example:3128"}, {"http_proxy", "http://"},
		{"http_proxy", "ftp://x"}, {"maas_proxy_port", "80"}, {"maas_proxy_port", "5240"}, {"maas_proxy_port", "65536"}, {"maas_proxy_port", "x"},
		{"proxy_routes", "/ubuntu/"}, {"proxy_routes", "ubuntu=http://x/"}, {"proxy_uplink", "-1"}, {"proxy_uplink", "10M"},
	} {
		var bad *inventory.InvalidError
		if err := inv.Settings.Set(t.Context(), c[0], c[1]); !errors.As(err, &bad) || bad.Field != c[0] {
			t.Errorf("%v: %v", c, err)
		}
		if err := inv.Settings.Set(t.Context(), c[0], ""); err != nil {
			t.Errorf("%s cannot be taken back: %v", c[0], err)
		}
	}
}

// Where two racks serve, machines are told a name that leads to both.
func TestMachinesFindBothProxies(t *testing.T) {
	inv, ctx := openInventory(t, "memory:"), t.Context()
	s := must[ipam.Subnet](t)(inv.Bootstrap(ctx, inventory.Bootstrap{Rack: "rack1", Link: "eth0", Address: prefix("10.0.0.2/24")}))
	must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("fd00::/64"), VLANID: s.VLANID}))
	for _, r := range []inventory.Rack{
		{Name: "rack1", Links: []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{prefix("10.0.0.2/24"), prefix("fd00::2/64")}}}},
		{Name: "rack2", Links: []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{prefix("10.0.0.3/24"), prefix("fd00::3/64")}}}},
	} {
		must[inventory.Rack](t)(inv.RegisterRack(ctx, r))
	}
	v := must[ipam.VLAN](t)(inv.VLANs.Get(ctx, s.VLANID))
	v.DHCP, v.PrimaryRack, v.SecondaryRack = true, "rack1", "rack2"
	ok(t, errOf(inv.VLANs.Update(ctx, v)))
	told := func(in string) string {
		m := model(t, inv)
		return plan.ProxyURLsOf(m, m.Racks[0]).Subnets[prefix(in)]
	}
	answers := func(name string) (found []string) {
		for _, set := range plan.DNS(model(t, inv)).Sets {
			if set.Name == name {
				found = append(found, set.Data...)
			}
		}
		return found
	}
	if got := told("10.0.0.0/24"); got != "http://10-0-0-0--24.maas-internal:8000/" {
		t.Errorf("machines are told %q", got)
	}
	if got := answers("10-0-0-0--24.maas-internal"); !slices.Equal(got, []string{"10.0.0.2", "10.0.0.3"}) {
		t.Errorf("the name leads to %v", got)
	}
	if got := answers("fd00-0000-0000-0000-0000-0000-0000-0000--64.maas-internal"); !slices.Equal(got, []string{"fd00::2", "fd00::3"}) {
		t.Errorf("the name of the other subnet leads to %v", got)
	}
	ok(t, inv.Settings.Set(ctx, setting.InternalDomain, "racks.example"))
	if got := told("10.0.0.0/24"); got != "http://10-0-0-0--24.racks.example:8000/" || len(answers("10-0-0-0--24.racks.example")) != 2 {
		t.Errorf("in another domain machines are told %q", got)
	}
	var bad *inventory.InvalidError
	if err := inv.Settings.Set(ctx, setting.InternalDomain, "a..b"); !errors.As(err, &bad) {
		t.Errorf("a domain that cannot be: %v", err)
	}
	ok(t, inv.Settings.Set(ctx, setting.InternalDomain, ""))
	s.DNSServers = []netip.Addr{addr("9.9.9.9")} // whom the name says nothing
	ok(t, errOf(inv.Subnets.Update(ctx, s)))
	if got := told("10.0.0.0/24"); got != "http://10.0.0.2:8000/" {
		t.Errorf("clients of other DNS servers are told %q", got)
	}
	if got, want := told("fd00::/64"), "http://fd00-0000-0000-0000-0000-0000-0000-0000--64.maas-internal:8000/"; got != want {
		t.Errorf("clients of the other subnet are told %q", got)
	}
	v = must[ipam.VLAN](t)(inv.VLANs.Get(ctx, s.VLANID))
	v.DHCPMode = ipam.DHCPProxy
	ok(t, errOf(inv.VLANs.Update(ctx, v)))
	if got := told("10.0.0.0/24"); got != "http://10.0.0.2:8000/" {
		t.Errorf("clients of another DHCP server are told %q", got)
	}
}
