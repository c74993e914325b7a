package dhcpsrv_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// TestBesideDnsmasq puts the server on a link that dnsmasq already serves: it finds out, leaves the addresses to dnsmasq and
// gives firmware its boot file.
func TestBesideDnsmasq(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dnsmasq", "dnsmasq-base"), netlab.Program("udhcpc", "udhcpc"))
	lab := netlab.New(t)
	ours, other, client, wire := lab.NS("server"), lab.NS("other"), lab.NS("client"), lab.NS("switch")
	wire.Bridge("br0")
	for port, ns := range map[string]*netlab.NS{"p1": ours, "p2": other, "p3": client} {
		lab.Veth(ns, "eth0", wire, port)
		wire.Port("br0", port)
	}
	ours.Addr("eth0", "192.0.2.1/24")
	other.Addr("eth0", "192.0.2.9/24")
	ctx, cancel := context.WithCancel(context.Background())
	dnsmasq := other.Command(ctx, "dnsmasq", "-k", "-C", "/dev/null", "-p", "0", "-i", "eth0", "--bind-interfaces", "--no-ping", "--leasefile-ro", "-u", "root",
		"-F", "192.0.2.50,192.0.2.59,255.255.255.0,10m", "--pid-file=")
	var log strings.Builder
	dnsmasq.Stderr = &log
	if err := dnsmasq.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		dnsmasq.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	find := func(ctx context.Context, link string) (found []dhcpsrv.RogueServer, err error) {
		err = ours.Do(func() (err error) {
			ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
			defer cancel()
			found, err = dhcplink.FindServers(ctx, link)
			return err
		})
		return found, err
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		found, err := find(ctx, "eth0")
		if len(found) > 0 {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("dnsmasq not found: %v", err)
		}
	}
	s := newServer(t, dhcpsrv.Config{Boot: dhcpsrv.BootSelectorFunc(bootFile), FindServers: find}, inMode(dhcpsrv.ModeAuto))
	listen(t, ours, s.Serve, dhcplink.Listen)
	listen(t, ours, s.ServeBoot, dhcplink.ListenBoot)
	for deadline := time.Now().Add(20 * time.Second); s.Modes()[0].Mode != dhcpsrv.ModeProxy; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("dnsmasq not found: %+v", s.Modes())
		}
	}

	tidy, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	if out, err := client.Command(tidy, "udhcpc", "-n", "-q", "-f", "-i", "eth0", "-s", script(t)).CombinedOutput(); err != nil {
		t.Fatalf("udhcpc: %v\n%s", err, out)
	}
	var got netip.Addr
	var firmware, boot net.PacketConn
	err := client.Do(func() (err error) {
		got = addressOf(t, "eth0")
		if firmware, err = net.ListenPacket("udp4", "0.0.0.0:68"); err != nil {
			return err
		}
		boot, err = net.ListenPacket("udp4", netip.AddrPortFrom(got, 4011).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer firmware.Close()
	defer boot.Close()
	if got.Less(ip("192.0.2.50")) || ip("192.0.2.59").Less(got) {
		t.Fatalf("udhcpc got %v, not dnsmasq's", got)
	}
	c := newClient(t, s, mac1, pxe)
	offers := ask(t, firmware, c.packet(dhcpv4.MessageTypeDiscover, dhcpv4.WithBroadcast(true)), "192.0.2.255:67", 2)
	var address, file bool
	for _, o := range offers {
		address = address || !o.YourIPAddr.IsUnspecified() && o.ServerIdentifier().Equal(net.IPv4(192, 0, 2, 9))
		file = file || o.YourIPAddr.IsUnspecified() && o.BootFileName == "boot.efi" && o.ServerIdentifier().Equal(net.IPv4(192, 0, 2, 1))
	}
	if !address || !file {
		t.Errorf("offers: %v", offers)
	}
	if acks := ask(t, boot, c.packet(dhcpv4.MessageTypeRequest, withCIAddr(got)), "192.0.2.1:4011", 1); acks[0].MessageType() != dhcpv4.MessageTypeAck || acks[0].BootFileName != "boot.efi" {
		t.Errorf("port 4011: %v", acks[0])
	}
	if st := s.Stats(); st.Committed != 0 {
		t.Errorf("leases given: %+v", st)
	}
}

// listen runs one of a server's Serve in a namespace until the test ends.
func listen(t *testing.T, ns *netlab.NS, serve func(context.Context, dhcpsrv.Conn) error, open func(dhcplink.ListenConfig) (dhcpsrv.Conn, error)) {
	t.Helper()
	var conn dhcpsrv.Conn
	if err := ns.Do(func() (err error) {
		conn, err = open(dhcplink.ListenConfig{Interfaces: []string{"eth0"}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- serve(ctx, conn) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// ask sends a message and returns the first n answers.
func ask(t *testing.T, pc net.PacketConn, m *dhcpv4.DHCPv4, to string, n int) (answers []*dhcpv4.DHCPv4) {
	t.Helper()
	if _, err := pc.WriteTo(m.ToBytes(), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to))); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1500)
	for pc.SetReadDeadline(time.Now().Add(10 * time.Second)); len(answers) < n; {
		size, _, err := pc.ReadFrom(buf)
		if err != nil {
			t.Fatalf("%d of %d answers: %v", len(answers), n, err)
		}
		answers = append(answers, parse(t, buf[:size]))
	}
	return answers
}

func addressOf(t *testing.T, link string) netip.Addr {
	ifi, err := net.InterfaceByName(link)
	if err != nil {
		t.Error(err)
		return netip.Addr{}
	}
	addrs, _ := ifi.Addrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
			a, _ := netip.AddrFromSlice(n.IP.To4())
			return a
		}
	}
	return netip.Addr{}
}
