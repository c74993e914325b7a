package dhcplink_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// settled waits until the link-local address of eth0 may be used.
func settled(t *testing.T, ns *netlab.NS) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		out, _ := ns.Command(t.Context(), "ip", "-6", "addr", "show", "dev", "eth0").CombinedOutput()
		if strings.Contains(string(out), "fe80") && !strings.Contains(string(out), "tentative") {
			return
		}
	}
	t.Fatal("eth0 has no link-local address")
}

// TestProber asks a real neighbour by ARP and neighbour solicitation, and a machine behind it by echo requests.
func TestProber(t *testing.T) {
	netlab.Require(t, netlab.Root)
	lab := netlab.New(t)
	asker, owner := lab.NS("asker"), lab.NS("owner")
	lab.Veth(asker, "eth0", owner, "eth0")
	asker.Addr("eth0", "192.0.2.1/24")
	owner.Addr("eth0", "192.0.2.105/24")
	owner.IP("addr", "add", "2001:db8:1::105/64", "dev", "eth0", "nodad")
	owner.IP("addr", "add", "198.51.100.5/32", "dev", "lo")
	owner.IP("addr", "add", "2001:db8:2::5/128", "dev", "lo")
	asker.IP("addr", "add", "2001:db8:1::1/64", "dev", "eth0", "nodad")
	asker.IP("route", "add", "198.51.100.0/24", "via", "192.0.2.105")
	asker.IP("route", "add", "2001:db8:2::/64", "via", "2001:db8:1::105")
	settled(t, asker)
	mac := macOf(t, owner, "eth0")
	for _, test := range []struct {
		link, addr string
		want       bool
	}{
		{"eth0", "192.0.2.105", true}, {"eth0", "192.0.2.106", false},
		{"eth0", "2001:db8:1::105", true}, {"eth0", "2001:db8:1::106", false},
		{"", "198.51.100.5", true}, {"", "2001:db8:2::5", true}, {"", "203.0.113.1", false},
	} {
		err := asker.Do(func() error {
			prober := &dhcplink.Prober{Wait: 200 * time.Millisecond}
			if test.want { // an answer comes at once, but for a busy machine
				prober.Wait = 5 * time.Second
			}
			holder, inUse, err := prober.ProbeOwner(context.Background(), test.link, netip.MustParseAddr(test.addr))
			if inUse != test.want {
				t.Errorf("%s on %q in use: %v", test.addr, test.link, inUse)
			}
			if known := test.want && test.link != ""; known && holder.String() != mac || !known && holder != nil {
				t.Errorf("%s on %q belongs to %q, want %q", test.addr, test.link, holder, mac)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	err := asker.Do(func() error {
		_, err := new(dhcplink.Prober).Probe(context.Background(), "eth9", netip.MustParseAddr("2001:db8:1::105"))
		return err
	})
	if err == nil {
		t.Error("no error for an interface that is not there")
	}
}

// Probes of a whole network at once, from several goroutines, find the hosts in it and nothing else.
func TestProbeBatch(t *testing.T) {
	netlab.Require(t, netlab.Root)
	lab := netlab.New(t)
	asker, owner := lab.NS("asker"), lab.NS("owner")
	lab.Veth(asker, "eth0", owner, "eth0")
	asker.Addr("eth0", "10.9.0.1/16")
	asker.IP("addr", "add", "2001:db8:1::1/64", "dev", "eth0", "nodad")
	want := map[netip.Addr]bool{}
	for i := range 40 {
		four, six := netip.AddrFrom4([4]byte{10, 9, byte(i), 7}), netip.MustParseAddr(fmt.Sprintf("2001:db8:1::%x07", i+1))
		owner.IP("addr", "add", four.String()+"/16", "dev", "eth0")
		owner.IP("addr", "add", six.String()+"/64", "dev", "eth0", "nodad")
		want[four], want[six] = true, true
	}
	settled(t, asker)
	var fours, sixes []netip.Addr
	for i := range 40 {
		for n := range 50 {
			fours = append(fours, netip.AddrFrom4([4]byte{10, 9, byte(i), byte(n + 2)}))
			sixes = append(sixes, netip.MustParseAddr(fmt.Sprintf("2001:db8:1::%x%02x", i+1, n)))
		}
	}
	prober := &dhcplink.Prober{Wait: 2 * time.Second}
	mac := macOf(t, owner, "eth0")
	if err := asker.Do(func() error {
		first, err := prober.ProbeBatch(t.Context(), "eth0", fours[:1]) // opens the socket in this namespace
		if err != nil || len(first) > 0 {
			t.Errorf("%v, %v", first, err)
		}
		for _, addrs := range [][]netip.Addr{fours, sixes} {
			found, err := prober.ProbeBatch(t.Context(), "eth0", addrs)
			if err != nil {
				return err
			}
			for a, by := range found {
				if !want[a] || by.String() != mac {
					t.Errorf("%v in use by %v", a, by)
				}
				delete(want, a)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
}

// macOf returns the link address of an interface in a namespace.
func macOf(t *testing.T, ns *netlab.NS, name string) (mac string) {
	t.Helper()
	if err := ns.Do(func() error {
		ifi, err := net.InterfaceByName(name)
		if err == nil {
			mac = ifi.HardwareAddr.String()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return mac
}
