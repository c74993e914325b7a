package pxe_test

import (
	"errors"
	"io/fs"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gomaas/maas/pxe"
	"github.com/google/go-cmp/cmp"
)

var (
	at4 = pxe.Endpoint{Addr: netip.MustParseAddr("10.77.0.1")}
	at6 = pxe.Endpoint{Addr: netip.MustParseAddr("fd77::1")}
)

// Every row of the table, with what its firmware says in DHCP, over IPv4 and
// IPv6, and what it is handed; "-" is nothing at all.
func TestMethodTable(t *testing.T) {
	pxeClass := func(arch string) string { return "PXEClient:Arch:" + arch + ":UNDI:003000" }
	tests := []struct {
		method     string
		client     pxe.Client
		file, six  string
		class      string
		pathPrefix string
	}{
		{"ipxe", pxe.Client{Arch: []pxe.Arch{0}, VendorClass: pxeClass("00000"), UserClasses: []string{"iPXE"}, IPXE: true},
			"http://10.77.0.1:5248/boot/52-54-00-77-e1-97/script.ipxe?arch=0", "http://[fd77::1]:5248/boot/52-54-00-77-e1-97/script.ipxe?arch=0", "", ""},
		{"uefi-amd64-http", pxe.Client{Arch: []pxe.Arch{16}, VendorClass: "HTTPClient:Arch:00016:UNDI:003000"},
			"http://10.77.0.1:5248/snponly.efi", "http://[fd77::1]:5248/snponly.efi", "HTTPClient", ""},
		{"uefi-arm64-http", pxe.Client{Arch: []pxe.Arch{19}, VendorClass: "HTTPClient:Arch:00019:UNDI:003000"},
			"http://10.77.0.1:5248/snponly-arm64.efi", "http://[fd77::1]:5248/snponly-arm64.efi", "HTTPClient", ""},
		{"uefi-amd64-pxe", pxe.Client{Arch: []pxe.Arch{7}, VendorClass: pxeClass("00007")}, "shimx64.efi", "tftp://[fd77::1]/shimx64.efi", "", ""},
		{"uefi-arm64-pxe", pxe.Client{Arch: []pxe.Arch{11}, VendorClass: pxeClass("00011")}, "shimaa64.efi", "tftp://[fd77::1]/shimaa64.efi", "", ""},
		{"uefi-i386-pxe", pxe.Client{Arch: []pxe.Arch{6}, VendorClass: pxeClass("00006")}, "shimia32.efi", "tftp://[fd77::1]/shimia32.efi", "", ""},
		{"uefi-riscv64-http", pxe.Client{Arch: []pxe.Arch{28}, VendorClass: "HTTPClient:Arch:00028:UNDI:003000"},
			"http://10.77.0.1:5248/snponly-riscv64.efi", "http://[fd77::1]:5248/snponly-riscv64.efi", "HTTPClient", ""},
		{"uefi-riscv64-pxe", pxe.Client{Arch: []pxe.Arch{27}, VendorClass: pxeClass("00027")}, "grubriscv64.efi", "tftp://[fd77::1]/grubriscv64.efi", "", ""},
		{"onie", pxe.Client{VendorClass: "onie_vendor:x86_64-acme_s1-r0", UserClasses: []string{"onie_dhcp_user_class"}},
			"http://10.77.0.1:5248/boot/52-54-00-77-e1-97/onie-installer", "-", "", ""},
		{"powernv", pxe.Client{Arch: []pxe.Arch{14}}, "", "-", "", "ppc64el/"},
		{"s390x", pxe.Client{Arch: []pxe.Arch{31}}, "", "-", "", "s390x/"},
		{"arm64-uboot", pxe.Client{Arch: []pxe.Arch{22}, VendorClass: "U-Boot.armv8"}, "", "-", "", ""},
		{"armhf-uboot", pxe.Client{Arch: []pxe.Arch{21}, VendorClass: "U-Boot.armv7"}, "", "-", "", ""},
		{"bios-pxe", pxe.Client{Arch: []pxe.Arch{0}, VendorClass: pxeClass("00000")}, "undionly.kpxe", "-", "", ""},
		{"default", pxe.Client{Arch: []pxe.Arch{99}, VendorClass: pxeClass("00099")}, "undionly.kpxe", "-", "", ""},
		{"bios-pxelinux", pxe.Client{Arch: []pxe.Arch{0}, VendorClass: pxeClass("00000")}, "pxelinux.0", "-", "", ""},
		{"bios-lpxelinux", pxe.Client{Arch: []pxe.Arch{0}, VendorClass: pxeClass("00000")}, "lpxelinux.0", "-", "", ""},
		{"uefi-amd64-ipxe", pxe.Client{Arch: []pxe.Arch{7}, VendorClass: pxeClass("00007")}, "snponly.efi", "tftp://[fd77::1]/snponly.efi", "", ""},
	}
	var tested, rows []string
	for _, m := range append(pxe.Methods(), pxe.Alternatives()...) {
		rows = append(rows, m.Name)
		if m.Source == "" || len(m.Configs) == 0 || m.Proto == "" {
			t.Errorf("row %+v is incomplete", m)
		}
	}
	for _, tt := range tests {
		tested = append(tested, tt.method)
		tt.client.MAC = testMAC
		table := pxe.Methods()
		for _, m := range pxe.Alternatives() {
			if m.Name == tt.method {
				table = append([]pxe.Method{m}, table...)
			}
		}
		o, ok := pxe.Select(table, tt.client, at4)
		if !ok || o.Method.Name != tt.method || o.File != tt.file || o.VendorClass != tt.class || o.PathPrefix != tt.pathPrefix || o.NextServer != at4.Addr {
			t.Errorf("%s: handed %+v, want %s", tt.method, o, tt.file)
		}
		if (o.DefaultURL != "") != (tt.method == "onie") || o.NoProxyWait != (tt.method == "ipxe") {
			t.Errorf("%s: %+v", tt.method, o)
		}
		if o, ok = pxe.Select(table, tt.client, at6); ok == (tt.six == "-") || ok && o.File != tt.six {
			t.Errorf("%s over IPv6: handed %q, want %q", tt.method, o.File, tt.six)
		}
	}
	if diff := cmp.Diff(rows, tested); diff != "" {
		t.Errorf("rows without a test (-rows +tests)\n%s", diff)
	}
	if _, ok := pxe.Select(pxe.Methods(), pxe.Client{VendorClass: "udhcp 1.35.0"}, at4); ok {
		t.Error("a system that does not boot from the network was handed a loader")
	}
	if m, ok := pxe.MethodNamed("none"); ok {
		t.Errorf("found %+v", m)
	}
}

// A table of one's own replaces the quirks, and nonsense in it is refused.
func TestQuirksOfOnesOwn(t *testing.T) {
	resolver := pxe.Static(pxe.Profile{Kind: pxe.Local})
	for text, q := range map[string]pxe.Quirk{
		`odd: pattern "[" is not a glob`: {Name: "odd", Effect: pxe.OptionalFile, Path: "["},
		`odd: effect "" is not known`:    {Name: "odd"},
	} {
		if _, err := pxe.New(pxe.Config{Resolver: resolver, Quirks: []pxe.Quirk{q}}); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want %s", err, text)
		}
	}
	var events []pxe.Event
	s, err := pxe.New(pxe.Config{Resolver: resolver, Loaders: fstest.MapFS{}, Events: func(e pxe.Event) { events = append(events, e) },
		Quirks: []pxe.Quirk{{Name: "own", Effect: pxe.OptionalFile, Path: "vendor.cfg"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/vendor.cfg", "/revocations_sku.efi"} {
		s.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", name, nil))
	}
	if len(events) != 2 || !events[0].Absent || events[1].Absent {
		t.Errorf("events %+v", events)
	}
}

// Every quirk, by what it changes.
func TestQuirks(t *testing.T) {
	absent := map[string]string{ // a file that the quirk allows to be absent
		"shim-revocations": "revocations_sku.efi", "shim-certificate": "shim_certificate_0.efi", "grub-lists": "/grub/x86_64-efi/command.lst",
		"grub-platform-config": "grub/x86_64-efi/grub.cfg-0A4D00BA", "pxelinux-search": "pxelinux.cfg/0A4D", "uboot-script": "boot.scr.uimg",
		"onie-search": "onie-updater-x86_64",
	}
	r := newRig(t)
	for _, q := range pxe.Quirks() {
		if q.Name == "" || q.Source == "" || q.Effect == "" {
			t.Errorf("incomplete: %+v", q)
		}
		switch q.Effect {
		case pxe.NoProxyWait:
			if o, ok := pxe.Select(pxe.Methods(), pxe.Client{UserClasses: []string{"iPXE"}}, at4); !ok || !o.NoProxyWait {
				t.Errorf("%s: %+v", q.Name, o)
			}
		case pxe.OptionalFile:
			if q.Name == "ipxe-autoexec" {
				continue // TestAutoexec: it is served
			}
			if _, err := r.tftpGet(absent[q.Name]); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", q.Name, err)
			}
			if e := <-r.events; !e.Absent || e.Err != "" || absent[q.Name] == "" {
				t.Errorf("%s: event %+v", q.Name, e)
			}
		case pxe.SizeProbe: // TestEvents probes
		default:
			t.Errorf("%s: effect %q is not tested", q.Name, q.Effect)
		}
	}
}

// A switch gets the file of its Chain profile, by each of the names it tries, for every client that
// sends one.
func TestONIE(t *testing.T) {
	r := newRig(t)
	r.answer(pxe.Profile{Name: "nos", Kind: pxe.Chain, URL: "vmlinuz"}, nil)
	for _, tt := range []struct{ path, header string }{
		{"/boot/52-54-00-77-e1-97/onie-installer", ""},
		{"/onie-installer-x86_64-acme_s1-r0", testMAC.String()},
		{"/52-54-00-77-e1-97/onie-installer", ""},
	} {
		var header []string
		if tt.header != "" {
			header = []string{"ONIE-ETH-ADDR", tt.header, "ONIE-ARCH", "x86_64"}
		}
		resp, body := r.do("GET", tt.path, header...)
		if resp.StatusCode != 200 || len(body) != 300_000 {
			t.Errorf("%s: %s, %d bytes", tt.path, resp.Status, len(body))
		}
		if e := <-r.events; e.MAC.String() != testMAC.String() || e.Profile != "nos" || e.Method != "onie" || e.Bytes != 300_000 {
			t.Errorf("%s: event %+v", tt.path, e)
		}
	}
	if got, err := r.tftpGet("52-54-00-77-e1-97/onie-installer-x86_64"); err != nil || len(got) != 300_000 {
		t.Errorf("by TFTP: %d bytes, %v", len(got), err)
	}
	<-r.events
	for _, p := range []pxe.Profile{{Kernel: "vmlinuz"}, {Kind: pxe.Chain, URL: "http://10.0.0.1/nos"}} {
		r.answer(p, nil)
		if resp, _ := r.do("GET", "/onie-installer"); resp.StatusCode != 404 {
			t.Errorf("profile %+v: %s", p, resp.Status)
		}
		if e := <-r.events; !e.Absent {
			t.Errorf("event %+v", e)
		}
	}
}

// U-Boot asks for default-arm on 64-bit boards, and pxelinux names where it is no BIOS that asks: DHCP knows better.
func TestPXELinuxArchitecture(t *testing.T) {
	r := newRig(t)
	want := []string{"amd64 ", "arm64 arm64-uboot", "arm64 arm64-uboot", "ppc64el powernv", "s390x s390x"}
	get := func(name string) {
		if _, err := r.tftpGet(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	get("pxelinux.cfg/01-52-54-00-77-e1-97")
	r.described.Remember(pxe.Client{MAC: testMAC, Arch: []pxe.Arch{pxe.ArchARM64UBoot}, VendorClass: "U-Boot.armv8"})
	r.mu.Lock()
	r.identify[netip.MustParseAddr("127.0.0.1")] = testMAC
	r.mu.Unlock()
	get("pxelinux.cfg/01-52-54-00-77-e1-97")
	get("pxelinux.cfg/default-arm")
	get("ppc64el/pxelinux.cfg/01-52-54-00-77-e1-98")
	get("s390x/pxelinux.cfg/01-52-54-00-77-e1-98")
	for i, q := range r.asked() {
		got := q.Arch.String() + " " + q.Method
		if got != want[i] {
			t.Errorf("request %d: %s, want %s", i, got, want[i])
		}
	}
}
