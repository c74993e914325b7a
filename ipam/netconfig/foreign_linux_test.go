package netconfig_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/ipam/netconfig"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// rendered writes a configuration below a directory.
func rendered(t *testing.T, c netconfig.Config, f netconfig.Format, root string) netconfig.Output {
	t.Helper()
	out, err := netconfig.Render(c, f)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range out.Files {
		path := filepath.Join(root, file.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(file.Text), file.Mode); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// all returns the text of the files below a directory.
func all(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(&b, "-- %s --\n%s\n", path, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// holds reports what a text lacks of the addresses and gateways of a configuration.
func holds(t *testing.T, c netconfig.Config, text string) {
	t.Helper()
	for _, i := range c.Interfaces {
		for _, a := range i.Addresses {
			if !strings.Contains(text, a.String()) {
				t.Errorf("%s has no %s:\n%s", i.Name, a, text)
			}
		}
		for _, r := range i.Routes {
			if r.Via.IsValid() && !strings.Contains(text, r.Via.String()) {
				t.Errorf("%s has no route via %s:\n%s", i.Name, r.Via, text)
			}
		}
	}
}

// Netplan makes units of networkd of each configuration.
func TestNetplanReadsIt(t *testing.T) {
	netlab.Require(t, netlab.Program("netplan", "netplan.io"))
	for name, c := range machines {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			rendered(t, c, netconfig.Netplan, root)
			out, err := exec.Command("netplan", "generate", "--root-dir", root).CombinedOutput()
			if err != nil || len(out) > 0 {
				t.Fatalf("netplan generate: %v\n%s", err, out)
			}
			holds(t, c, all(t, filepath.Join(root, "run/systemd/network")))
		})
	}
}

// Cloud-init converts both of its forms.
func TestCloudInitReadsIt(t *testing.T) {
	netlab.Require(t, netlab.Program("cloud-init", "cloud-init"))
	for name, c := range machines {
		for f, from := range map[netconfig.Format]struct{ path, kind string }{
			netconfig.CloudInit1: {"network-config", "yaml"}, netconfig.CloudInit2: {"network-config", "yaml"},
			netconfig.OpenStack: {"network_data.json", "network_data.json"},
		} {
			t.Run(name+"/"+string(f), func(t *testing.T) {
				in, to := t.TempDir(), t.TempDir()
				o := rendered(t, c, f, in)
				args := []string{"devel", "net-convert", "-p", filepath.Join(in, from.path), "-k", from.kind, "-d", to, "-D", "debian", "-O", "networkd"}
				if f == netconfig.CloudInit2 {
					args[len(args)-1] = "netplan" // whose file it passes on
				}
				for _, i := range c.Interfaces {
					if i.Kind == ipam.Physical {
						args = append(args, "-m", i.Name+","+i.MAC.String())
					}
				}
				if out, err := exec.Command("cloud-init", args...).CombinedOutput(); err != nil {
					t.Fatalf("cloud-init: %v\n%s", err, out)
				}
				if len(o.Warnings) == 0 {
					holds(t, c, all(t, to))
				}
			})
		}
	}
}

// configured has a real system configure the veth pair eth0 and eth1 in namespaces of its own, and
// returns the addresses, routes and rules of the kernel. The script gets the files in $1.
func configured(t *testing.T, c netconfig.Config, f netconfig.Format, script string) string {
	t.Helper()
	dir := t.TempDir()
	rendered(t, c, f, dir)
	const before = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t sysfs -o ro sysfs /sys # without udev, as systemd-networkd sees it
ip link set lo up
ip link add eth0 address 52:54:00:12:34:01 type veth peer name peer0
ip link add eth1 address 52:54:00:12:34:02 type veth peer name peer1
ip link set peer0 up; ip link set peer1 up
sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth1.accept_dad=0
`
	const after = `
ip addr show; ip route show table all; ip -6 route show table all; ip rule; ip -6 rule
`
	out, err := exec.Command("timeout", "30", "unshare", "--net", "--mount", "bash", "-c", before+script+after, "configure", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// networkManager runs NetworkManager on the connections of $1 with a system bus of its own until the
// namespace is read: a read-only /sys reports that there is no udev to wait for. It waits for as many
// connections as $active says, and prints all that it has read.
const networkManager = `for dir in /var/lib/NetworkManager /etc/NetworkManager; do mount -t tmpfs tmpfs $dir; done
mkdir -p /run/dbus
cp -r "$1"/etc/NetworkManager /etc/
printf '[main]\nplugins=keyfile\nno-auto-default=*\ndns=none\n[keyfile]\nunmanaged-devices=interface-name:peer*\n' >/etc/NetworkManager/NetworkManager.conf
dbus-daemon --system --nofork --nopidfile & bus=$!
trap 'kill $pid $bus; wait' EXIT
for i in $(seq 100); do [ -S /run/dbus/system_bus_socket ] && break; sleep 0.1; done
NetworkManager --no-daemon 2>/dev/null & pid=$!
for i in $(seq 100); do [ "$(nmcli -g NAME,STATE connection show --active 2>/dev/null | grep -c '^eth.*:activated')" = $active ] && break; sleep 0.1; done
for file in /etc/NetworkManager/system-connections/*; do nmcli connection show "$(basename $file .nmconnection)"; done`

// Networkd, ifupdown and NetworkManager give interfaces the addresses, routes and rules that the configuration says.
func TestSystemsConfigureIt(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.File("/lib/systemd/systemd-networkd", "systemd"), netlab.Program("ifup", "ifupdown"),
		netlab.Program("NetworkManager", "network-manager"), netlab.Program("dbus-daemon", "dbus-daemon"))
	scripts := map[netconfig.Format]string{
		// It is done when the interfaces have their last routes.
		netconfig.Networkd: `mkdir -p /etc/systemd/network && mount --bind "$1/etc/systemd/network" /etc/systemd/network
rm -f /etc/systemd/network/*.link
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp && chown -R systemd-network /run/systemd/netif
chmod 755 "$1" "$(dirname "$1")"
/lib/systemd/systemd-networkd 2>/dev/null & pid=$!
for i in $(seq 100); do grep -qs ADMIN_STATE=configured /run/systemd/netif/links/* && break; sleep 0.1; done
for i in $(seq 100); do ip route show table all | grep -q "via" && break; sleep 0.1; done
sleep 0.5
kill $pid; wait $pid || true`,
		netconfig.NetworkManager: "active=2\n" + networkManager,
		netconfig.Ifupdown: `mkdir -p /run/network
for i in eth0 eth1; do ifup --interfaces="$1/etc/network/interfaces" $i; done`,
	}
	for name, c := range map[string]netconfig.Config{"static": machines["static"], "policy": machines["policy"]} {
		for f, script := range scripts {
			t.Run(name+"/"+string(f), func(t *testing.T) {
				got := configured(t, c, f, script)
				holds(t, c, got)
				for _, i := range c.Interfaces {
					for _, r := range i.Rules {
						if !strings.Contains(got, fmt.Sprintf("from %s lookup %d", r.From, r.Table)) {
							t.Errorf("no rule from %s:\n%s", r.From, got)
						}
					}
				}
				if name == "static" && !strings.Contains(got, "default via fe80::1 dev eth0") {
					t.Errorf("no static default route of IPv6:\n%s", got)
				}
			})
		}
	}
}

// NetworkManager takes the connections of interfaces that this kernel cannot make.
func TestNetworkManagerReadsIt(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("NetworkManager", "network-manager"), netlab.Program("dbus-daemon", "dbus-daemon"))
	for name, wants := range map[string][]string{
		"bond": {`bond.options: +mode=802.3ad,.*lacp_rate=fast`, `vlan.id: +100`, `vlan.parent: +bond0`, `ipv6.addresses: +fd00:1::9/64`, `ipv6.method: +manual`,
			`bridge.forward-delay: +4`, `connection.slave-type: +bond`, `802-3-ethernet.mtu: +1400`},
		"dynamic": {`ipv4.method: +auto`, `ipv6.method: +dhcp`},
	} {
		t.Run(name, func(t *testing.T) {
			got := configured(t, machines[name], netconfig.NetworkManager, "active=0\n"+networkManager)
			for _, want := range wants {
				if !regexp.MustCompile(want).MatchString(got) {
					t.Errorf("no %s:\n%s", want, got)
				}
			}
			for _, i := range machines[name].Interfaces {
				if !regexp.MustCompile(`connection.id: +` + i.Name + `\n`).MatchString(got) {
					t.Errorf("no connection %s", i.Name)
				}
			}
		})
	}
}
