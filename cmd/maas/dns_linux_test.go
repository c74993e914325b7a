package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// What the API says about a domain lets BIND be a secondary of a rack, with a key, and nsupdate change records, which are the
// region's when it hears that they are made.
func TestSecondaryAndUpdatesOfARealSite(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("named", "bind9"), netlab.Program("nsupdate", "bind9-dnsutils"), netlab.Program("dig", "bind9-dnsutils"), netlab.Program("curl", "curl"))
	n := newRackNet(t)
	n.startRegion()
	n.rack.start("--enrol-file", tokenFile(n.rack.t, n.token()))
	eventually(t, "the rack is connected", n.connected)
	secondary, client := n.clients[0], n.clients[1]
	secondary.Addr("eth0", "192.0.2.9/24")
	client.Addr("eth0", "192.0.2.10/24")
	var key struct{ Name, Algorithm, Secret string }
	n.fill(&key, "tsigkey", "create", "xfer")
	n.set("domain", "update", "maas", "allow_transfer=xfer", "notify=192.0.2.9", "allow_update=xfer:dyn,xfer:acme:TXT")
	n.set("dnsrecord", "create", "www.maas", "rrtype=A", "rrdata=192.0.2.60")
	n.bind(secondary, key.Secret, "", `zone "maas" { type secondary; masterfile-format text; file "maas.zone"; request-ixfr yes; primaries { 192.0.2.1 key "xfer"; }; };`)
	dig := func(server, name, kind string) string {
		out, err := client.Command(t.Context(), "dig", "+short", "+time=1", "+tries=1", "@"+server, name, kind).CombinedOutput()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	eventually(t, "the secondary has the zone", func() bool { return dig("192.0.2.9", "www.maas", "A") == "192.0.2.60" })
	update := func(secret, text string) string {
		cmd := client.Command(t.Context(), "nsupdate", "-t", "5", "-u", "5", "-y", "hmac-sha256:xfer:"+secret)
		cmd.Stdin = strings.NewReader("server 192.0.2.1\n" + text + "\nsend\n")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return strings.TrimSpace(string(out))
		}
		return ""
	}
	for _, c := range []struct{ text, want string }{
		{"zone maas\nupdate add h1.dyn.maas 60 A 192.0.2.70", ""},
		{"zone maas\nprereq nxdomain h1.dyn.maas\nupdate add h1.dyn.maas 60 A 192.0.2.71", "update failed: YXDOMAIN"},
		{"zone maas\nupdate add acme.maas 60 A 192.0.2.70", "update failed: REFUSED"},
		{"zone elsewhere.example\nupdate add a.elsewhere.example 60 A 192.0.2.70", "update failed: NOTAUTH"},
	} {
		if got := update(key.Secret, c.text); got != c.want {
			t.Errorf("%s: %q, want %q", c.text, got, c.want)
		}
	}
	if got := dig("192.0.2.1", "h1.dyn.maas", "A"); got != "192.0.2.70" {
		t.Errorf("right after it was acknowledged, the rack answers %q", got)
	}
	if out, err := maas(t, "dnsrecord", "list", "--data", n.data); err != nil || !strings.Contains(out, "h1.dyn.maas") {
		t.Errorf("the region has %s, %v", out, err)
	}
	eventually(t, "the secondary has the change", func() bool { return dig("192.0.2.9", "h1.dyn.maas", "A") == "192.0.2.70" })
	if got := update("d3JvbmctYnV0LWxvbmctZW5vdWdoLXNlY3JldA==", "zone maas\nupdate add h2.dyn.maas 60 A 192.0.2.70"); !strings.Contains(got, "NOTAUTH(BADSIG)") && !strings.Contains(got, "tsig") {
		t.Errorf("with a wrong secret: %q", got)
	}
	n.rackNS.Addr("br0", "203.0.113.1/24")
	client.Addr("eth0", "203.0.113.2/24")
	eventually(t, "an address that is new is served", func() bool { return dig("203.0.113.1", "h1.dyn.maas", "A") == "192.0.2.70" })
	for what, args := range map[string][]string{
		"HTTP boot": {"http://203.0.113.1:5248/healthz"}, "TFTP": {"tftp://203.0.113.1/none"},
		"the proxy": {"--proxy", "http://203.0.113.1:8000", "http://203.0.113.9/"},
	} {
		out, err := client.Command(t.Context(), "curl", append([]string{"--silent", "--show-error", "--max-time", "5"}, args...)...).CombinedOutput()
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 68 {
			err = nil // TFTP says that there is no such file: it answers
		}
		if text := string(out); err != nil || what == "the proxy" && !strings.Contains(text, "may not use the proxy") {
			t.Errorf("%s on the new address: %v: %s", what, err, text)
		}
	}
	if out, err := n.rackNS.Command(t.Context(), "ip", "addr", "del", "203.0.113.1/24", "dev", "br0").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	eventually(t, "an address that is gone is not served", func() bool {
		return strings.Contains(n.rack.logged(), `msg="address removed" component=addresses ip=203.0.113.1`)
	})
	n.region.kill()
	if got := update(key.Secret, "zone maas\nupdate add h3.dyn.maas 60 A 192.0.2.70"); got != "update failed: SERVFAIL" {
		t.Errorf("without a region: %q", got)
	}
	if got := dig("192.0.2.1", "h3.dyn.maas", "A"); got != "" {
		t.Errorf("what was refused is answered with %s", got)
	}
	n.keeps(key.Secret)
}

// A rack keeps the names of its leases at BIND, which is the primary server of the site's domain, lists its own zones in a catalog that
// BIND follows, and serves the zones of BIND's catalog.
func TestForeignDNSOfARealSite(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("named", "bind9"), netlab.Program("dig", "bind9-dnsutils"), netlab.Program("udhcpc", "udhcpc"))
	n := newRackNet(t)
	n.startRegion()
	n.rack.start("--enrol-file", tokenFile(n.rack.t, n.token()))
	eventually(t, "the rack is connected", n.connected)
	theirs, client, second := n.clients[0], n.clients[1], n.clients[2]
	theirs.Addr("eth0", "192.0.2.9/24")
	var key struct{ Name, Algorithm, Secret string }
	n.fill(&key, "tsigkey", "create", "xfer")
	n.set("domain", "update", "maas", "name=corp.example", "authoritative=false", "forward_dns_servers=192.0.2.9")
	for name, value := range map[string]string{"dns_transfer_acl": "xfer", "dns_notify": "192.0.2.9", "dns_catalog": "our.catalog"} {
		n.set("settings", "set", name, value)
	}
	n.bind(theirs, key.Secret, `catalog-zones { zone "our.catalog" default-primaries { 192.0.2.1 key "xfer"; } in-memory yes min-update-interval 0; };`, `
zone "corp.example" { type primary; file "corp.example"; allow-update { key "xfer"; }; };
zone "our.catalog" { type secondary; primaries { 192.0.2.1 key "xfer"; }; allow-notify { any; }; };
zone "their.catalog" { type primary; file "their.catalog"; allow-transfer { key "xfer"; }; };
zone "partner.example" { type primary; file "partner.example"; allow-transfer { key "xfer"; }; };`)
	n.set("settings", "set", "dns_update", "corp.example=192.0.2.9/xfer")
	n.set("settings", "set", "dns_follow", "their.catalog=192.0.2.9:53/xfer")
	if out, err := maas(t, "tsigkey", "delete", "xfer", "--yes", "--data", n.data); err == nil || !strings.Contains(out, "setting dns_follow, setting dns_transfer_acl, setting dns_update") {
		t.Errorf("the key that settings name is deleted: %v %s", err, out)
	}
	dig := func(server, name, kind string) string {
		out, _ := client.Command(t.Context(), "dig", "+short", "+time=1", "+tries=1", "@"+server, name, kind).CombinedOutput()
		return strings.TrimSpace(string(out))
	}
	addr := n.lease(client, "-F", "laptop")
	client.Addr("eth0", addr+"/24")
	eventually(t, "the lease's name is at BIND", func() bool { return dig("192.0.2.9", "laptop.corp.example", "A") == addr })
	if n.lease(second, "-F", "taken") == "" {
		t.Error("no lease for a client with a name of others")
	}
	eventually(t, "BIND serves a zone that our catalog lists", func() bool { return dig("192.0.2.9", "2.0.192.in-addr.arpa", "SOA") != "" })
	eventually(t, "the rack serves a zone that their catalog lists", func() bool { return dig("192.0.2.1", "www.partner.example", "A") == "198.51.100.9" })
	if got := dig("192.0.2.9", "taken.corp.example", "A"); got != "192.0.2.66" {
		t.Errorf("the name of an administrator leads to %s", got)
	}
	n.set("lease", "release", addr)
	eventually(t, "the name of a released lease is gone", func() bool { return dig("192.0.2.9", "laptop.corp.example", "A") == "" })
	n.set("settings", "set", "dns_follow", "")
	eventually(t, "the zones of a catalog that is not followed are gone", func() bool { return dig("192.0.2.1", "www.partner.example", "A") == "" })
	n.keeps(key.Secret)
}

// set runs a command that must succeed against the region.
func (n *rackNet) set(args ...string) string {
	n.t.Helper()
	out, err := maas(n.t, append(args, "--data", n.data)...)
	if err != nil {
		n.t.Fatalf("%v: %s", args, out)
	}
	return out
}

// fill reads what a command of the region shows.
func (n *rackNet) fill(to any, args ...string) {
	n.t.Helper()
	out := n.set(append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), to); err != nil {
		n.t.Fatalf("%v: %v: %s", args, err, out)
	}
}

// keeps checks that no log holds a secret.
func (n *rackNet) keeps(secret string) {
	n.t.Helper()
	for _, p := range []*process{n.region, n.rack} {
		if log := p.logged(); log == "" || strings.Contains(log, secret) {
			n.t.Errorf("the log of %s is empty, or has the secret", p.args[0])
		}
	}
}

// bind runs BIND at 192.0.2.9 in a namespace until the test ends, with further options and zones.
func (n *rackNet) bind(ns *netlab.NS, secret, options, zones string) {
	n.t.Helper()
	dir := n.t.TempDir()
	conf := filepath.Join(dir, "named.conf")
	for _, zone := range []string{"corp.example", "their.catalog", "partner.example"} {
		text := "$TTL 60\n@ SOA ns.corp.example. root.corp.example. 1 1 1 60 1\n@ NS invalid.\n"
		switch zone {
		case "corp.example":
			text += "taken A 192.0.2.66\n"
		case "their.catalog":
			text += "version TXT \"2\"\np1.zones PTR partner.example.\n"
		case "partner.example":
			text += "www A 198.51.100.9\n"
		}
		if err := os.WriteFile(filepath.Join(dir, zone), []byte(text), 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
	text := fmt.Sprintf(`options { directory %q; pid-file none; session-keyfile %q; listen-on { 192.0.2.9; }; listen-on-v6 { none; };
	recursion no; allow-query { any; }; notify no; allow-new-zones yes; %s };
controls { };
key "xfer" { algorithm hmac-sha256; secret %q; };
%s
`, dir, filepath.Join(dir, "session.key"), options, secret, zones)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
	cmd := ns.Command(n.t.Context(), "named", "-g", "-n", "1", "-c", conf)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if n.t.Failed() {
			n.t.Logf("named: %s", said.String())
		}
	})
}
