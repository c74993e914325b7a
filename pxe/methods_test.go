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
	"github.com/gomaas/maas/pxe/firmware"
)

var (
	at4 = firmware.Endpoint{Addr: netip.MustParseAddr("10.77.0.1")}
)

// A table of one's own replaces the quirks, and nonsense in it is refused.
func TestQuirksOfOnesOwn(t *testing.T) {
	resolver := pxe.Static(pxe.Profile{Kind: pxe.Local})
	for text, q := range map[string]firmware.Quirk{
		`odd: pattern "[" is not a glob`: {Name: "odd", Effect: firmware.OptionalFile, Path: "["},
		`odd: effect "" is not known`:    {Name: "odd"},
	} {
		if _, err := pxe.New(pxe.Config{Resolver: resolver, Quirks: []firmware.Quirk{q}}); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want %s", err, text)
		}
	}
	var events []pxe.Event
	s, err := pxe.New(pxe.Config{Resolver: resolver, Loaders: fstest.MapFS{}, Events: func(e pxe.Event) { events = append(events, e) },
		Quirks: []firmware.Quirk{{Name: "own", Effect: firmware.OptionalFile, Path: "vendor.cfg"}}})
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
	for _, q := range firmware.Quirks() {
		if q.Name == "" || q.Source == "" || q.Effect == "" {
			t.Errorf("incomplete: %+v", q)
		}
		switch q.Effect {
		case firmware.NoProxyWait:
			if o, ok := firmware.Select(firmware.Methods(), firmware.Client{UserClasses: []string{"iPXE"}}, at4); !ok || !o.NoProxyWait {
				t.Errorf("%s: %+v", q.Name, o)
			}
		case firmware.OptionalFile:
			if q.Name == "ipxe-autoexec" {
				continue // TestAutoexec: it is served
			}
			if _, err := r.tftpGet(absent[q.Name]); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", q.Name, err)
			}
			if e := <-r.events; !e.Absent || e.Err != "" || absent[q.Name] == "" {
				t.Errorf("%s: event %+v", q.Name, e)
			}
		case firmware.SizeProbe: // TestEvents probes
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
	r.described.Remember(firmware.Client{MAC: testMAC, Arch: []firmware.Arch{firmware.ArchARM64UBoot}, VendorClass: "U-Boot.armv8"})
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
