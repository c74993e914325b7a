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

// own are the parts that the site adds by itself: what machines boot, and names to search.
var own = []string{"boot file", "option 60", "option 119", "option 175"}

func verify(t *testing.T, o siteverify.Options, files map[string]string) siteverify.Report {
	t.Helper()
	dir := t.TempDir()
	var names []string
	for _, name := range []string{"dhcpd.conf", "kea-dhcp4.conf", "dnsmasq.conf", "dhcpd.leases", "kea-leases4.csv"} {
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
	if _, err := siteverify.Verify(t.Context(), siteimport.Result{}, siteverify.Options{}); err == nil || !strings.Contains(err.Error(), "no IPv4 subnet") {
		t.Error(err)
	}
}
