package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/boottest/qemutest"
)

// isoSite has a menu that boots the disk by itself, and machines that boot an image of no known
// system.
const isoSite = `
machines:
  - {hostname: bios-menu, interfaces: [{name: eth0, mac_address: "%s"}]}
  - {hostname: uefi-menu, interfaces: [{name: eth0, mac_address: "%s"}]}
  - {hostname: bios-disc, interfaces: [{name: eth0, mac_address: "%s"}]}
  - {hostname: uefi-disc, interfaces: [{name: eth0, mac_address: "%s"}]}
tags:
  - {name: disc, machines: [bios-disc, uefi-disc]}
boot_profiles:
  - {tag: disc, profile: {kind: iso, image: isos/other.iso}}
  - profile:
      kind: menu
      title: Discs of the lab
      timeout: 5m
      default: disk
      entries: [{profile: disk, title: Local disk}, {profile: later}, {profile: live, title: A live system}]
      profiles:
        - {name: disk, kind: local}
        - {name: later, kind: wait}
        - {name: live, kind: iso, image: isos/live.iso, cmdline: "%s maas.done={done}"}
`

// Real firmware boots ISO images: one that is known, by its kernel, after a choice by keys in a menu,
// and one that is not known, as a CD.
func TestISOBoots(t *testing.T) {
	machines := map[string]*qemutest.VM{
		"bios-menu": {Firmware: qemutest.BIOS, MAC: mac(31), Tap: "tap31", Keyboard: true},
		"uefi-menu": {Firmware: qemutest.UEFI, MAC: mac(32), Tap: "tap32", Keyboard: true},
		"bios-disc": {Firmware: qemutest.BIOS, MAC: mac(33), Tap: "tap33"},
		"uefi-disc": {Firmware: qemutest.UEFI, MAC: mac(34), Tap: "tap34"},
	}
	netlab.Require(t, append(machines["uefi-menu"].Needs(), machines["bios-menu"].Needs()...)...)
	netlab.Require(t, netlab.Program("xorriso", "xorriso"), netlab.Program("mcopy", "mtools"), netlab.File("/usr/lib/ISOLINUX/isolinux.bin", "isolinux"),
		netlab.File("/usr/lib/shim/shimx64.efi.signed", "shim-signed"), netlab.File("/usr/lib/ipxe/snponly.efi", "ipxe"),
		netlab.File("/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed", "grub-efi-amd64-signed"))
	guest := qemutest.NewGuest(t)
	files := t.TempDir()
	makeISOs(t, guest, filepath.Join(files, "isos"))
	s := newRealSite(t, "--files", files)
	for _, vm := range machines {
		vm.Dir = t.TempDir()
		s.ns.Tap("br0", vm.Tap)
	}
	s.start()
	defer s.stop()
	site := filepath.Join(t.TempDir(), "site.yaml")
	text := fmt.Appendf(nil, isoSite, machines["bios-menu"].MAC, machines["uefi-menu"].MAC, machines["bios-disc"].MAC, machines["uefi-disc"].MAC, qemutest.Cmdline)
	if err := os.WriteFile(site, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.maas("apply", "-f", site)

	for _, kind := range []string{"menu", "disc"} { // two at a time
		began := time.Now()
		for _, firmware := range []string{"bios", "uefi"} {
			vm := qemutest.Start(t, s.ns, *machines[firmware+"-"+kind])
			if kind == "menu" {
				s.choose(vm, firmware+"-menu")
			}
		}
		for _, firmware := range []string{"bios", "uefi"} {
			vm := *machines[firmware+"-"+kind]
			awaitSerial(t, vm)
			t.Logf("a machine with %s runs Linux from the %s after %v", firmware, kind, time.Since(began).Round(time.Second))
		}
	}
	for _, name := range []string{"bios-menu", "uefi-menu"} {
		s.awaitReport(machines[name].MAC)
		events := s.maas("events", name, "--limit", "200")
		for _, want := range []string{"live.iso/casper/vmlinuz", "running: "} {
			if !strings.Contains(events, want) {
				t.Errorf("%q is not in the events of %s:\n%s", want, name, events)
			}
		}
	}
	for _, name := range []string{"bios-disc", "uefi-disc"} {
		if events := s.maas("events", name, "--limit", "200"); !strings.Contains(events, "other.iso") {
			t.Errorf("%s has not fetched the image:\n%s", name, events)
		}
	}
}

// choose takes the last entry of a menu as an operator does, once the machine has fetched it.
func (s *realSite) choose(vm *qemutest.Machine, name string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	if err := vm.WaitSerial(ctx, "Discs of the lab"); err != nil {
		s.t.Fatal(err)
	}
	if err := vm.Press(ctx, "end", "ret"); err != nil {
		s.t.Fatal(err)
	}
}

// makeISOs makes an image in the layout of Ubuntu's live systems, which has no boot loader, and one of
// no known system, which firmware of both kinds boots.
func makeISOs(t *testing.T, guest qemutest.Guest, dir string) {
	t.Helper()
	live, other := filepath.Join(t.TempDir(), "live"), filepath.Join(t.TempDir(), "other")
	tree := map[string]string{
		live + "/casper/vmlinuz": guest.Kernel, live + "/casper/initrd": guest.Initrd,
		other + "/own/kernel": guest.Kernel, other + "/own/initrd": guest.Initrd,
		other + "/isolinux/isolinux.bin": "/usr/lib/ISOLINUX/isolinux.bin",
		other + "/isolinux/ldlinux.c32":  "/usr/lib/syslinux/modules/bios/ldlinux.c32",
	}
	texts := map[string]string{
		other + "/.disk/info":            "a disc of a test\n", // by which Debian's GRUB finds its own disc
		other + "/isolinux/isolinux.cfg": "DEFAULT own\nLABEL own\nKERNEL /own/kernel\nINITRD /own/initrd\nAPPEND " + qemutest.Cmdline + "\n",
		other + "/boot/grub/grub.cfg":    "set timeout=0\nlinux /own/kernel " + qemutest.Cmdline + "\ninitrd /own/initrd\nboot\n",
	}
	for to, from := range tree {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		texts[to] = string(data)
	}
	for name, text := range texts {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	esp := other + "/esp.img"
	for _, args := range [][]string{
		{"mformat", "-C", "-i", esp, "-T", "8192", "::"},
		{"mmd", "-i", esp, "::/EFI", "::/EFI/BOOT"},
		{"mcopy", "-i", esp, "/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed", "::/EFI/BOOT/BOOTX64.EFI"},
		{"xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", dir + "/live.iso", live},
		{"xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", dir + "/other.iso",
			"-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
			"-eltorito-alt-boot", "-e", "esp.img", "-no-emul-boot", other},
	} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
}
