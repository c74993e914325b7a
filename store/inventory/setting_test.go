package inventory_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/setting"
)

// A setting has only values that its readers understand; the error names the setting and the value.
func TestSettingsRefuse(t *testing.T) {
	inv := openInventory(t, "memory:")
	for _, test := range []struct {
		name  string
		good  []string
		bad   []string
		wants string // in the error of each bad value
	}{
		{setting.NTPServers, []string{"", "192.0.2.1 ntp.example", "2001:db8::1,pool.ntp.example"}, []string{"not_a_name", "192.0.2.1 -"}, "is neither an address nor a name"},
		{setting.Takeover, []string{"", "60", "86400"}, []string{"59", "-1", "soon", "1.5"}, "is not a number of seconds from 60"},
		{setting.Exhaustion, []string{"", "0", "16"}, []string{"-1", "many"}, "is not a number from 0"},
		{setting.CircuitQuota, []string{"", "0", "4"}, []string{"-1", "x"}, "is not a number from 0"},
		{setting.LinkQuota, []string{"8"}, []string{"8.0"}, "is not a number from 0"},
		{setting.KernelOpts, []string{"", "console=ttyS0 quiet"}, []string{"a\nb"}, "options"},
		{setting.RouterAdvertisements, []string{"", "all", "auto", "none", "2001:db8::/64 2001:db8:1::/64"}, []string{"eth0", "2001:db8::1/64", "all 2001:db8::/64"}, "is neither the prefix of a subnet"},
		{setting.DNSSEC, []string{"", "auto", "yes", "no"}, []string{"on", "YES"}, "is none of auto, yes and no"},
		{setting.UpstreamDNS, []string{"", "192.0.2.53", "[2001:db8::53]:5353 192.0.2.53:54"}, []string{"dns.example", "0.0.0.0", "192.0.2.53:0"}, "is neither an address nor an address and a port"},
		{setting.DNSNotify, []string{"192.0.2.7:53"}, []string{"ns2"}, "is neither an address nor an address and a port"},
		{setting.DNSTrustedACL, []string{"", "192.0.2.0/24 203.0.113.9"}, []string{"any", "192.0.2.0/33"}, "is neither a network like 192.0.2.0/24 nor an address"},
		{setting.InternalDomain, []string{"", "maas-internal"}, []string{"Internal", "a b", "x."}, "is not the name of a domain in lower case"},
		{setting.DNSTTL, []string{"", "1", "2147483647"}, []string{"0", "-5", "2147483648"}, "is not a number of seconds from 1 to 2147483647"},
		{setting.DNSTransfer, []string{"", "192.0.2.0/24"}, []string{"nobodys-key"}, "make the key first"},
		{setting.DNSUpdate, []string{"", "corp.example=192.0.2.53, 2.0.192.in-addr.arpa=[2001:db8::53]:5353"},
			[]string{"corp.example", "corp.example=ns", "=192.0.2.53", "corp.example=192.0.2.53/", "a..b=192.0.2.53"}, "write ZONE=SERVER"},
		{setting.DNSUpdate, nil, []string{"a.example=192.0.2.53 A.example=192.0.2.54"}, "the zone a.example is given twice"},
		{setting.DNSFollow, []string{"catalog.example=192.0.2.53"}, []string{"catalog.example=192.0.2.53/nobodys-key"}, "make the key first"},
		{setting.DNSCatalog, []string{"", "catalog.example"}, []string{"Catalog.example", "a..b"}, "is not the name of a domain"},
		{setting.DNSCatalog, nil, []string{"maas"}, "a catalog is a zone of its own, such as catalog.maas"},
		{setting.EnableHTTPProxy, []string{"", "true", "false"}, []string{"maybe"}, "is neither true nor false"},
		{setting.UsePeerProxy, []string{"true"}, []string{"ja"}, "is neither true nor false"},
		{setting.HTTPProxy, []string{"", "http://proxy.example:3128", "https://user:pass@proxy.example"}, []string{"proxy.example", "ftp://proxy.example", "http://"}, "is not a URL like http://proxy.example:3128"},
		{setting.ProxyPort, []string{"", "8000", "3128"}, []string{"0", "65536", "http"}, "is not a port"},
		{setting.ProxyPort, nil, []string{"80", "1023"}, "belongs to the system"},
		{setting.ProxyPort, []string{"5238", "5285"}, []string{"5239", "5284"}, "which regions and racks use themselves"},
		{setting.ProxyRoutes, []string{"", "/ubuntu/=http://archive.example/ubuntu/"}, []string{"/ubuntu/", "ubuntu=http://archive.example"}, ""},
		{setting.ProxyTunnelPorts, []string{"", "443 8443", "443,8443"}, []string{"0", "65536", "https", "0-443", "-1"}, "is not a port; ports go from 1 to 65535"},
		{setting.ProxyPorts, []string{"", "80", "80 443 8080", "80 443 8000-8999"}, []string{"0", "80;443", "0-80"}, "is not a port; ports go from 1 to 65535"},
		{setting.ProxyParents, []string{"", ".a.example=http://p.example:3128", "a.example=http://p.example 10.0.0.0/8=https://u:p@q.example"}, []string{".a.example", "=http://p.example", ".a.example=p.example:3128", "*.a.example=http://p.example"}, ""},
		{setting.ProxyUplink, []string{"", "0", "1000000"}, []string{"-1", "fast"}, "is not a number of bytes a second"},
		{setting.NetworkDiscovery, []string{"enabled", " disabled "}, []string{"", "on"}, "is enabled or disabled"},
		{setting.DiscoveryVLANs, []string{"create", "propose"}, []string{"", "ignore"}, "is create or propose"},
		{setting.ActiveDiscoveryInterval, []string{"0", "600", "10800"}, []string{"", "601", "3h"}, "is a number of seconds, one of 0, 600, 1800, 3600, 10800, 21600, 43200, 86400, 604800"},
		{setting.DiscoveryIgnore, []string{"", "02:00:00 192.0.2.0/24"}, []string{"printers"}, "has a part that is not a rule"},
	} {
		for _, value := range test.good {
			if err := inv.Settings.Set(t.Context(), test.name, value); err != nil {
				t.Errorf("%s=%q: %v", test.name, value, err)
				continue
			}
			if got, err := inv.Settings.Get(t.Context(), test.name); err != nil || strings.TrimSpace(value) != got {
				t.Errorf("%s=%q reads %q, %v", test.name, value, got, err)
			}
		}
		for _, value := range test.bad {
			err := inv.Settings.Set(t.Context(), test.name, value)
			var invalid *inventory.InvalidError
			if !errors.As(err, &invalid) || invalid.Kind != kinds.Setting || !strings.Contains(err.Error(), test.wants) {
				t.Errorf("%s=%q: %v, want %q", test.name, value, err, test.wants)
			}
		}
	}
}

// A password in the URL of a proxy is not repeated in the error, which may be logged.
func TestProxyErrorHasNoPassword(t *testing.T) {
	err := openInventory(t, "memory:").Settings.Set(t.Context(), setting.HTTPProxy, "ftp://user:hunter2@proxy.example")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("err = %v", err)
	}
}

func TestSettingsAreReadTogether(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := t.Context()
	if all := must[map[string]string](t)(inv.Settings.All(ctx)); len(all) != 0 {
		t.Errorf("a new site has %v", all)
	}
	if _, err := inv.Settings.Get(ctx, setting.DNSTTL); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a setting that was never set: %v", err)
	}
	ok(t, inv.Settings.Set(ctx, setting.DNSTTL, "60"))
	ok(t, inv.Settings.Set(ctx, "of_a_caller", "anything")) // callers may have settings of their own
	before := must[int64](t)(inv.Revision(ctx))
	ok(t, inv.Settings.Set(ctx, setting.DNSTTL, "60"))
	if now := must[int64](t)(inv.Revision(ctx)); now != before {
		t.Errorf("the same value again is revision %d after %d", now, before)
	}
	all := must[map[string]string](t)(inv.Settings.All(ctx))
	if len(all) != 2 || all[setting.DNSTTL] != "60" || all["of_a_caller"] != "anything" {
		t.Errorf("settings %v", all)
	}
}

func TestSettingsOfAModel(t *testing.T) {
	m := &inventory.Model{Settings: map[string]string{
		"list": " a, b  c ", "number": " 7 ", "flag": "false", "odd": "seven",
		setting.UpstreamDNS: "192.0.2.53 dns.example [2001:db8::53]:5353", setting.DNSTrustedACL: "192.0.2.7/24 203.0.113.9 any",
	}}
	if got := m.SettingList("list"); strings.Join(got, "|") != "a|b|c" {
		t.Errorf("list %q", got)
	}
	if a, b, c := m.SettingNumber("number", 1), m.SettingNumber("odd", 1), m.SettingNumber("none", 3); a != 7 || b != 1 || c != 3 {
		t.Errorf("numbers %d %d %d", a, b, c)
	}
	if a, b, c := m.SettingFlag("flag", true), m.SettingFlag("odd", true), m.SettingFlag("none", false); a || !b || c {
		t.Errorf("flags %v %v %v", a, b, c)
	}
	if got := m.SettingServers(setting.UpstreamDNS); len(got) != 2 || got[0].String() != "192.0.2.53:53" || got[1].String() != "[2001:db8::53]:5353" {
		t.Errorf("servers %v", got)
	}
	if got := m.SettingNetworks(setting.DNSTrustedACL); len(got) != 2 || got[0].String() != "192.0.2.0/24" || got[1].String() != "203.0.113.9/32" {
		t.Errorf("networks %v", got)
	}
	for _, test := range []struct {
		discovery, interval string
		seconds             float64
	}{
		{"", "", 3 * 3600}, {"enabled", "600", 600}, {"disabled", "600", 0}, {"", "0", 0}, {"", "soon", 3 * 3600},
	} {
		m.Settings[setting.NetworkDiscovery], m.Settings[setting.ActiveDiscoveryInterval] = test.discovery, test.interval
		if got := m.ScanInterval().Seconds(); got != test.seconds || m.DiscoveryEnabled() != (test.discovery != "disabled") {
			t.Errorf("%+v: %v s", test, got)
		}
	}
}

// What is ignored from now on is also forgotten.
func TestIgnoreForgets(t *testing.T) {
	inv := openInventory(t, "memory:")
	for n, a := range []string{"192.0.2.1", "192.0.2.2", "198.51.100.1"} {
		ok(t, inv.Discoveries.Observe(t.Context(), inventory.Observation{Rack: "rack", Link: "eth0", Addr: addr(a), MAC: mac(n)}))
	}
	ok(t, inv.Settings.Set(t.Context(), setting.DiscoveryIgnore, "198.51.100.0/24 "+mac(0).String()))
	left := must[[]inventory.Discovery](t)(inv.Discoveries.List(t.Context(), inventory.AllDiscoveries))
	if len(left) != 1 || left[0].Addr != addr("192.0.2.2") {
		t.Errorf("left %+v", left)
	}
}
