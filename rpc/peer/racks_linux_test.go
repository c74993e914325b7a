package peer_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/dhcpsrv/failover"
	"github.com/gomaas/maas/dhcpsrv/journal"
	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/peer"
)

// rackEnv tells a process of this test binary that it is a rack: its number and the directory with its files.
const rackEnv = "PEER_TEST_RACK"

func TestMain(m *testing.M) {
	if role := os.Getenv(rackEnv); role != "" {
		var n int
		var dir string
		if _, err := fmt.Sscanf(role, "%d %s", &n, &dir); err == nil {
			err = runRack(n, dir)
			fmt.Println("ended:", err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

var rackNames = [2]string{"alpha", "beta"}

func rackAddr(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + n)}) }

// runRack is a DHCP server with its partner on the link eth0, until it is killed. It tells what happens to leases.
func runRack(n int, dir string) error {
	ctx := context.Background()
	id, err := enrol.Load(filepath.Join(dir, "identity"))
	if err != nil {
		return err
	}
	journal, err := journal.Open(filepath.Join(dir, "leases"))
	if err != nil {
		return err
	}
	s, err := dhcpsrv.New(dhcpsrv.Config{Store: journal, Events: func(e dhcpsrv.Event) {
		fmt.Printf("lease %v %v by %q\n", e.Kind, e.Lease.Addr, e.Partner)
	}})
	if err != nil {
		return err
	}
	other := rackNames[1-n]
	partner := peer.Partner{Name: other, Addrs: []netip.Addr{rackAddr(1 - n)}}
	err = s.Update(dhcpsrv.Snapshot{
		Partners: []failover.Partner{{Name: other, Self: rackNames[n], Addrs: partner.Addrs}},
		Subnets: []dhcpsrv.Subnet{{
			Name: "lab", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth0", Server: rackAddr(n), LeaseTime: 20 * time.Second,
			Partner: other, PartnerServer: rackAddr(1 - n), Secondary: n == 1,
			Pools: []dhcpsrv.Pool{{First: netip.MustParseAddr("192.0.2.100"), Last: netip.MustParseAddr("192.0.2.199")}},
		}},
	})
	if err != nil {
		return err
	}
	p, err := peer.New(peer.Config{
		Identity: func() *enrol.Identity { return id }, Partners: func() []peer.Partner { return []peer.Partner{partner} },
		Exchange: func(ctx context.Context, name string, c *peer.Conn) error { return s.ServePartner(ctx, name, c) },
	})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", netip.AddrPortFrom(rackAddr(n), peer.DefaultPort).String())
	if err != nil {
		return err
	}
	conn, err := dhcplink.Listen(dhcplink.ListenConfig{Interfaces: []string{"eth0"}})
	if err != nil {
		return err
	}
	go func() {
		for last := failover.State(255); ; time.Sleep(20 * time.Millisecond) {
			if state := s.Partners()[0].State; state != last {
				fmt.Println("state", state)
				last = state
			}
		}
	}()
	ended := make(chan error)
	go func() { ended <- p.Serve(ctx, ln) }()
	go func() { ended <- s.Serve(ctx, conn) }()
	return errors.Join(<-ended)
}

// rackProcess is a rack that can be killed, and the lines it writes.
type rackProcess struct {
	cmd   *exec.Cmd
	lines chan string
}

func startRack(t *testing.T, ns *netlab.NS, n int, dir string) *rackProcess {
	t.Helper()
	r := &rackProcess{cmd: ns.Command(context.Background(), os.Args[0]), lines: make(chan string, 1000)}
	r.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", rackEnv, n, dir))
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.kill)
	go func() {
		for in := bufio.NewScanner(out); in.Scan(); {
			r.lines <- in.Text()
		}
		close(r.lines)
	}()
	return r
}

func (r *rackProcess) kill() {
	r.cmd.Process.Kill()
	r.cmd.Wait()
}

// expect waits for a line.
func (r *rackProcess) expect(t *testing.T, want string) {
	t.Helper()
	var said []string
	for late := time.After(25 * time.Second); ; {
		select {
		case line, more := <-r.lines:
			if !more {
				t.Fatalf("the rack ended instead of telling %q:\n%s", want, strings.Join(said, "\n"))
			}
			if said = append(said, line); line == want {
				return
			}
		case <-late:
			t.Fatalf("the rack does not tell %q:\n%s", want, strings.Join(said, "\n"))
		}
	}
}

// TestRackKilled kills the rack that gave a machine its address: the other one renews the lease, and the killed one, back
// again, has what happened meanwhile.
func TestRackKilled(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"))
	lab := netlab.New(t)
	ca := newCA(t)
	client := lab.NS("client")
	spaces := [2]*netlab.NS{lab.NS("alpha"), lab.NS("beta")}
	segment(t, lab, client, spaces[:]...)
	var racks [2]*rackProcess
	var dirs [2]string
	for n, ns := range spaces {
		dirs[n] = t.TempDir()
		if err := identity(t, ca, rackNames[n]).Save(filepath.Join(dirs[n], "identity")); err != nil {
			t.Fatal(err)
		}
		ns.Addr("eth0", netip.PrefixFrom(rackAddr(n), 24).String())
		racks[n] = startRack(t, ns, n, dirs[n])
	}
	for _, r := range racks {
		r.expect(t, "state normal")
	}
	addr, giver := bind(t, client)
	racks[1-giver].expect(t, fmt.Sprintf("lease granted %v by %q", addr, rackNames[giver]))
	racks[giver].kill()
	racks[1-giver].expect(t, "state interrupted")
	racks[1-giver].expect(t, fmt.Sprintf("lease renewed %v by \"\"", addr))
	racks[giver] = startRack(t, spaces[giver], giver, dirs[giver])
	racks[giver].expect(t, fmt.Sprintf("lease renewed %v by %q", addr, rackNames[1-giver]))
	racks[giver].expect(t, "state normal")
}

// segment joins namespaces by a switch; each has it on eth0.
func segment(t *testing.T, lab *netlab.Lab, first *netlab.NS, others ...*netlab.NS) {
	t.Helper()
	sw := lab.NS("switch")
	sw.Bridge("br0")
	for i, ns := range append([]*netlab.NS{first}, others...) {
		port := fmt.Sprintf("port%d", i)
		lab.Veth(sw, port, ns, "eth0")
		sw.Port("br0", port)
	}
}

// bind starts a DHCP client, which lives until the test ends, and returns its address and the number of the rack that gave it.
func bind(t *testing.T, ns *netlab.NS) (addr netip.Addr, giver int) {
	t.Helper()
	dir := t.TempDir()
	script, told := filepath.Join(dir, "script"), filepath.Join(dir, "told")
	text := "#!/bin/sh\n[ -n \"$ip\" ] && ip addr replace $ip/24 dev $interface\n[ \"$1\" = bound ] && echo $ip $serverid > " + told + ".new && mv " + told + ".new " + told + "\nexit 0\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := ns.Command(t.Context(), "udhcpc", "-f", "-i", "eth0", "-T", "1", "-s", script)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for late := time.Now().Add(20 * time.Second); time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
		line, err := os.ReadFile(told)
		fields := strings.Fields(string(line))
		if err != nil || len(fields) != 2 {
			continue
		}
		if fields[1] == rackAddr(1).String() {
			giver = 1
		}
		return netip.MustParseAddr(fields[0]), giver
	}
	t.Fatal("the client got no lease")
	return addr, 0
}
