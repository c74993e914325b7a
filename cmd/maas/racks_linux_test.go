package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/schema"
)

// process is a maas process in a namespace.
type process struct {
	t    *testing.T
	ns   *netlab.NS
	args []string
	log  *os.File
	cmd  *exec.Cmd
}

func newProcess(t *testing.T, ns *netlab.NS, args ...string) *process {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, ns: ns, args: append(args, "--log-format", "text"), log: log}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s:\n%s", strings.Join(args[:1], " "), p.logged())
		}
		log.Close()
	})
	return p
}

func (p *process) start(more ...string) {
	p.t.Helper()
	p.cmd = p.ns.Command(context.WithoutCancel(p.t.Context()), build(p.t), append(p.args, more...)...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// tokenFile returns a file with a token: arguments are visible to all users of the host.
func tokenFile(t *testing.T, token string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// kill ends the process as a power failure would.
func (p *process) kill() {
	if p.cmd != nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		p.cmd = nil
	}
}

func (p *process) logged() string {
	text, err := os.ReadFile(p.log.Name())
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// maas runs a command against the daemon with this data directory.
func maas(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), build(t), args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// rackNet is a region and a rack in namespaces of their own, and clients on the rack's network.
type rackNet struct {
	t            *testing.T
	data         string // of the region
	rackData     string
	region, rack *process
	rackNS       *netlab.NS
	clients      []*netlab.NS
}

func newRackNet(t *testing.T) *rackNet {
	t.Helper()
	lab := netlab.New(t)
	n := &rackNet{t: t, data: filepath.Join(t.TempDir(), "region"), rackData: filepath.Join(t.TempDir(), "rack"), rackNS: lab.NS("rack")}
	regionNS := lab.NS("region")
	lab.Veth(regionNS, "up0", n.rackNS, "up0")
	regionNS.Addr("up0", "198.51.100.1/24")
	n.rackNS.Addr("up0", "198.51.100.2/24")
	n.rackNS.Bridge("br0")
	for _, name := range []string{"one", "two", "three"} {
		client := lab.NS(name)
		lab.Veth(client, "eth0", n.rackNS, "p-"+name)
		n.rackNS.Port("br0", "p-"+name)
		n.clients = append(n.clients, client)
	}
	n.rackNS.Addr("br0", "192.0.2.1/24")
	n.region = newProcess(t, regionNS, "region", "--data", n.data)
	n.rack = newProcess(t, n.rackNS, "rack", "--data", n.rackData, "--interface", "br0", "--name", "rack-1", "--dhcp-force")
	return n
}

func (n *rackNet) startRegion() {
	n.t.Helper()
	n.region.start()
	eventually(n.t, "the region answers", func() bool {
		_, err := maas(n.t, "subnet", "list", "--data", n.data)
		return err == nil
	})
}

func (n *rackNet) token() string {
	n.t.Helper()
	token, err := maas(n.t, "region", "token", "create", "--accept-networks", "--data", n.data)
	if err != nil {
		n.t.Fatal(token)
	}
	return token
}

// lease runs a real DHCP client and returns the address it got, empty if none.
func (n *rackNet) lease(client *netlab.NS, flags ...string) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	defer cancel()
	flags = append([]string{"-i", "eth0", "-f", "-n", "-q", "-s", "/bin/true", "-t", "8", "-T", "1"}, flags...)
	out, err := client.Command(ctx, "udhcpc", flags...).CombinedOutput()
	if err != nil {
		n.t.Logf("udhcpc: %v: %s", err, out)
		return ""
	}
	_, after, _ := strings.Cut(string(out), "lease of ")
	address, _, _ := strings.Cut(after, " ")
	return address
}

// connected says whether the region has the rack.
func (n *rackNet) connected() bool {
	out, err := maas(n.t, "rack", "list", "--data", n.data, "-o", "json")
	var racks []struct {
		Name      string `json:"name"`
		Connected bool   `json:"connected"`
	}
	return err == nil && json.Unmarshal([]byte(out), &racks) == nil && len(racks) == 1 && racks[0].Connected
}

// leases counts the rows of each leased address in the region's database.
func (n *rackNet) leases() map[string]int {
	n.t.Helper()
	db, err := store.OpenExisting(n.t.Context(), "sqlite://"+filepath.Join(n.data, "maas.db"), schema.FS)
	if err != nil {
		n.t.Fatal(err)
	}
	defer db.Close()
	leases := map[string]int{}
	err = db.View(n.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		clear(leases)
		return tx.Query(ctx, "SELECT ip FROM allocation WHERE type = ?", []any{int64(ipam.AllocDiscovered)}, func(scan func(...any) error) error {
			var ip string
			err := scan(&ip)
			leases[ip]++
			return err
		})
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return leases
}

// A rack of its own serves while its region lives, and goes on when that is killed.
func TestRackServesWithoutItsRegion(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"))
	n := newRackNet(t)

	n.rack.start("--no-dhcp")
	eventually(t, "a rack without a site is refused", func() bool { return strings.Contains(n.rack.logged(), "maas rack run --enrol-file FILE") })
	n.rack.kill()

	n.startRegion()
	token := n.token()
	n.rack.start("--enrol-file", tokenFile(n.rack.t, token))
	eventually(t, "the rack is connected", n.connected)
	if strings.Contains(n.rack.logged()+n.region.logged(), token) {
		t.Error("the token is in a log")
	}
	info, err := os.Stat(filepath.Join(n.rackData, "rack", "identity.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("identity: %v, %v", info, err)
	}

	first := n.lease(n.clients[0])
	if !strings.HasPrefix(first, "192.0.2.") {
		t.Fatalf("with the region up a client got %q", first)
	}

	n.region.kill()
	second := n.lease(n.clients[1])
	if !strings.HasPrefix(second, "192.0.2.") || second == first {
		t.Errorf("with the region gone a client got %q", second)
	}
	n.rack.kill()
	n.rack.start("--enrol-file", tokenFile(n.rack.t, token)) // as a unit file would: the token was used, and is not needed
	third := n.lease(n.clients[2])
	if !strings.HasPrefix(third, "192.0.2.") || third == first || third == second {
		t.Errorf("from a rack that started without any region a client got %q", third)
	}

	n.startRegion()
	eventually(t, "the rack has come back", n.connected)
	eventually(t, "the region knows each lease once", func() bool {
		leases := n.leases()
		return len(leases) == 3 && leases[first] == 1 && leases[second] == 1 && leases[third] == 1
	})

	other := newProcess(t, n.rackNS, "rack", "--data", filepath.Join(t.TempDir(), "other"), "--interface", "br0", "--name", "rack-2",
		"--no-dhcp", "--dns-port", "5353", "--rack-port", "5349")
	n.rack.kill() // its TFTP port
	other.start("--enrol-file", tokenFile(other.t, token))
	eventually(t, "a used token is refused", func() bool { return strings.Contains(other.logged(), "good only once") })
	other.kill()

	n.rack.start()
	eventually(t, "the rack is back", n.connected)
	if out, err := maas(t, "rack", "revoke", "rack-1", "--data", n.data); err != nil {
		t.Fatal(out)
	}
	eventually(t, "the revoked rack is cut off and told why", func() bool { return strings.Contains(n.rack.logged(), "its certificate was revoked") })
	if n.connected() {
		t.Error("a revoked rack is connected")
	}
}
