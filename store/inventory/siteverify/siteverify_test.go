package siteverify_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/boottest/qemutest"
	"github.com/gomaas/maas/store/inventory/siteimport"
	"github.com/gomaas/maas/store/inventory/siteverify"
)

const dhcpdConf = `authoritative;
option domain-name-servers 192.0.2.53;
option domain-name "lab.example";
subnet 192.0.2.0 netmask 255.255.255.0 { range 192.0.2.100 192.0.2.199; option routers 192.0.2.1; }
subnet 198.51.100.0 netmask 255.255.255.0 { option routers 198.51.100.1; }
host a { hardware ethernet 02:00:5e:00:00:0a; fixed-address 192.0.2.10; }
host b { hardware ethernet 02:00:5e:00:00:0b; fixed-address 198.51.100.11; }
`

const dhcpdLeases = `lease 192.0.2.120 {
  starts 1 2026/11/30 08:00:00;
  ends 4 2099/12/31 20:00:00;
  cltt 1 2026/11/30 08:00:00;
  binding state active;
  next binding state free;
  hardware ethernet 02:00:5e:00:01:20;
}
`

const keaConf = `{ "Dhcp4": { # comments stay out
  "valid-lifetime": 3600, "authoritative": true, "control-socket": { "socket-type": "unix", "socket-name": "/nonexistent/x" },
  "interfaces-config": { "interfaces": [ "ens192" ] },
  "option-data": [ { "name": "domain-name-servers", "data": "192.0.2.53" }, { "name": "domain-name", "data": "lab.example" }, ],
  "subnet4": [ { "id": 1, "subnet": "192.0.2.0/24", "pools": [ { "pool": "192.0.2.100-192.0.2.199" } ], "option-data": [ { "name": "routers", "data": "192.0.2.1" } ],
    "reservations": [ { "hw-address": "02:00:5e:00:00:0a", "ip-address": "192.0.2.10" } ] } ] } }
`

// A host that restarts has a lease: Kea refuses the address that it reserves to one without.
const keaLeases = `address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context
192.0.2.10,02:00:5e:00:00:0a,01:02:00:5e:00:00:0a,3600,4070908800,1,0,0,,0,
192.0.2.130,02:00:5e:00:01:30,,3600,4070908800,1,0,0,,0,
`

const dnsmasqConf = `interface=lan0
bind-interfaces
dhcp-authoritative
dhcp-script=/bin/false
domain=lab.example
dhcp-range=192.0.2.100,192.0.2.199,255.255.255.0,1h
dhcp-option=option:router,192.0.2.1
dhcp-option=option:dns-server,192.0.2.53
dhcp-host=02:00:5e:00:00:0a,192.0.2.10
`

const dhcpd6Conf = `authoritative;
default-lease-time 600;
max-lease-time 600;
option dhcp6.name-servers 2001:db8:1::53;
option dhcp6.domain-search "lab.example";
subnet6 2001:db8:1::/64 { range6 2001:db8:1::1000 2001:db8:1::1fff; }
subnet6 2001:db8:2::/64 { range6 2001:db8:2::1000 2001:db8:2::1fff; }
host a { hardware ethernet 02:00:5e:00:00:0a; fixed-address6 2001:db8:1::20; }
host b { hardware ethernet 02:00:5e:00:00:0b; fixed-address6 2001:db8:2::20; }
`

const kea6Conf = `{ "Dhcp6": {
  "valid-lifetime": 600, "preferred-lifetime": 600, "interfaces-config": { "interfaces": [ "ens192" ] },
  "option-data": [ { "name": "dns-servers", "data": "2001:db8:1::53" }, { "name": "domain-search", "data": "lab.example" } ],
  "subnet6": [ { "id": 1, "subnet": "2001:db8:1::/64", "pools": [ { "pool": "2001:db8:1::1000 - 2001:db8:1::1fff" } ],
    "reservations": [ { "hw-address": "02:00:5e:00:00:0a", "ip-addresses": [ "2001:db8:1::20" ] } ] } ] } }
`

// Leases of IPv6: a client with a DUID of its link address and time, and IAID 7, as dhcpd's host
// order of bytes has it.
const dhcpd6Leases = `authoring-byte-order little-endian;

ia-na "\007\000\000\000\000\001\000\001\060\000\000\000\002\000\136\000\001\040" {
  cltt 1 2026/11/30 08:00:00;
  iaaddr 2001:db8:1::1020 {
    binding state active;
    preferred-life 600;
    max-life 600;
    ends 4 2099/12/31 20:00:00;
  }
}
`

const kea6Leases = `address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,hostname,hwaddr,state,user_context,hwtype,hwaddr_source,pool_id
2001:db8:1::1030,00:01:00:01:30:00:00:00:02:00:5e:00:01:30,600,4070908800,1,600,0,7,128,0,0,,02:00:5e:00:01:30,0,,1,0,0
`

// own are the parts that the site adds by itself: what machines boot, and names to search.
var own = []string{"boot file", "option 60", "option 119", "option 175", "option6 16"}

func verify(t *testing.T, o siteverify.Options, files map[string]string) siteverify.Report {
	t.Helper()
	dir := t.TempDir()
	var names []string
	for _, name := range []string{"dhcpd.conf", "dhcpd6.conf", "kea-dhcp4.conf", "kea-dhcp6.conf", "dnsmasq.conf", "dhcpd.leases", "dhcpd6.leases", "kea-leases4.csv", "kea-leases6.csv"} {
		if text, ok := files[name]; ok {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			names, o.Files = append(names, name), append(o.Files, filepath.Join(dir, name))
		}
	}
	got, err := siteimport.Read(os.DirFS(dir), siteimport.Options{}, names...)
	if err != nil {
		t.Fatal(err)
	}
	report, err := siteverify.Verify(t.Context(), got, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Real servers and the imported site answer known hosts, renewals and unknown clients alike. What
// differs is what the site says by itself, and is named.
func TestRealServersAnswerAlike(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dnsmasq", "dnsmasq-base"), netlab.Program("kea-dhcp4", "kea-dhcp4-server"))
	t.Setenv("PATH", filepath.Join(qemutest.Unpacked(t, "amd64", "isc-dhcp-server"), "usr/sbin")+":"+os.Getenv("PATH"))
	for _, c := range []struct {
		program string
		files   map[string]string
	}{
		{"dhcpd", map[string]string{"dhcpd.conf": dhcpdConf, "dhcpd.leases": dhcpdLeases}},
		{"kea-dhcp4", map[string]string{"kea-dhcp4.conf": keaConf, "kea-leases4.csv": keaLeases}},
		{"dnsmasq", map[string]string{"dnsmasq.conf": dnsmasqConf}},
	} {
		t.Run(c.program, func(t *testing.T) {
			r := verify(t, siteverify.Options{Against: "real", Accept: own}, c.files)
			if r.Against != c.program || r.Questions < 10 {
				t.Errorf("asked %d of %s", r.Questions, r.Against)
			}
			for _, d := range r.Differences {
				t.Errorf("%+v", d)
			}
			if all := verify(t, siteverify.Options{Against: "real"}, c.files); all.Different == 0 || !strings.Contains(all.String(), "boot file") {
				t.Errorf("what machines boot differs, and is not reported:\n%s", all)
			}
		})
	}
}

// Servers of IPv6 answer known hosts, unknown clients, firmware and questions for information as
// the imported site does, but for the boot file, which the site has for firmware.
func TestRealServersAnswerAlike6(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("kea-dhcp6", "kea-dhcp6-server"), netlab.Program("kea-dhcp4", "kea-dhcp4-server"))
	t.Setenv("PATH", filepath.Join(qemutest.Unpacked(t, "amd64", "isc-dhcp-server"), "usr/sbin")+":"+os.Getenv("PATH"))
	for _, c := range []struct {
		program string
		files   map[string]string
		least   int // packets
	}{
		{"dhcpd", map[string]string{"dhcpd6.conf": dhcpd6Conf, "dhcpd6.leases": dhcpd6Leases}, 29},
		{"kea-dhcp6", map[string]string{"kea-dhcp6.conf": kea6Conf, "kea-leases6.csv": kea6Leases}, 15},
		{"dhcpd", map[string]string{"dhcpd.conf": dhcpdConf, "dhcpd6.conf": dhcpd6Conf, "dhcpd.leases": dhcpdLeases, "dhcpd6.leases": dhcpd6Leases}, 50},
		{"kea-dhcp4", map[string]string{"kea-dhcp4.conf": keaConf, "kea-dhcp6.conf": kea6Conf, "kea-leases4.csv": keaLeases, "kea-leases6.csv": kea6Leases}, 25},
	} {
		r := verify(t, siteverify.Options{Against: "real", Accept: own}, c.files)
		if r.Against != c.program || r.Questions < c.least || r.Without6 != "" {
			t.Errorf("%s: asked %d of %s %s", c.program, r.Questions, r.Against, r.Without6)
		}
		for _, d := range r.Differences {
			t.Errorf("%s: %+v", c.program, d)
		}
	}
	// What differs is found: a host of the other server has a longer lease than its subnet, which
	// racks do not have.
	other := strings.NewReplacer("host a {", "host a { default-lease-time 1200;", "max-lease-time 600", "max-lease-time 1200").Replace(dhcpd6Conf)
	r := verify(t, siteverify.Options{Against: "real"}, map[string]string{"dhcpd6.conf": other})
	if text := r.String(); !strings.Contains(text, "1200 s") || !strings.Contains(text, "lease time") {
		t.Errorf("a longer lease is not reported:\n%s", text)
	}
}

// A server of IPv6 that cannot be asked is named.
func TestWithoutIPv6(t *testing.T) {
	files := map[string]string{"dhcpd.conf": dhcpdConf, "dhcpd6.conf": dhcpd6Conf}
	r := verify(t, siteverify.Options{Against: "model"}, files)
	if r.Without6 == "" || !strings.Contains(r.String(), "no packets of IPv6: ") || r.Different != 0 {
		t.Errorf("%s", r)
	}
	few := verify(t, siteverify.Options{Against: "model", Packets: 20}, files)
	if few.Questions >= r.Questions {
		t.Errorf("%d packets of %d were asked", few.Questions, r.Questions)
	}
}

// The model of the import agrees with the plan.
func TestModelAgrees(t *testing.T) {
	r := verify(t, siteverify.Options{Against: "model"}, map[string]string{"dhcpd.conf": dhcpdConf, "dhcpd.leases": dhcpdLeases})
	if r.Against != "model" || r.Different != 0 || r.Questions < 20 {
		t.Errorf("%s", r)
	}
	if again := verify(t, siteverify.Options{Against: "model"}, map[string]string{"dhcpd.conf": dhcpdConf, "dhcpd.leases": dhcpdLeases}); again.String() != r.String() {
		t.Error("two runs differ")
	}
}

func TestNothingToAsk(t *testing.T) {
	if _, err := siteverify.Verify(t.Context(), siteimport.Result{}, siteverify.Options{}); err == nil || !strings.Contains(err.Error(), "no subnet with room") {
		t.Error(err)
	}
}
