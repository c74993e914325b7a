package dhcpsrv_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// The address of the interface changes under a running server. Clients are answered before the snapshot knows, and get the
// new address as the server's once it does.
func TestAddressReplaced(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"))
	snap := office()
	n := newNetwork(t, snap)
	lease := func(from string, flags ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		args := append([]string{"-n", "-q", "-f", "-T", "1", "-t", "1", "-i", "eth0", "-s", script(t)}, flags...)
		if out, err := n.client.Command(ctx, "udhcpc", args...).CombinedOutput(); err != nil || !strings.Contains(string(out), "obtained from "+from) {
			t.Errorf("udhcpc with %v: %v\n%s\n%+v", flags, err, out, n.s.Stats())
		}
	}
	all := func(from string) {
		t.Helper()
		lease(from)                     // answered by a frame
		lease(from, "-B")               // by a broadcast
		lease(from, "-r", "192.0.2.20") // refused by a broadcast, then answered
	}
	all("192.0.2.1")
	for _, now := range []string{"192.0.2.5", "192.0.2.6", "192.0.2.1"} {
		n.server.IP("addr", "flush", "dev", "eth0")
		n.server.Addr("eth0", now+"/24")
		all(snap.Subnets[0].Server.String())
		snap = office()
		snap.Subnets[0].Server = ip(now)
		if err := n.s.Update(snap); err != nil {
			t.Fatal(err)
		}
		all(now)
	}
	if st := n.s.Stats(); st.WriteErrors > 0 || st.ReadErrors > 0 {
		t.Errorf("%+v", st)
	}
}

// TestAddressReplaced6 does the same to global and link-local addresses.
func TestAddressReplaced6(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dhclient", "isc-dhcp-client"))
	lab := netlab.New(t)
	ns, client := lab.NS("server"), lab.NS("client")
	lab.Veth(ns, "eth0", client, "eth0")
	ns.Addr("eth0", "2001:db8::1/64")
	settled(t, ns)
	settled(t, client)
	snap := room6("2001:db8::1")
	s := newServer(t, dhcpsrv.Config{Store: openJournal(t, filepath.Join(t.TempDir(), "leases"))}, snap)
	serve6(t, ns, s)
	exchange := func() {
		t.Helper()
		release := dhclient6(t, client)
		oneBound(t, s)
		release()
	}
	for i, now := range []string{"2001:db8::1", "2001:db8::5"} {
		if i > 0 {
			ns.IP("-6", "addr", "flush", "dev", "eth0")
			ns.IP("-6", "addr", "add", "fe80::99/64", "dev", "eth0", "nodad")
			ns.IP("-6", "addr", "add", now+"/64", "dev", "eth0", "nodad")
			exchange()
		}
		if err := s.Update(room6(now)); err != nil {
			t.Fatal(err)
		}
		exchange()
	}
	// Nothing was asked twice. The answer to a release may have met an interface without address:
	// no client waits for it.
	if st := s.Stats(); st.ReadErrors > 0 || st.Received["SOLICIT6"] != 3 || st.Received["REQUEST6"] != 3 {
		t.Errorf("%+v", st)
	}
}

// An exchange that began before the server's address changed is finished after it, soon.
func TestAddressChangedBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, dhcpsrv.Config{}, room6("2001:db8::1"))
		d := &duo{t: t, s: [2]*dhcpsrv.Server{s}}
		for i, after := range []time.Duration{time.Second, 40 * time.Second} {
			four, six := newClient(t, s, mac1), d.client(byte(i))
			six.kind = simSix
			snap := func(four, six string) dhcpsrv.Snapshot {
				snap := office()
				snap.Subnets[0].Server = ip(four)
				snap.Subnets = append(snap.Subnets, room6(six).Subnets...)
				return snap
			}
			s.Update(snap("192.0.2.1", "2001:db8::1"))
			offer, _ := four.send(dhcpv4.MessageTypeDiscover)
			advertised := d.any(six, six.discover(0))
			s.Update(snap("192.0.2.5", "2001:db8::5"))
			s.Update(snap("192.0.2.5", "2001:db8::5"))
			time.Sleep(after)
			ack, _ := four.send(dhcpv4.MessageTypeRequest, withServer(offer.ServerIdentifier()), withWanted(offer.YourIPAddr))
			if (ack != nil) != (i == 0) || ack != nil && !ack.ServerIdentifier().Equal(net.IP{192, 0, 2, 5}) {
				t.Errorf("after %v: %v", after, ack)
			}
			if r := d.any(six, six.request(advertised)); r.ack != (i == 0) {
				t.Errorf("after %v: %+v", after, r)
			}
			time.Sleep(time.Minute)
		}
	})
}

func room6(server string) dhcpsrv.Snapshot {
	snap := (&pair{pool: 20}).snapshot(0)
	six := snap.Subnets[simSix]
	six.Partner, six.Server = "", ip(server)
	return dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{six}}
}
