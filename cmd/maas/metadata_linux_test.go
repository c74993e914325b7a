package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// A machine on a rack's network reads who it is with the address that DHCP gave it, its user data
// too, which the rack serves without its region, and another host reads nothing of it. Once the
// machine reported that it is configured, it boots its disk.
func TestMetadataOfARealSite(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"), netlab.Program("curl", "curl"))
	n := newRackNet(t)
	n.rackNS.Addr("lo", "169.254.169.254/32") // where images for EC2 and OpenStack look
	files := t.TempDir()
	if err := os.WriteFile(filepath.Join(files, "vmlinuz"), []byte("kernel"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.region.args = append(n.region.args, "--files", files)
	n.startRegion()
	n.rack.start("--enrol-file", tokenFile(t, n.token()))
	eventually(t, "the rack is connected", n.connected)
	machine, stranger := n.clients[0], n.clients[1]
	link, err := machine.Command(t.Context(), "ip", "-o", "link", "show", "eth0").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(link), "link/ether ")
	mac, _, _ := strings.Cut(rest, " ")
	data := filepath.Join(t.TempDir(), "user-data")
	if err := os.WriteFile(data, []byte("#cloud-config\npassword: of-the-machine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.set("machine", "create", "--mac", mac, "--name", "web-1")
	n.set("user-data", "set", "--machine", "web-1", data)
	if out := n.set("user-data", "list"); !strings.Contains(out, "machine web-1.maas") || strings.Contains(out, "of-the-machine") {
		t.Errorf("listed %s", out)
	}
	routes := filepath.Join(t.TempDir(), "routes")
	script := filepath.Join(filepath.Dir(routes), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n[ -z \"$staticroutes\" ] || echo \"$staticroutes\" >"+routes+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for client, ns := range map[string]*netlab.NS{"machine": machine, "stranger": stranger} {
		address := n.lease(ns, "-s", script, "-O", "staticroutes")
		if address == "" {
			t.Fatalf("no lease for the %s", client)
		}
		ns.Addr("eth0", address+"/24") // the script adds none
		ns.IP("route", "add", "169.254.169.254/32", "via", "192.0.2.1")
	}
	if given, _ := os.ReadFile(routes); !strings.Contains(string(given), "169.254.169.254/32 192.0.2.1") {
		t.Errorf("the lease has the routes %q", given)
	}
	curl := func(ns *netlab.NS, path string, flags ...string) string {
		at := "http://192.0.2.1:5248"
		if strings.HasPrefix(path, "/latest/") || strings.HasPrefix(path, "/openstack/") {
			at = "http://169.254.169.254"
		}
		out, _ := ns.Command(t.Context(), "curl", append(flags, "-sS", "-m", "5", at+path)...).CombinedOutput()
		return strings.TrimSpace(string(out))
	}
	own := "/metadata/" + strings.ReplaceAll(mac, ":", "-") + "/"
	eventually(t, "the machine reads its user data", func() bool { return strings.Contains(curl(machine, "/metadata/user-data"), "of-the-machine") })
	check := func(when string) {
		t.Helper()
		for path, want := range map[string]string{
			own + "user-data": "of-the-machine", own + "meta-data": `"local-hostname":"web-1.maas"`, "/latest/meta-data/hostname": "web-1.maas",
			"/openstack/latest/meta_data.json": `"name":"web-1"`, "/metadata/network-config": "dhcp4: true",
		} {
			if got := curl(machine, path); !strings.Contains(got, want) {
				t.Errorf("%s: the machine reads %q of %s, want %q", when, got, path, want)
			}
		}
		for _, path := range []string{own + "user-data", own + "meta-data", own + "phone-home", "/metadata/user-data", "/latest/user-data"} {
			if got := curl(stranger, path); !strings.Contains(got, "no machine is known") && !strings.Contains(got, "not found") {
				t.Errorf("%s: a stranger reads %q of %s", when, got, path)
			}
		}
	}
	check("with a region")
	profile := filepath.Join(t.TempDir(), "profile.json")
	if err := os.WriteFile(profile, []byte(`{"name":"install","kernel":"vmlinuz","cmdline":"ds=nocloud;dsmode=net;s={metadata} network-config={network_config}"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	n.set("boot-profile", "set", profile)
	config := "/boot/" + strings.ReplaceAll(mac, ":", "-") + "/script.ipxe"
	eventually(t, "the script leads to the metadata", func() bool {
		got := curl(machine, config)
		return strings.Contains(got, "s=http://192.0.2.1:5248"+own) && strings.Contains(got, "network-config=H4sI")
	})
	curl(stranger, own+"phone-home", "--data", "x=y")
	if got := curl(machine, own+"phone-home", "--data", "instance_id=x"); got != "" {
		t.Errorf("the report is answered with %q", got)
	}
	eventually(t, "a configured machine boots its disk", func() bool { return !strings.Contains(curl(machine, config), "vmlinuz") })
	if got := n.set("explain", "boot", mac); !strings.Contains(got, "maas machine reinstall") {
		t.Errorf("explained %s", got)
	}
	n.set("machine", "reinstall", "web-1")
	eventually(t, "it is installed again", func() bool { return strings.Contains(curl(machine, config), "vmlinuz") })
	n.region.kill()
	check("without a region")
	n.keeps("of-the-machine")
}
