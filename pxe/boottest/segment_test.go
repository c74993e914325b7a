package boottest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/pxe/boottest"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// TestStreamConn runs the conformance tests for net.Conn.
func TestStreamConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		s := boottest.NewSegment(prefix)
		l, err := s.Server(serverAddr).Listen("tcp", ":80")
		if err != nil {
			return nil, nil, nil, err
		}
		if c1, err = s.Server(addr("192.0.2.2")).DialContext(context.Background(), "tcp", "192.0.2.1:80"); err != nil {
			return nil, nil, nil, err
		}
		c2, err = l.Accept()
		return c1, c2, func() { c1.Close(); c2.Close(); l.Close() }, err
	})
}

func TestStreamEnds(t *testing.T) {
	s := boottest.NewSegment(prefix)
	a, b := s.Server(serverAddr), s.Server(addr("192.0.2.2"))
	for address, want := range map[string]error{"192.0.2.1:81": syscall.ECONNREFUSED, "192.0.2.9:80": syscall.EHOSTUNREACH} {
		if _, err := b.DialContext(t.Context(), "tcp", address); !errors.Is(err, want) {
			t.Errorf("dial %s: %v, want %v", address, err, want)
		}
	}
	l, err := a.Listen("tcp", "192.0.2.1:80")
	must(t, err)
	if _, err := a.Listen("tcp", ":80"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v", err)
	}
	if _, err := a.Listen("tcp", "192.0.2.7:80"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("another's address: %v", err)
	}
	c, err := b.DialContext(t.Context(), "tcp", "192.0.2.1:80")
	must(t, err)
	d, err := l.Accept()
	must(t, err)
	if d.LocalAddr().String() != "192.0.2.1:80" || d.RemoteAddr().String() != c.LocalAddr().String() {
		t.Errorf("addresses %v %v, %v %v", c.LocalAddr(), c.RemoteAddr(), d.LocalAddr(), d.RemoteAddr())
	}
	_, err = c.Write([]byte("all of it"))
	must(t, err)
	must(t, c.Close())
	if got, err := io.ReadAll(d); string(got) != "all of it" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := d.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write to a closed end: %v", err)
	}
	waiting, err := b.DialContext(t.Context(), "tcp", "192.0.2.1:80")
	must(t, err)
	must(t, l.Close())
	if _, err := waiting.Read(make([]byte, 1)); err == nil {
		t.Error("a connection that nobody accepts any more still waits")
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept on a closed listener: %v", err)
	}
}

func TestPacketConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := boottest.NewSegment(prefix)
		s.Delay = 10 * time.Millisecond
		a, b := s.Server(serverAddr), s.Server(addr("192.0.2.2"))
		pa, err := a.ListenPacket("udp", ":69")
		must(t, err)
		pb, err := b.ListenPacket("udp4", ":0")
		must(t, err)
		if _, err := a.ListenPacket("udp", ":69"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("second conn: %v", err)
		}
		start := time.Now()
		_, err = pb.WriteTo([]byte("hello"), pa.LocalAddr())
		must(t, err)
		buf := make([]byte, 3)
		n, from, err := pa.ReadFrom(buf)
		if string(buf[:n]) != "hel" || from.String() != pb.LocalAddr().String() || err != nil || time.Since(start) != s.Delay {
			t.Errorf("read %q from %v after %v: %v", buf[:n], from, time.Since(start), err)
		}
		// A deadline before the datagram arrives does not lose it.
		_, err = pa.WriteTo([]byte("abc"), pb.LocalAddr())
		must(t, err)
		pb.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, _, err := pb.ReadFrom(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("deadline: %v", err)
		}
		pb.SetReadDeadline(time.Time{})
		if n, _, err := pb.ReadFrom(buf); string(buf[:n]) != "abc" || err != nil {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		time.AfterFunc(time.Second, func() { pb.Close() })
		if _, _, err := pb.ReadFrom(buf); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

func TestDHCPConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := boottest.NewSegment(prefix)
		s.Link = "vlan7"
		a, b := s.Server(serverAddr), s.Server(addr("192.0.2.2"))
		ca, err := a.DHCP()
		must(t, err)
		client, err := b.ListenPacket("udp", ":68")
		must(t, err)
		for to, want := range map[string]string{"255.255.255.255:67": "255.255.255.255", "192.0.2.255:67": "192.0.2.255", "192.0.2.1:67": "192.0.2.1"} {
			_, err = client.WriteTo([]byte("discover"), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
			must(t, err)
			buf := make([]byte, 100)
			n, link, src, dst, err := ca.ReadDHCP(buf)
			if string(buf[:n]) != "discover" || link != "vlan7" || src.String() != "192.0.2.2:68" || dst.String() != want || err != nil {
				t.Errorf("read %q on %s from %v to %v: %v", buf[:n], link, src, dst, err)
			}
		}
		// To a link address, whatever its host's IP address.
		must(t, ca.WriteDHCP([]byte("offer"), "vlan7", serverAddr, netip.MustParseAddrPort("192.0.2.200:68"), b.MAC()))
		buf := make([]byte, 100)
		if n, from, err := client.ReadFrom(buf); string(buf[:n]) != "offer" || from.String() != "192.0.2.1:67" || err != nil {
			t.Errorf("read %q from %v: %v", buf[:n], from, err)
		}
		if err := ca.WriteDHCP(nil, "eth0", serverAddr, netip.MustParseAddrPort("192.0.2.200:68"), nil); err == nil {
			t.Error("a link that is not there was written to")
		}
		must(t, ca.Close())
		if _, _, _, _, err := ca.ReadDHCP(buf); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// TestBMC: a simulated chassis switches the machine.
func TestBMC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run(t, everybody, func(s *site) {
			m := s.segment.NewMachine(boottest.MachineConfig{})
			chassis := &powersim.Chassis{OnPower: func(on bool, _ power.BootDevice) {
				if on {
					m.PowerOn()
				} else {
					m.PowerOff()
				}
			}}
			chassis.SetPower(true)
			synctest.Wait()
			r, err := m.Wait(t.Context())
			personalities()[0].check(t, r, err)
			if !m.Powered() {
				t.Error("the machine is off")
			}
			chassis.SetPower(false)
			synctest.Wait()
			if m.Powered() {
				t.Error("the machine is on")
			}
		})
	})
}
