package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// A site that runs gets its first IPv6 address, and an operator adds the subnet; a machine gets an address of it, and its name
// answers, without a restart and after one. The link is advertised.
func TestDHCPv6OfARealSite(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dhclient", "isc-dhcp-client"), netlab.Program("dig", "bind9-dnsutils"))
	lab := netlab.New(t)
	site, machine := lab.NS("site"), lab.NS("machine")
	lab.Veth(site, "eth0", machine, "eth0")
	site.Addr("eth0", "192.0.2.1/24")
	s := &realSite{t: t, ns: site, binary: build(t), data: filepath.Join(t.TempDir(), "data")}
	s.args = []string{"all", "--data", s.data}
	s.start()
	defer func() { s.stop() }()
	site.IP("-6", "addr", "add", "2001:db8::1/64", "dev", "eth0", "nodad")
	s.post("subnets/", url.Values{"cidr": {"2001:db8::/64"}, "vlan": {"1"}, "delegated_prefixes": {"2001:db8:f000::/48-60"}})
	s.post("ipranges/", url.Values{"type": {"dynamic"}, "start_ip": {"2001:db8::1:0"}, "end_ip": {"2001:db8::1:ffff"}})
	s.post("maas/?op=set_config", url.Values{"name": {"router_advertisements"}, "value": {"2001:db8::/64"}})
	eventually(t, "an advertisement is heard", func() bool {
		routes, _ := machine.Command(t.Context(), "ip", "-6", "route").CombinedOutput()
		return strings.Contains(string(routes), "2001:db8::/64") // the machine has no address there yet
	})
	s.leases6(machine, "node6")
	prefix := s.delegates(machine)
	s.stop()
	s.start()
	s.leases6(machine, "other6")
	inside := strings.TrimSuffix(prefix, "::/60") + "::7"
	s.shows([]string{prefix, "active"}, "lease", "show", inside)
	s.shows([]string{"part of " + prefix + ", which is delegated to"}, "explain", "ip", inside)
	s.maas("lease", "release", prefix)
	s.shows([]string{prefix, "released"}, "lease", "history", inside)
}

// delegates has a machine ask for a prefix, as a router does, and returns it once the site shows it.
func (s *realSite) delegates(machine *netlab.NS) (prefix string) {
	t := s.t
	t.Helper()
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n[ -n \"$new_ip6_prefix\" ] && echo $new_ip6_prefix > "+dir+"/prefix\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := machine.Command(ctx, "dhclient", "-6", "-P", "-1", "-v", "-sf", script, "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "eth0").CombinedOutput()
	if err != nil {
		t.Fatalf("dhclient -P: %v\n%s", err, out)
	}
	got, err := os.ReadFile(filepath.Join(dir, "prefix"))
	if prefix = strings.TrimSpace(string(got)); err != nil || !strings.HasPrefix(prefix, "2001:db8:f000:") || !strings.HasSuffix(prefix, "/60") {
		t.Fatalf("dhclient got prefix %q, %v\n%s", got, err, out)
	}
	eventually(t, "the prefix is listed", func() bool { return strings.Contains(s.maas("lease", "list"), prefix) })
	return prefix
}

// A site whose interface has an IPv6 prefix at its first start serves it: a range, DHCPv6, names, and an advertisement.
func TestDHCPv6WithoutConfiguration(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dhclient", "isc-dhcp-client"), netlab.Program("dig", "bind9-dnsutils"))
	lab := netlab.New(t)
	site, machine := lab.NS("site"), lab.NS("machine")
	lab.Veth(site, "eth0", machine, "eth0")
	site.Addr("eth0", "192.0.2.1/24")
	site.IP("-6", "addr", "add", "2001:db8::1/64", "dev", "eth0", "nodad")
	s := &realSite{t: t, ns: site, binary: build(t), data: filepath.Join(t.TempDir(), "data")}
	s.args = []string{"all", "--data", s.data, "--interface", "eth0"}
	s.start()
	defer s.stop()
	if out := s.maas("iprange", "list"); !strings.Contains(out, "2001:db8::") {
		t.Fatalf("no range: %s", out)
	}
	eventually(t, "an advertisement is heard", func() bool {
		routes, _ := machine.Command(t.Context(), "ip", "-6", "route").CombinedOutput()
		return strings.Contains(string(routes), "2001:db8::/64") && !strings.Contains(string(routes), "default")
	})
	s.leases6(machine, "node6")
}

// leases6 has a machine ask for an IPv6 address and a name, and the name answer.
func (s *realSite) leases6(machine *netlab.NS, name string) {
	t := s.t
	t.Helper()
	dir := t.TempDir()
	conf, script := filepath.Join(dir, "conf"), filepath.Join(dir, "script")
	for file, text := range map[string]string{
		conf:   "send fqdn.fqdn \"" + name + ".\";\n",
		script: "#!/bin/sh\n[ -n \"$new_ip6_address\" ] && ip -6 addr replace $new_ip6_address/128 dev $interface nodad\nexit 0\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := machine.Command(ctx, "dhclient", "-6", "-1", "-v", "-sf", script, "-cf", conf, "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "eth0").CombinedOutput()
	if err != nil {
		t.Fatalf("dhclient: %v\n%s", err, out)
	}
	eventually(t, name+" has an address", func() bool {
		answer, _ := s.ns.Command(ctx, "dig", "+short", "+time=1", "@192.0.2.1", name+".maas", "AAAA").CombinedOutput()
		return strings.HasPrefix(string(answer), "2001:db8:")
	})
}

// post calls the API as the administrator of the host.
func (s *realSite) post(path string, form url.Values) {
	s.t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(s.data, "maas.sock"))
	}}}
	defer client.CloseIdleConnections()
	resp, err := client.PostForm("http://maas/MAAS/api/2.0/"+path, form)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		s.t.Fatalf("%s %v: %s %s", path, form, resp.Status, body)
	}
}
