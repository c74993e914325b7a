package dhcpsrv_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
)

func TestRelease(t *testing.T) {
	var events []string
	snap := office()
	snap.Subnets = append(snap.Subnets, office6().Subnets...)
	s := newServer(t, dhcpsrv.Config{Events: func(e dhcpsrv.Event) { events = append(events, fmt.Sprint(e.Kind, " ", e.Lease.Addr)) }}, snap)
	a := newClient(t, s, hostMAC).dora()
	six := ip(addrs(newClient6(t, s, "02:00:00:00:00:07").bind(ia(1)))[0])
	events = nil
	for _, addr := range []netip.Addr{a, six} {
		if err := s.Release(t.Context(), addr); err != nil {
			t.Errorf("%v: %v", addr, err)
		}
		if _, ok := s.Lookup(addr); ok {
			t.Errorf("%v is still bound", addr)
		}
		if err := s.Release(t.Context(), addr); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a second release of %v: %v", addr, err)
		}
	}
	if want := []string{fmt.Sprint("released ", a), fmt.Sprint("released ", six)}; !slices.Equal(events, want) {
		t.Errorf("events %v, want %v", events, want)
	}
	for _, addr := range []netip.Addr{{}, ip("203.0.113.1"), ip("2001:db8:99::1")} {
		if err := s.Release(t.Context(), addr); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: %v", addr, err)
		}
	}
	// An offer is no lease.
	offer, _ := newClient(t, s, macOf(3)).send(dhcpv4.MessageTypeDiscover)
	if err := s.Release(t.Context(), netip.AddrFrom4([4]byte(offer.YourIPAddr.To4()))); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if again := newClient(t, s, hostMAC).dora(); again != a {
		t.Errorf("the client got %v after %v", again, a)
	}
}

func TestReleaseNotStored(t *testing.T) {
	store := &failingStore{}
	s := newServer(t, dhcpsrv.Config{Store: store}, office())
	a := newClient(t, s, hostMAC).dora()
	store.broken = true
	if err := s.Release(t.Context(), a); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, ok := s.Lookup(a); !ok {
		t.Error("the lease ended although the store failed")
	}
}

func TestLeaseFilter(t *testing.T) {
	snap := office()
	snap.Subnets = append(snap.Subnets, office6().Subnets...)
	s := newServer(t, dhcpsrv.Config{}, snap)
	a := newClient(t, s, hostMAC, dhcpv4.WithOption(dhcpv4.OptHostName("Node-7"))).dora()
	b := newClient(t, s, macOf(1)).dora()
	far := newClient(t, s, macOf(2), relayFrom(ip("198.51.100.1"))).dora()
	six := ip(addrs(newClient6(t, s, "02:00:00:00:00:07").bind(ia(1)))[0])
	if err := s.Release(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	sorted := func(as ...netip.Addr) []netip.Addr {
		slices.SortFunc(as, netip.Addr.Compare)
		return as
	}
	for name, tt := range map[string]struct {
		filters []dhcpsrv.LeaseFilter
		want    []netip.Addr
	}{
		"all":      {nil, sorted(a, b, far, six)},
		"zero":     {[]dhcpsrv.LeaseFilter{{}}, sorted(a, b, far, six)},
		"subnet":   {[]dhcpsrv.LeaseFilter{{Subnet: "far"}}, sorted(far)},
		"MAC":      {[]dhcpsrv.LeaseFilter{{MAC: hostMAC}}, sorted(a, six)},
		"name":     {[]dhcpsrv.LeaseFilter{{Hostname: "node-7"}}, sorted(a)},
		"state":    {[]dhcpsrv.LeaseFilter{{State: dhcpsrv.Ended}}, sorted(b)},
		"prefix":   {[]dhcpsrv.LeaseFilter{{Prefix: netip.MustParsePrefix("192.0.2.0/24")}}, sorted(a, b)},
		"prefix 6": {[]dhcpsrv.LeaseFilter{{Prefix: netip.MustParsePrefix("2001:db8::/32")}}, sorted(six)},
		"two":      {[]dhcpsrv.LeaseFilter{{Subnet: "office"}, {State: dhcpsrv.Bound}}, sorted(a)},
		"none":     {[]dhcpsrv.LeaseFilter{{Subnet: "attic"}}, nil},
	} {
		var got []netip.Addr
		for l := range s.Leases(tt.filters...) {
			got = append(got, l.Addr)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	for range s.Leases() {
		break
	}
}
