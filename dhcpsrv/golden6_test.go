package dhcpsrv_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomaas/maas/dhcpsrv"
)

// lab6 is the network the packets of IPv6 were captured in.
func lab6() dhcpsrv.Snapshot {
	srv := ip("fd77::1")
	return dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: "local", Prefix: netip.MustParsePrefix("fd77::/64"), Link: "eth0", Server: srv, DNS: []netip.Addr{srv}, Domain: "lab.test",
		Pools: []dhcpsrv.Pool{{First: ip("fd77::1000"), Last: ip("fd77::1fff")}},
	}, {
		Name: "relayed", Prefix: netip.MustParsePrefix("fd77:1::/64"), Server: srv, DNS: []netip.Addr{srv}, NTP: []netip.Addr{srv},
		Pools: []dhcpsrv.Pool{{First: ip("fd77:1::1000"), Last: ip("fd77:1::1fff")}},
	}}}
}

// bootByFirmware6 stands for an embedder's table of boot methods.
func bootByFirmware6(_ context.Context, q dhcpsrv.BootQuery) (dhcpsrv.BootAnswer, bool) {
	switch {
	case strings.Join(q.UserClasses, ",") == "iPXE":
		return dhcpsrv.BootAnswer{File: "http://[fd77::1]:5248/boot.ipxe", Params: []string{"mac=" + q.MAC.String()}}, true
	case strings.HasPrefix(q.VendorClass, "HTTPClient"):
		return dhcpsrv.BootAnswer{File: "http://[fd77::1]:5248/shimx64.efi"}, true
	case len(q.Arch) > 0:
		return dhcpsrv.BootAnswer{File: fmt.Sprintf("arch-%d.efi", q.Arch[0])}, true
	}
	return dhcpsrv.BootAnswer{}, false
}

// TestFirmware6 answers the packets and compares the replies with the golden file. Those that name the server of the capture
// are left to it.
func TestFirmware6(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{Boot: dhcpsrv.BootSelectorFunc(bootByFirmware6)}, lab6())
	names, packets := firmwarePackets(t, "testdata/firmware6.txt")
	var out strings.Builder
	for i, data := range packets {
		p := dhcpsrv.Packet{Data: data, Link: "eth0", Src: netip.MustParseAddrPort("[fe80::5054:ff:fe77:e197]:546"), Dst: ip("ff02::1:2")}
		x := s.Explain6(context.Background(), p)
		r, ok := s.Handle6(context.Background(), p)
		if ok != (x.Reply != "") || r.Dst != x.To {
			t.Errorf("%s: answered %v to %v, explained as %s to %v", names[i], ok, r.Dst, x.Reply, x.To)
		}
		if !ok {
			fmt.Fprintf(&out, "%s: silence, %v\n", names[i], x.Reason)
			continue
		}
		fmt.Fprintf(&out, "%s: %s %v by %s, lease %v, file %q\n\t%x\n", names[i], x.Reply, x.Addr, x.AddrBy, x.Lease, x.BootFile, r.Data)
	}
	compareGolden(t, "testdata/firmware6.golden", out.String())
}
