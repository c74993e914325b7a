package siteexport

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/boottest/qemutest"
)

// The servers themselves take what is written for them, with a boot server and without.
func TestServersAccept(t *testing.T) {
	netlab.Require(t, netlab.Program("kea-dhcp4", "kea-dhcp4-server"), netlab.Program("kea-dhcp6", "kea-dhcp6-server"),
		netlab.Program("dnsmasq", "dnsmasq-base"), netlab.Program("named-checkconf", "bind9"))
	dhcpd := filepath.Join(qemutest.Unpacked(t, "amd64", "isc-dhcp-server"), "usr/sbin/dhcpd")
	for name, o := range map[string]Options{"boot": all, "plain": {}, "boot6": {BootServer: "2001:db8:1::5"}} {
		for kind, commands := range map[string][]string{
			"dhcpd":   {dhcpd + " -t -4 -cf dhcpd.conf", dhcpd + " -t -6 -cf dhcpd6.conf"},
			"kea":     {"kea-dhcp4 -t kea-dhcp4.conf", "kea-dhcp6 -t kea-dhcp6.conf"},
			"dnsmasq": {"dnsmasq --test -C dnsmasq.conf"},
			// With -z the zones are loaded as well.
			"bind": {"named-checkconf -z named.conf"},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				doc := rich(t)
				if name == "boot6" && kind == "dhcpd" { // its next-server is of IPv4
					doc.Subnets = doc.Subnets[3:]
					commands = commands[1:]
				}
				got, err := Write(doc, kind, o)
				if err != nil {
					t.Fatal(err)
				}
				dir := t.TempDir()
				for _, f := range got.Files {
					if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				for _, command := range commands {
					words := strings.Fields(command)
					cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
					cmd.Dir, cmd.Env = dir, append(os.Environ(), "KEA_LOCKFILE_DIR="+dir)
					out, err := cmd.CombinedOutput()
					if err != nil || strings.Contains(strings.ToLower(string(out)), "warning") {
						t.Errorf("%s: %v\n%s", command, err, out)
					}
				}
			})
		}
	}
}
