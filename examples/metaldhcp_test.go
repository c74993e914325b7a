package examples_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/gomaas/maas/dhcpsrv"
)

// metal is the DHCPv6 service of a bare-metal cloud: addresses are made of the network and the MAC,
// and are noted for an IPAM; UEFI HTTP boot gets the URL of an image for the machine, PXE another
// one; out-of-band controllers of known vendors are announced; a DPU has a fixed address.
type metal struct {
	Network netip.Prefix
	Image   func(uuid []byte) string // of the machine
	DPU     map[string]netip.Addr    // by MAC
	OOB     []string                 // MAC prefixes of out-of-band controllers

	mu        sync.Mutex
	noted     map[netip.Addr]string // MACs, for the IPAM
	endpoints []string              // MACs of controllers
}

// LookupHost decides about one client. It may take its time: no other client waits.
func (m *metal) LookupHost(_ context.Context, q dhcpsrv.HostQuery) (dhcpsrv.Host, error) {
	if len(q.MAC) != 6 {
		return dhcpsrv.Host{Action: dhcpsrv.HostIgnore}, nil
	}
	host := dhcpsrv.Host{Addr: m.eui64(q.MAC)}
	if fixed, ok := m.DPU[q.MAC.String()]; ok {
		host.Addr = fixed
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.noted[host.Addr] = q.MAC.String()
	for _, prefix := range m.OOB {
		if strings.HasPrefix(q.MAC.String(), prefix) && !slices.Contains(m.endpoints, q.MAC.String()) {
			m.endpoints = append(m.endpoints, q.MAC.String())
		}
	}
	switch {
	case slices.Contains(q.Arch, 16): // UEFI x64 over HTTP
		host.Boot = dhcpsrv.BootAnswer{File: m.Image(q.ClientUUID)}
	case len(q.Arch) > 0:
		host.Boot = dhcpsrv.BootAnswer{File: "tftp://[2001:db8::1]/ipxe.efi"}
	}
	return host, nil
}

// eui64 returns the address of a MAC in the network (RFC 4291 appendix A).
func (m *metal) eui64(mac net.HardwareAddr) netip.Addr {
	a := m.Network.Addr().As16()
	copy(a[8:], []byte{mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]})
	return netip.AddrFrom16(a)
}

func TestMetalDHCP(t *testing.T) {
	m := &metal{
		Network: netip.MustParsePrefix("2001:db8::/64"), Image: func([]byte) string { return "http://[2001:db8::1]/image.efi" }, noted: map[netip.Addr]string{},
		DPU: map[string]netip.Addr{"02:00:00:00:00:0d": netip.MustParseAddr("2001:db8::d")}, OOB: []string{"02:bb:"},
	}
	server, err := dhcpsrv.New(dhcpsrv.Config{Hosts: m})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{Name: "metal", Prefix: m.Network, Link: "eth0", Server: netip.MustParseAddr("2001:db8::1")}}}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		mac       string
		arch      iana.Arch
		addr, url string
	}{
		{"02:00:00:00:00:01", iana.EFI_X86_64_HTTP, "2001:db8::ff:fe00:1", "http://[2001:db8::1]/image.efi"},
		{"02:00:00:00:00:02", iana.EFI_X86_64, "2001:db8::ff:fe00:2", "tftp://[2001:db8::1]/ipxe.efi"},
		{"02:00:00:00:00:0d", 0xffff, "2001:db8::d", ""},
		{"02:bb:00:00:00:03", 0xffff, "2001:db8::bb:ff:fe00:3", ""},
	} {
		mac, err := net.ParseMAC(test.mac)
		if err != nil {
			t.Fatal(err)
		}
		solicit := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeSolicit, TransactionID: dhcpv6.TransactionID{1, 2, 3}}
		solicit.AddOption(dhcpv6.OptClientID(&dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: mac}))
		solicit.AddOption(&dhcpv6.OptIANA{IaId: [4]byte{1}})
		solicit.AddOption(dhcpv6.OptRequestedOption(dhcpv6.OptionBootfileURL))
		if test.arch != 0xffff {
			solicit.AddOption(dhcpv6.OptClientArchType(test.arch))
		}
		if test.arch == iana.EFI_X86_64_HTTP {
			solicit.AddOption(&dhcpv6.OptVendorClass{EnterpriseNumber: 343, Data: [][]byte{[]byte("HTTPClient:Arch:00016:UNDI:003001")}})
		}
		reply, ok := server.Handle6(t.Context(), dhcpsrv.Packet{
			Data: solicit.ToBytes(), Link: "eth0", Src: netip.MustParseAddrPort("[fe80::99]:546"), Dst: netip.MustParseAddr("ff02::1:2"),
		})
		if !ok {
			t.Errorf("%s has no answer", test.mac)
			continue
		}
		got, err := dhcpv6.MessageFromBytes(reply.Data)
		if err != nil {
			t.Fatal(err)
		}
		ia := got.Options.OneIANA()
		if ia == nil || len(ia.Options.Addresses()) != 1 || ia.Options.OneAddress().IPv6Addr.String() != test.addr || got.Options.BootFileURL() != test.url {
			t.Errorf("%s: %v, want %s and %q", test.mac, got.Summary(), test.addr, test.url)
		}
	}
	if len(m.noted) != 4 || !slices.Equal(m.endpoints, []string{"02:bb:00:00:00:03"}) {
		t.Errorf("noted %v, endpoints %v", m.noted, m.endpoints)
	}
}
