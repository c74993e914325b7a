package tftp_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/tftp"
)

// A block is as large as the path takes without fragments, and no larger.
func TestPathMTU(t *testing.T) {
	netlab.Require(t, netlab.Root)
	lab := netlab.New(t)
	server, client := lab.NS("server"), lab.NS("client")
	lab.Veth(server, "eth0", client, "eth0")
	server.Addr("eth0", "192.0.2.1/24")
	client.Addr("eth0", "192.0.2.2/24")
	server.Addr("eth0", "2001:db8::1/64")
	client.Addr("eth0", "2001:db8::2/64")
	server.IP("link", "set", "eth0", "mtu", "1400")
	var conn *net.UDPConn
	err := server.Do(func() (err error) { conn, err = tftp.Listen("[::]:69"); return err })
	if err != nil {
		t.Fatal(err)
	}
	data := randomBytes(500_000)
	serve(t, tftp.Config{Handler: tftp.FS(fstest.MapFS{"f": {Data: data}}), DialUDP: func(network string, l, r *net.UDPAddr) (c *net.UDPConn, err error) {
		_ = server.Do(func() error { c, err = net.DialUDP(network, l, r); return nil })
		return c, err
	}}, conn)

	linkLocal := "[" + linkLocalOf(t, server, "eth0") + "%eth0]:69"
	for _, tt := range []struct {
		address string
		want    int
	}{{"192.0.2.1:69", 1400 - 20 - 8 - 4}, {"[2001:db8::1]:69", 1400 - 40 - 8 - 4}, {linkLocal, 1400 - 40 - 8 - 4}} {
		var pc net.PacketConn
		var raddr *net.UDPAddr
		err := client.Do(func() (err error) {
			if raddr, err = net.ResolveUDPAddr("udp", tt.address); err != nil {
				return err
			}
			pc, err = net.ListenUDP("udp", nil)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		var out bytes.Buffer
		c := tftp.Client{BlockSize: 8192, WindowSize: 8, Resend: 200 * time.Millisecond}
		x, err := c.GetFrom(t.Context(), pc, raddr, "f", &out)
		if err != nil || !bytes.Equal(out.Bytes(), data) {
			t.Errorf("%s: %v, %d bytes, %+v", tt.address, err, out.Len(), x)
			continue
		}
		if x.Granted.BlockSize != tt.want {
			t.Errorf("%s: block %d, want %d", tt.address, x.Granted.BlockSize, tt.want)
		}
	}
}

// bound reports whether a socket can be bound to an address, as duplicate address detection forbids.
func bound(ns *netlab.NS, addr, zone string) bool {
	return ns.Do(func() error {
		conn, err := net.ListenPacket("udp6", net.JoinHostPort(addr+"%"+zone, "0"))
		if err != nil {
			return err
		}
		return conn.Close()
	}) == nil
}

// linkLocalOf waits for the interface's link-local address.
func linkLocalOf(t *testing.T, ns *netlab.NS, name string) (addr string) {
	t.Helper()
	for range 200 {
		err := ns.Do(func() error {
			ifi, err := net.InterfaceByName(name)
			if err != nil {
				return err
			}
			addrs, err := ifi.Addrs()
			for _, a := range addrs {
				if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
					addr = p.Addr().String()
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if addr != "" && bound(ns, addr, name) {
			return addr
		}
		time.Sleep(100 * time.Millisecond) // for the kernel: it makes the address and detects duplicates
	}
	t.Fatal("no link-local address on " + name)
	return ""
}
