package dhcpsrv_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/dhcpsrv"
)

var update = flag.Bool("update", false, "write golden files anew")

// firmwarePackets reads what real firmware and clients sent.
func firmwarePackets(t testing.TB, path string) (names []string, packets [][]byte) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 || fields[0] == "#" {
			continue
		}
		data, err := hex.DecodeString(fields[2])
		if err != nil {
			t.Fatalf("%s: %v", fields[0], err)
		}
		names, packets = append(names, fields[0]+" "+fields[1]), append(packets, data)
	}
	return names, packets
}

// lab is the network the packets were captured in.
func lab() dhcpsrv.Snapshot {
	srv := netip.MustParseAddr("10.77.0.1")
	common := func(name, prefix, link, first, last string) dhcpsrv.Subnet {
		return dhcpsrv.Subnet{
			Name: name, Prefix: netip.MustParsePrefix(prefix), Link: link, Server: srv, Routers: []netip.Addr{srv}, DNS: []netip.Addr{srv},
			Domain: "lab.test", Pools: []dhcpsrv.Pool{{First: ip(first), Last: ip(last)}},
		}
	}
	return dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{
		common("local", "10.77.0.0/24", "eth0", "10.77.0.100", "10.77.0.199"),
		common("relayed", "10.77.1.0/24", "", "10.77.1.100", "10.77.1.199"),
	}}
}

// bootByFirmware stands for an embedder's table of boot methods.
func bootByFirmware(_ context.Context, q dhcpsrv.BootQuery) (dhcpsrv.BootAnswer, bool) {
	switch {
	case strings.Join(q.UserClasses, ",") == "iPXE":
		return dhcpsrv.BootAnswer{File: "http://10.77.0.1:5248/boot.ipxe", Options: dhcpsrv.Options{{Code: 175, Data: []byte{176, 1, 1}}}}, true
	case strings.HasPrefix(q.VendorClass, "HTTPClient"):
		return dhcpsrv.BootAnswer{File: "http://10.77.0.1:5248/shimx64.efi", VendorClass: "HTTPClient"}, true
	case len(q.Arch) > 0:
		return dhcpsrv.BootAnswer{File: fmt.Sprintf("arch-%d.efi", q.Arch[0]), VendorClass: "PXEClient"}, true
	}
	return dhcpsrv.BootAnswer{}, false
}

// TestFirmware answers the packets and compares the replies with the golden file.
func TestFirmware(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{Boot: dhcpsrv.BootSelectorFunc(bootByFirmware)}, lab())
	names, packets := firmwarePackets(t, "testdata/firmware.txt")
	var out strings.Builder
	for i, data := range packets {
		p := dhcpsrv.Packet{Data: data, Link: "eth0"}
		x := s.Explain(context.Background(), p)
		r, ok := s.Handle(context.Background(), p)
		fmt.Fprintf(&out, "%s: %s %v by %s, lease %v, to %v %v, next %v, file %q\n", names[i], x.Reply, x.Addr, x.AddrBy, x.Lease, x.To, x.HW, x.Next, x.BootFile)
		for _, o := range x.Options {
			fmt.Fprintf(&out, "\t%d %x\n", o.Code, o.Data)
		}
		if !ok || r.Dst != x.To {
			t.Errorf("%s: answered %v to %v, explained as %s to %v (%v)", names[i], ok, r.Dst, x.Reply, x.To, x.Reason)
		}
	}
	compareGolden(t, "testdata/firmware.golden", out.String())
}

func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("replies (-want +got)\n%s", diff)
	}
}
