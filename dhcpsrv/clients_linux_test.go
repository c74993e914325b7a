package dhcpsrv_test

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// Clients that do both families at once, each against one server with a network of each. Their own directories are hidden
// from them, so that they find and leave nothing of this host.
func TestDualStackClients(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dhcpcd", "dhcpcd-base"), netlab.Program("/lib/systemd/systemd-networkd", "systemd"))
	for name, start := range map[string]func(dir string) []string{
		"dhcpcd": func(dir string) []string {
			conf := write(t, dir, "dhcpcd.conf", "duid\npersistent\noption rapid_commit, domain_name_servers, host_name\nhostname box\nnoipv6rs\ninterface eth0\nia_na 1\n")
			return []string{"sh", "-c", "mount -t tmpfs t /var/lib/dhcpcd && mount -t tmpfs t /run && exec dhcpcd -B -d -f " + conf + " -c /bin/true eth0"}
		},
		"systemd-networkd": func(dir string) []string {
			conf := write(t, dir, "eth0.network", "[Match]\nName=eth0\n[Network]\nDHCP=yes\nIPv6AcceptRA=no\n[DHCPv4]\nHostname=box\n[DHCPv6]\nWithoutRA=solicit\n")
			// Where /sys cannot be written it does not wait for udev, as in containers.
			return []string{"sh", "-c", "mount -t tmpfs t /run && mount -o remount,ro,bind /sys && mkdir -p /run/systemd/network /run/systemd/netif/leases " +
				"/run/systemd/netif/links /run/systemd/netif/lldp && chown -R systemd-network /run/systemd/netif && cp " + conf + " /run/systemd/network/ && " +
				"exec /lib/systemd/systemd-networkd"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			snap := office()
			snap.Subnets = append(snap.Subnets, office6().Subnets...)
			n := newNetwork(t, snap)
			settled(t, n.server)
			settled(t, n.client)
			serve6(t, n.server, n.s)
			dir := t.TempDir()
			if err := os.Chmod(dir, 0o755); err != nil { // the clients give up root
				t.Fatal(err)
			}
			var said bytes.Buffer
			cmd := n.client.Command(context.Background(), "unshare", append([]string{"--mount"}, start(dir)...)...)
			cmd.Stdout, cmd.Stderr = &said, &said
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			began := time.Now()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			v4, v6 := n.both(t)
			took := time.Since(began).Round(time.Millisecond)
			stop(t, cmd)
			t.Logf("%s took %v: %s, %s", name, took, v4.Addr, v6.Addr)
			if v4.Subnet != "office" || v6.Subnet != "office6" || len(v6.DUID) == 0 || v4.Hostname != "box" {
				t.Errorf("leases %+v and %+v\n%s", v4, v6, said.String())
			}
		})
	}
}

func write(t *testing.T, dir, name, text string) string {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// stop ends a client and what it started.
func stop(t *testing.T, cmd *exec.Cmd) {
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	insist := time.AfterFunc(5*time.Second, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer insist.Stop()
	_ = cmd.Wait() // it was told to end
}

// both waits for a lease of each family.
func (n *network) both(t *testing.T) (v4, v6 dhcpsrv.Lease) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		held := map[bool]dhcpsrv.Lease{}
		for l := range n.s.Leases() {
			if l.State == dhcpsrv.Bound {
				held[netip.Addr.Is6(l.Addr)] = l
			}
		}
		if len(held) == 2 {
			return held[false], held[true]
		}
	}
	t.Fatalf("no lease of each family: %+v", n.s.Stats())
	return v4, v6
}
