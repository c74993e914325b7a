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

// An operator adds an IPv6 subnet to a site that runs; a machine gets an address of it, and its name answers. The link is advertised.
func TestDHCPv6OfARealSite(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dhclient", "isc-dhcp-client"), netlab.Program("dig", "bind9-dnsutils"))
	lab := netlab.New(t)
	site, machine := lab.NS("site"), lab.NS("machine")
	lab.Veth(site, "eth0", machine, "eth0")
	site.Addr("eth0", "192.0.2.1/24")
	site.IP("-6", "addr", "add", "2001:db8::1/64", "dev", "eth0", "nodad")
	s := &realSite{t: t, ns: site, binary: build(t), data: filepath.Join(t.TempDir(), "data")}
	s.args = []string{"all", "--data", s.data}
	s.start()
	defer s.stop()
	s.post("subnets/", url.Values{"cidr": {"2001:db8::/64"}, "vlan": {"1"}})
	s.post("ipranges/", url.Values{"type": {"dynamic"}, "start_ip": {"2001:db8::1:0"}, "end_ip": {"2001:db8::1:ffff"}})
	s.post("maas/?op=set_config", url.Values{"name": {"router_advertisements"}, "value": {"2001:db8::/64"}})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		routes, _ := machine.Command(t.Context(), "ip", "-6", "route").CombinedOutput()
		if strings.Contains(string(routes), "2001:db8::/64") {
			break // the machine has no address there yet: it knows from the advertisement
		}
		if time.Now().After(deadline) {
			t.Fatalf("no advertisement was heard: %s", routes)
		}
	}
	dir := t.TempDir()
	conf, script := filepath.Join(dir, "conf"), filepath.Join(dir, "script")
	for name, text := range map[string]string{
		conf:   "send fqdn.fqdn \"node6.\";\n",
		script: "#!/bin/sh\n[ -n \"$new_ip6_address\" ] && ip -6 addr replace $new_ip6_address/128 dev $interface nodad\nexit 0\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := machine.Command(ctx, "dhclient", "-6", "-1", "-v", "-sf", script, "-cf", conf, "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "eth0").CombinedOutput()
	if err != nil {
		t.Fatalf("dhclient: %v\n%s", err, out)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		answer, _ := site.Command(ctx, "dig", "+short", "+time=1", "@192.0.2.1", "node6.maas", "AAAA").CombinedOutput()
		if strings.HasPrefix(string(answer), "2001:db8::1:") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no AAAA: %s\n%s", answer, out)
		}
	}
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
