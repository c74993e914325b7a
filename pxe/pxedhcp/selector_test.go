package pxedhcp_test

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/pxe/pxedhcp"
)

var mac = net.HardwareAddr{0x52, 0x54, 0, 0x77, 0xe1, 0x97}

// The queries are those of real firmware.
func TestSelectBoot(t *testing.T) {
	server := netip.MustParseAddr("10.77.0.1")
	onieURL := "http://10.77.0.1:5248/boot/52-54-00-77-e1-97/onie-installer"
	noWait := dhcpsrv.Options{{Code: 175, Data: []byte{176, 1, 1}}}
	tests := []struct {
		name string
		q    dhcpsrv.BootQuery
		want dhcpsrv.BootAnswer // zero means no boot data
	}{
		{"ipxe-bios", dhcpsrv.BootQuery{Arch: []uint16{0}, VendorClass: "PXEClient:Arch:00000:UNDI:002001", UserClasses: []string{"iPXE"}, HasIPXE: true},
			dhcpsrv.BootAnswer{File: "http://10.77.0.1:5248/boot/52-54-00-77-e1-97/script.ipxe?arch=0", Options: noWait}},
		{"ipxe-uefi-by-175", dhcpsrv.BootQuery{Arch: []uint16{7}, VendorClass: "PXEClient:Arch:00007:UNDI:003010", HasIPXE: true},
			dhcpsrv.BootAnswer{File: "http://10.77.0.1:5248/boot/52-54-00-77-e1-97/script.ipxe?arch=7", Options: noWait}},
		{"bios", dhcpsrv.BootQuery{Arch: []uint16{0}, VendorClass: "PXEClient:Arch:00000:UNDI:002001"},
			dhcpsrv.BootAnswer{File: "undionly.kpxe"}},
		{"uefi", dhcpsrv.BootQuery{Arch: []uint16{7}, VendorClass: "PXEClient:Arch:00007:UNDI:003000"},
			dhcpsrv.BootAnswer{File: "shimx64.efi"}},
		{"uefi-that-says-ebc", dhcpsrv.BootQuery{Arch: []uint16{9}, VendorClass: "PXEClient:Arch:00009:UNDI:003000"},
			dhcpsrv.BootAnswer{File: "shimx64.efi"}},
		{"uefi-http", dhcpsrv.BootQuery{Arch: []uint16{16}, VendorClass: "HTTPClient:Arch:00016:UNDI:003000"},
			dhcpsrv.BootAnswer{File: "http://10.77.0.1:5248/snponly.efi", VendorClass: "HTTPClient"}},
		{"arm64", dhcpsrv.BootQuery{Arch: []uint16{11}, VendorClass: "PXEClient:Arch:00011:UNDI:003000"},
			dhcpsrv.BootAnswer{File: "shimaa64.efi"}},
		{"uboot-efi", dhcpsrv.BootQuery{Arch: []uint16{11}, VendorClass: "PXEClient:Arch:00011:UNDI:003000", NDI: []byte{1, 0, 0}},
			dhcpsrv.BootAnswer{File: "grubaa64.efi"}},
		{"arm64-http", dhcpsrv.BootQuery{Arch: []uint16{19}, VendorClass: "HTTPClient:Arch:00019:UNDI:003000"},
			dhcpsrv.BootAnswer{File: "http://10.77.0.1:5248/snponly-arm64.efi", VendorClass: "HTTPClient"}},
		{"powernv", dhcpsrv.BootQuery{Arch: []uint16{14}},
			dhcpsrv.BootAnswer{Options: dhcpsrv.Options{{Code: 210, Data: []byte("ppc64el/"), Always: true}}}},
		{"s390x", dhcpsrv.BootQuery{Arch: []uint16{31}},
			dhcpsrv.BootAnswer{Options: dhcpsrv.Options{{Code: 210, Data: []byte("s390x/"), Always: true}}}},
		{"onie", dhcpsrv.BootQuery{VendorClass: "onie_vendor:x86_64-acme_s1-r0", UserClasses: []string{"onie_dhcp_user_class"}},
			dhcpsrv.BootAnswer{File: onieURL, Options: dhcpsrv.Options{{Code: 114, Data: []byte(onieURL)}}}},
		{"unknown-firmware", dhcpsrv.BootQuery{Arch: []uint16{99}, VendorClass: "PXEClient:Arch:00099"},
			dhcpsrv.BootAnswer{File: "undionly.kpxe"}},
		{"unknown-http-firmware", dhcpsrv.BootQuery{Arch: []uint16{99}, VendorClass: "HTTPClient:Arch:00099"}, dhcpsrv.BootAnswer{}},
		{"udhcpc", dhcpsrv.BootQuery{VendorClass: "udhcp 1.35.0"}, dhcpsrv.BootAnswer{}},
		{"nothing", dhcpsrv.BootQuery{}, dhcpsrv.BootAnswer{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.q.MAC, tt.q.Server = mac, server
			got, ok := pxedhcp.New(pxedhcp.Config{}).SelectBoot(t.Context(), tt.q)
			want := tt.want
			if wantOK := want.File != "" || want.Options != nil; ok != wantOK {
				t.Fatalf("answered %t, want %t", ok, wantOK)
			} else if ok {
				want.NextServer = server
			}
			opts := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
			if diff := cmp.Diff(want, got, opts); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// The firmware of a Raspberry Pi is sent its text, as it stands in answers of other servers. A PC with
// the same class is not.
func TestRaspberryPi(t *testing.T) {
	const bios = "PXEClient:Arch:00000:UNDI:002001"
	pi := net.HardwareAddr{0xdc, 0xa6, 0x32, 1, 2, 3}
	for name, tt := range map[string]struct {
		q    dhcpsrv.BootQuery
		want bool
	}{
		"Pi 4":             {dhcpsrv.BootQuery{MAC: pi, Arch: []uint16{0}, VendorClass: bios}, true},
		"Pi 3":             {dhcpsrv.BootQuery{MAC: net.HardwareAddr{0xb8, 0x27, 0xeb, 1, 2, 3}, VendorClass: bios}, true},
		"Pi 5":             {dhcpsrv.BootQuery{MAC: net.HardwareAddr{0x2c, 0xcf, 0x67, 1, 2, 3}, Arch: []uint16{0}, VendorClass: bios}, true},
		"its own type":     {dhcpsrv.BootQuery{MAC: mac, Arch: []uint16{41}, VendorClass: "PXEClient:Arch:00041:UNDI:002001"}, true},
		"its own class":    {dhcpsrv.BootQuery{MAC: mac, VendorClass: "PXEClient:Arch:00041:UNDI:002001"}, true},
		"a PC":             {dhcpsrv.BootQuery{MAC: mac, Arch: []uint16{0}, VendorClass: bios}, false},
		"UEFI on a Pi":     {dhcpsrv.BootQuery{MAC: pi, Arch: []uint16{11}, VendorClass: "PXEClient:Arch:00011:UNDI:003000"}, false},
		"U-Boot on a Pi":   {dhcpsrv.BootQuery{MAC: pi, Arch: []uint16{22}, VendorClass: "U-Boot.armv8"}, false},
		"iPXE on a Pi":     {dhcpsrv.BootQuery{MAC: pi, Arch: []uint16{0}, VendorClass: bios, HasIPXE: true}, false},
		"no Ethernet":      {dhcpsrv.BootQuery{MAC: net.HardwareAddr{0xdc, 0xa6, 0x32}, Arch: []uint16{0}, VendorClass: bios}, false},
		"the system on it": {dhcpsrv.BootQuery{MAC: pi, VendorClass: "dhcpcd-9.4.1:Linux"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tt.q.Server = netip.MustParseAddr("10.77.0.1")
			a, _ := pxedhcp.New(pxedhcp.Config{}).SelectBoot(t.Context(), tt.q)
			var sent []byte
			for _, o := range a.Options {
				if o.Code == 43 {
					if sent = o.Data; !o.Always {
						t.Error("it is sent to those alone who ask for it")
					}
				}
			}
			if want := "\x06\x01\x03\x0a\x04\x00PXE\x00\x09\x14\x00\x00\x11Raspberry Pi Boot\x00\xff"; (string(sent) == want) != tt.want || !tt.want && sent != nil {
				t.Errorf("option 43 is %q", sent)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	var seen []firmware.Client
	s := pxedhcp.New(pxedhcp.Config{
		HTTPPort: 80,
		Server:   netip.MustParseAddr("2001:db8::5"),
		Skip:     func(c firmware.Client) bool { return c.MAC[5] == 1 },
		Seen:     func(c firmware.Client, _ firmware.Offer) { seen = append(seen, c) },
	})
	q := dhcpsrv.BootQuery{MAC: mac, UserClasses: []string{"iPXE"}, Server: netip.MustParseAddr("10.0.0.1")}
	q.ClientUUID, _ = hex.DecodeString("33221100554477668899aabbccddeeff")
	a, ok := s.SelectBoot(t.Context(), q)
	if want := "http://[2001:db8::5]:80/boot/52-54-00-77-e1-97/script.ipxe"; !ok || a.File != want {
		t.Errorf("file %q, want %q", a.File, want)
	}
	if len(seen) != 1 || seen[0].UUID != "00112233-4455-6677-8899-aabbccddeeff" {
		t.Errorf("seen %+v", seen)
	}
	if a, _ := pxedhcp.New(pxedhcp.Config{Quirks: []firmware.Quirk{}}).SelectBoot(t.Context(), q); len(a.Options) != 0 {
		t.Errorf("without quirks: %v", a.Options)
	}
	two := pxedhcp.New(pxedhcp.Config{Servers: func(dhcpsrv.BootQuery) []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::5"), netip.MustParseAddr("10.0.0.2")}
	}})
	if a, _ := two.SelectBoot(t.Context(), q); len(a.Options) != 2 || !bytes.Equal(a.Options[1].Data, []byte{10, 0, 0, 1, 10, 0, 0, 2}) {
		t.Errorf("two servers: %v", a.Options)
	}
	q.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	if _, ok := s.SelectBoot(t.Context(), q); ok {
		t.Error("a skipped machine was answered")
	}
}

// The profile of a machine, or of its subnet, chooses the loader.
func TestLoaderOfProfiles(t *testing.T) {
	linux := func(loader firmware.Language) *pxe.Profile { return &pxe.Profile{Kernel: "k", Loader: loader} }
	rules := pxe.Rules{
		Machines: map[string]pxe.Profile{firmware.FormatMAC(mac): *linux(firmware.UKI)},
		Subnets:  []pxe.SubnetRule{{Prefix: netip.MustParsePrefix("10.77.1.0/24"), Profile: linux(firmware.IPXE)}},
		Default:  linux(""),
	}
	selector := pxedhcp.New(pxedhcp.Config{Loader: pxedhcp.LoaderOf(rules)})
	for _, tt := range []struct {
		mac    net.HardwareAddr
		client string
		proxy  bool
		want   string
	}{
		{mac, "10.77.1.9", false, "boot/52-54-00-77-e1-97/uki.efi"},
		{other, "10.77.1.9", false, "snponly.efi"},
		{other, "10.77.2.9", false, "shimx64.efi"},
		{other, "10.77.2.9", true, "snponly.efi"}, // the signed GRUB hangs there
	} {
		q := dhcpsrv.BootQuery{MAC: tt.mac, Client: netip.MustParseAddr(tt.client), Server: netip.MustParseAddr("10.77.0.1"), Proxy: tt.proxy,
			Arch: []uint16{7}, VendorClass: "PXEClient:Arch:00007:UNDI:003000"}
		if a, ok := selector.SelectBoot(t.Context(), q); !ok || a.File != tt.want {
			t.Errorf("%v at %s: %q, want %q", tt.mac, tt.client, a.File, tt.want)
		}
	}
	if got := pxe.Static(*linux(firmware.GRUB)).(pxe.LoaderChooser).LoaderOf(pxe.Request{}); got.Loader != firmware.GRUB {
		t.Errorf("of a profile for all: %+v", got)
	}
}

var other = net.HardwareAddr{0x52, 0x54, 0, 0x77, 0xe1, 0x98}
