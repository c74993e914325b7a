package dhcpsrv_test

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// networkManager runs NetworkManager with a system bus of its own: it sees its namespace only, and
// none of the host's settings. A read-only /sys tells it that there is no udev to wait for.
const networkManager = `
set -e
mount --make-rprivate /
mount -o remount,ro,bind /sys
for dir in /run /var/lib/NetworkManager /etc/NetworkManager; do mount -t tmpfs tmpfs $dir; done
mkdir -p /run/dbus /etc/NetworkManager/system-connections
cat >/etc/NetworkManager/NetworkManager.conf <<END
[main]
plugins=keyfile
dhcp=internal
no-auto-default=*
dns=none
[device]
match-device=interface-name:eth0
managed=1
[logging]
level=INFO
domains=DHCP4:TRACE
END
cat >/etc/NetworkManager/system-connections/eth0.nmconnection <<END
[connection]
id=eth0
type=ethernet
interface-name=eth0
[ipv4]
method=auto
may-fail=false
dhcp-timeout=2147483647
[ipv6]
method=disabled
END
chmod 600 /etc/NetworkManager/system-connections/eth0.nmconnection
dbus-daemon --system --fork --nopidfile
exec NetworkManager --no-daemon
`

// heard holds a message that reached a server, whether or not the server was deaf.
type heard struct {
	kind   byte // of the message, option 53
	ciaddr netip.Addr
}

// deafConn is a Conn that can be made deaf: it goes on to note what arrives.
type deafConn struct {
	dhcpsrv.Conn

	mu   sync.Mutex
	deaf bool
	all  []heard
}

func (c *deafConn) ReadDHCP(b []byte) (n int, link string, src netip.AddrPort, dst netip.Addr, err error) {
	for {
		n, link, src, dst, err = c.Conn.ReadDHCP(b)
		if err != nil || !c.note(b[:n]) {
			return n, link, src, dst, err
		}
	}
}

// note notes a packet and reports whether the server is not to hear it.
func (c *deafConn) note(p []byte) (deaf bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := bytes.Index(p, []byte{0x63, 0x82, 0x53, 0x63, 53, 1}); i > 0 && len(p) > i+6 {
		c.all = append(c.all, heard{p[i+6], netip.AddrFrom4([4]byte(p[12:16]))})
	}
	return c.deaf
}

func (c *deafConn) set(deaf bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf, c.all = deaf, nil
}

func (c *deafConn) messages() []heard {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]heard(nil), c.all...)
}

// NetworkManager starts over, after a lease that nothing renewed, with a DISCOVER that has its former
// address in ciaddr. It does not hold that address any more and hears only an answer by its link
// address or by broadcast (RFC 2131 section 4.1 would send it to ciaddr).
func TestNetworkManagerAfterExpiry(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("NetworkManager", "network-manager"), netlab.Program("dbus-daemon", "dbus-daemon"))
	const discover, request = 1, 3
	lab := netlab.New(t)
	serverSide, client := lab.NS("server"), lab.NS("client")
	lab.Veth(serverSide, "eth0", client, "eth0")
	serverSide.Addr("eth0", "192.0.2.1/24")
	snap := office()
	snap.Subnets[0].LeaseTime = 8 * time.Second
	s := newServer(t, dhcpsrv.Config{Store: openJournal(t, filepath.Join(t.TempDir(), "leases"))}, snap)
	conn := &deafConn{}
	err := serverSide.Do(func() (err error) {
		conn.Conn, err = dhcplink.Listen(dhcplink.ListenConfig{Interfaces: []string{"eth0"}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, conn) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()

	log := filepath.Join(t.TempDir(), "log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	manager := client.Command(ctx, "unshare", "-m", "sh", "-c", networkManager)
	manager.Stdout, manager.Stderr = out, out
	if err := manager.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = manager.Wait()
	}()
	await := func(what string, met func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !met(); time.Sleep(20 * time.Millisecond) { // a foreign process
			if time.Now().After(deadline) {
				text, _ := os.ReadFile(log)
				t.Fatalf("%s: not seen; heard %v, %+v\n%s", what, conn.messages(), s.Stats(), text)
			}
		}
	}
	addressed := func() bool {
		text, _ := client.Command(ctx, "ip", "-4", "addr", "show", "eth0").CombinedOutput()
		return strings.Contains(string(text), "192.0.2.1")
	}
	await("a first lease", addressed)

	conn.set(true)
	await("a DISCOVER with the former address", func() bool {
		for _, m := range conn.messages() {
			if m.kind == discover && m.ciaddr.IsValid() && !m.ciaddr.IsUnspecified() {
				return true
			}
		}
		return false
	})
	await("the end of the address", func() bool { return !addressed() })
	serverSide.IP("neigh", "flush", "dev", "eth0") // as after a restart of the server's host
	conn.set(false)
	await("a second lease", addressed)
	discovers := 0
	for _, m := range conn.messages() {
		if m.kind == request {
			break
		}
		if discovers++; discovers > 1 {
			t.Errorf("the first DISCOVER was not answered: %v", conn.messages())
		}
	}
}
