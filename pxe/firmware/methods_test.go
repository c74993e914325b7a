package firmware_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/pxe/firmware"
)

var (
	testMAC = net.HardwareAddr{0x52, 0x54, 0, 0x77, 0xe1, 0x97}
	at4     = firmware.Endpoint{Addr: netip.MustParseAddr("10.77.0.1")}
	at6     = firmware.Endpoint{Addr: netip.MustParseAddr("fd77::1")}
)

// Every row of the table, with what its firmware says in DHCP, over IPv4 and
// IPv6, and what it is handed; "-" is nothing at all.
func TestMethodTable(t *testing.T) {
	pxeClass := func(arch string) string { return "PXEClient:Arch:" + arch + ":UNDI:003000" }
	tests := []struct {
		method     string
		client     firmware.Client
		file, six  string
		class      string
		pathPrefix string
	}{
		{"ipxe", firmware.Client{Arch: []firmware.Arch{0}, VendorClass: pxeClass("00000"), UserClasses: []string{"iPXE"}, IPXE: true},
			"http://10.77.0.1:5248/boot/52-54-00-77-e1-97/script.ipxe?arch=0", "http://[fd77::1]:5248/boot/52-54-00-77-e1-97/script.ipxe?arch=0", "", ""},
		{"uefi-amd64-http", firmware.Client{Arch: []firmware.Arch{16}, VendorClass: "HTTPClient:Arch:00016:UNDI:003000"},
			"http://10.77.0.1:5248/snponly.efi", "http://[fd77::1]:5248/snponly.efi", "HTTPClient", ""},
		{"uefi-arm64-http", firmware.Client{Arch: []firmware.Arch{19}, VendorClass: "HTTPClient:Arch:00019:UNDI:003000"},
			"http://10.77.0.1:5248/snponly-arm64.efi", "http://[fd77::1]:5248/snponly-arm64.efi", "HTTPClient", ""},
		{"amd64-uboot-efi", firmware.Client{Arch: []firmware.Arch{7}, VendorClass: pxeClass("00007"), UBoot: true}, "grubx64.efi", "tftp://[fd77::1]/grubx64.efi", "", ""},
		{"arm64-uboot-efi", firmware.Client{Arch: []firmware.Arch{11}, VendorClass: pxeClass("00011"), UBoot: true}, "grubaa64.efi", "tftp://[fd77::1]/grubaa64.efi", "", ""},
		{"uefi-amd64-pxe", firmware.Client{Arch: []firmware.Arch{7}, VendorClass: pxeClass("00007")}, "shimx64.efi", "tftp://[fd77::1]/shimx64.efi", "", ""},
		{"uefi-arm64-pxe", firmware.Client{Arch: []firmware.Arch{11}, VendorClass: pxeClass("00011")}, "shimaa64.efi", "tftp://[fd77::1]/shimaa64.efi", "", ""},
		{"uefi-i386-pxe", firmware.Client{Arch: []firmware.Arch{6}, VendorClass: pxeClass("00006")}, "shimia32.efi", "tftp://[fd77::1]/shimia32.efi", "", ""},
		{"uefi-riscv64-http", firmware.Client{Arch: []firmware.Arch{28}, VendorClass: "HTTPClient:Arch:00028:UNDI:003000"},
			"http://10.77.0.1:5248/snponly-riscv64.efi", "http://[fd77::1]:5248/snponly-riscv64.efi", "HTTPClient", ""},
		{"uefi-riscv64-pxe", firmware.Client{Arch: []firmware.Arch{27}, VendorClass: pxeClass("00027")}, "grubriscv64.efi", "tftp://[fd77::1]/grubriscv64.efi", "", ""},
		{"uefi-loong64-http", firmware.Client{Arch: []firmware.Arch{40}, VendorClass: "HTTPClient:Arch:00040:UNDI:003000"},
			"http://10.77.0.1:5248/snponly-loong64.efi", "http://[fd77::1]:5248/snponly-loong64.efi", "HTTPClient", ""},
		{"uefi-loong64-pxe", firmware.Client{Arch: []firmware.Arch{39}, VendorClass: pxeClass("00039")}, "grubloongarch64.efi", "tftp://[fd77::1]/grubloongarch64.efi", "", ""},
		{"onie", firmware.Client{VendorClass: "onie_vendor:x86_64-acme_s1-r0", UserClasses: []string{"onie_dhcp_user_class"}},
			"http://10.77.0.1:5248/boot/52-54-00-77-e1-97/onie-installer", "-", "", ""},
		{"powernv", firmware.Client{Arch: []firmware.Arch{14}}, "", "-", "", "ppc64el/"},
		{"s390x", firmware.Client{Arch: []firmware.Arch{31}}, "", "-", "", "s390x/"},
		{"arm64-uboot", firmware.Client{Arch: []firmware.Arch{22}, VendorClass: "U-Boot.armv8"}, "", "-", "", ""},
		{"armhf-uboot", firmware.Client{Arch: []firmware.Arch{21}, VendorClass: "U-Boot.armv7"}, "", "-", "", ""},
		{"raspberry-pi", firmware.Client{Arch: []firmware.Arch{41}, VendorClass: pxeClass("00041")}, "", "-", "", ""},
		{"bios-pxe", firmware.Client{Arch: []firmware.Arch{0}, VendorClass: pxeClass("00000")}, "undionly.kpxe", "-", "", ""},
		{"default", firmware.Client{Arch: []firmware.Arch{99}, VendorClass: pxeClass("00099")}, "undionly.kpxe", "-", "", ""},
		{"bios-pxelinux", firmware.Client{Arch: []firmware.Arch{0}, VendorClass: pxeClass("00000")}, "pxelinux.0", "-", "", ""},
		{"bios-lpxelinux", firmware.Client{Arch: []firmware.Arch{0}, VendorClass: pxeClass("00000")}, "lpxelinux.0", "-", "", ""},
		{"uefi-amd64-ipxe", firmware.Client{Arch: []firmware.Arch{7}, VendorClass: pxeClass("00007")}, "snponly.efi", "tftp://[fd77::1]/snponly.efi", "", ""},
		{"uefi-arm64-ipxe", firmware.Client{Arch: []firmware.Arch{11}, VendorClass: pxeClass("00011")}, "snponly-arm64.efi", "tftp://[fd77::1]/snponly-arm64.efi", "", ""},
		{"uefi-riscv64-ipxe", firmware.Client{Arch: []firmware.Arch{27}, VendorClass: pxeClass("00027")}, "snponly-riscv64.efi", "tftp://[fd77::1]/snponly-riscv64.efi", "", ""},
		{"uefi-loong64-ipxe", firmware.Client{Arch: []firmware.Arch{39}, VendorClass: pxeClass("00039")}, "snponly-loong64.efi", "tftp://[fd77::1]/snponly-loong64.efi", "", ""},
		{"uefi-http-uki", firmware.Client{Arch: []firmware.Arch{16}, VendorClass: "HTTPClient:Arch:00016:UNDI:003000"},
			"http://10.77.0.1:5248/boot/52-54-00-77-e1-97/uki.efi", "http://[fd77::1]:5248/boot/52-54-00-77-e1-97/uki.efi", "HTTPClient", ""},
		{"uefi-uki", firmware.Client{Arch: []firmware.Arch{7}, VendorClass: pxeClass("00007")},
			"boot/52-54-00-77-e1-97/uki.efi", "tftp://[fd77::1]/boot/52-54-00-77-e1-97/uki.efi", "", ""},
	}
	var tested, rows []string
	for _, m := range append(firmware.Methods(), firmware.Alternatives()...) {
		rows = append(rows, m.Name)
		if m.Source == "" || len(m.Configs) == 0 || m.Proto == "" {
			t.Errorf("row %+v is incomplete", m)
		}
	}
	for _, tt := range tests {
		tested = append(tested, tt.method)
		tt.client.MAC = testMAC
		table := firmware.Methods()
		for _, m := range firmware.Alternatives() {
			if m.Name == tt.method {
				table = append([]firmware.Method{m}, table...)
			}
		}
		o, ok := firmware.Select(table, tt.client, at4)
		if !ok || o.Method.Name != tt.method || o.File != tt.file || o.VendorClass != tt.class || o.PathPrefix != tt.pathPrefix || o.NextServer != at4.Addr {
			t.Errorf("%s: handed %+v, want %s", tt.method, o, tt.file)
		}
		if (o.DefaultURL != "") != (tt.method == "onie") || o.NoProxyWait != (tt.method == "ipxe") {
			t.Errorf("%s: %+v", tt.method, o)
		}
		if o, ok = firmware.Select(table, tt.client, at6); ok == (tt.six == "-") || ok && o.File != tt.six {
			t.Errorf("%s over IPv6: handed %q, want %q", tt.method, o.File, tt.six)
		}
	}
	if diff := cmp.Diff(rows, tested); diff != "" {
		t.Errorf("rows without a test (-rows +tests)\n%s", diff)
	}
	if _, ok := firmware.Select(firmware.Methods(), firmware.Client{VendorClass: "udhcp 1.35.0"}, at4); ok {
		t.Error("a system that does not boot from the network was handed a loader")
	}
	if m, ok := firmware.MethodNamed("none"); ok {
		t.Errorf("found %+v", m)
	}
}

// A loader that a profile asks for is taken where the firmware has a row for it; iPXE that runs
// already stays.
func TestPrefer(t *testing.T) {
	pxe := func(arch firmware.Arch) firmware.Client {
		return firmware.Client{MAC: testMAC, Arch: []firmware.Arch{arch}, VendorClass: "PXEClient:Arch"}
	}
	web := func(arch firmware.Arch) firmware.Client {
		return firmware.Client{MAC: testMAC, Arch: []firmware.Arch{arch}, VendorClass: "HTTPClient:Arch"}
	}
	running := pxe(7)
	running.UserClasses = []string{"iPXE"}
	for _, tt := range []struct {
		client          firmware.Client
		ipxe, grub, uki string
	}{
		{pxe(7), "uefi-amd64-ipxe", "uefi-amd64-pxe", "uefi-uki"},
		{pxe(9), "uefi-amd64-ipxe", "uefi-amd64-pxe", "uefi-uki"},
		{pxe(11), "uefi-arm64-ipxe", "uefi-arm64-pxe", "uefi-uki"},
		{pxe(6), "uefi-i386-pxe", "uefi-i386-pxe", "uefi-uki"}, // iPXE for it has no row
		{pxe(27), "uefi-riscv64-ipxe", "uefi-riscv64-pxe", "uefi-uki"},
		{web(16), "uefi-amd64-http", "uefi-amd64-http", "uefi-http-uki"}, // the signed GRUB has no http
		{pxe(0), "bios-pxe", "bios-pxe", "bios-pxe"},
		{pxe(99), "default", "default", "default"},
		{running, "ipxe", "ipxe", "ipxe"},
	} {
		for loader, want := range map[firmware.Language]string{firmware.IPXE: tt.ipxe, firmware.GRUB: tt.grub, firmware.UKI: tt.uki} {
			if o, _ := firmware.Select(firmware.Prefer(firmware.Methods(), loader), tt.client, at4); o.Method.Name != want {
				t.Errorf("%v with loader %s: %s, want %s", tt.client.Arch, loader, o.Method.Name, want)
			}
		}
	}
}
