package pxe

import (
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe/firmware"
)

func TestParsePath(t *testing.T) {
	const mac, dashes = "52:54:00:77:e1:97", "52-54-00-77-e1-97"
	tests := []struct {
		name  string
		kind  kind
		lang  firmware.Language
		mac   string
		arch  firmware.Arch
		named bool
		file  string
	}{
		{"boot/" + dashes + "/script.ipxe", kindConfig, firmware.IPXE, mac, firmware.ArchUnknown, true, ""},
		{"boot/unknown/grub.cfg", kindConfig, firmware.GRUB, "", firmware.ArchUnknown, true, ""},
		{"boot/" + dashes + "/kernel/a/b", kindFile, "", mac, firmware.ArchUnknown, true, "a/b"},
		{"boot/" + dashes + "/initrd/x", kindFile, "", mac, firmware.ArchUnknown, true, "x"},
		{"boot/" + dashes + "/done", kindDone, "", mac, firmware.ArchUnknown, true, ""},
		{"boot/" + dashes + "/menu/rescue/grub.cfg", kindConfig, firmware.GRUB, mac, firmware.ArchUnknown, true, ""},
		{"boot/" + dashes + "/menu/rescue/initrd/x", kindFile, "", mac, firmware.ArchUnknown, true, "x"},
		{"boot/" + dashes + "/menu/Rescue/grub.cfg", kindConfig, firmware.GRUB, "", firmware.ArchUnknown, false, ""},
		{"boot/" + dashes + "/menu/rescue/menu/a/script.ipxe", kindLoader, "", "", firmware.ArchUnknown, false, "boot/" + dashes + "/menu/rescue/menu/a/script.ipxe"},
		{"boot/" + dashes + "/menu/rescue/done", kindLoader, "", "", firmware.ArchUnknown, false, "boot/" + dashes + "/menu/rescue/done"},
		{"boot/" + dashes + "/else", kindLoader, "", "", firmware.ArchUnknown, false, "boot/" + dashes + "/else"},
		{"boot/zz/script.ipxe", kindLoader, "", "", firmware.ArchUnknown, false, "boot/zz/script.ipxe"},
		{"boot/00-00-00-00-00-00/script.ipxe", kindLoader, "", "", firmware.ArchUnknown, false, "boot/00-00-00-00-00-00/script.ipxe"},
		{"boot/x64/wdsnbp.com", kindLoader, "", "", firmware.ArchUnknown, false, "boot/x64/wdsnbp.com"},
		{"boot/grub/grub.cfg", kindConfig, firmware.GRUB, "", firmware.ArchUnknown, false, ""},
		{"boot/grub2/grub.cfg-01-" + dashes, kindConfig, firmware.GRUB, mac, firmware.ArchUnknown, true, ""},
		{"boot/grub/x86_64-efi/grub.cfg", kindConfig, firmware.GRUB, "", firmware.ArchUnknown, false, ""},
		{"boot/pxelinux.cfg/01-" + dashes, kindConfig, firmware.PXELINUX, mac, firmware.ArchUnknown, true, ""},
		{"boot/ipxe.cfg-" + dashes, kindConfig, firmware.IPXE, mac, firmware.ArchUnknown, true, ""},
		{"boot/grub.cfg/x", kindLoader, "", "", firmware.ArchUnknown, false, "boot/grub.cfg/x"},
		{"boot/done", kindLoader, "", "", firmware.ArchUnknown, false, "boot/done"},
		{"grub2/grub.cfg", kindConfig, firmware.GRUB, "", firmware.ArchUnknown, false, ""},
		{"EFI/BOOT/grub.cfg-01-" + dashes, kindConfig, firmware.GRUB, mac, firmware.ArchUnknown, true, ""},
		{"EFI/debian/grub.cfg-default-amd64", kindConfig, firmware.GRUB, "", firmware.ArchEFI64, true, ""},
		{"grub.cfg.sig", kindLoader, "", "", firmware.ArchUnknown, false, "grub.cfg.sig"},
		{"autoexec.ipxe", kindConfig, firmware.IPXE, "", firmware.ArchUnknown, false, ""},
		{"EFI/BOOT/AUTOEXEC.IPXE", kindConfig, firmware.IPXE, "", firmware.ArchUnknown, false, ""},
		{"images", kindLoader, "", "", firmware.ArchUnknown, false, "images"},
		{"boot", kindLoader, "", "", firmware.ArchUnknown, false, "boot"},
		{"images/x/y", kindFile, "", "", firmware.ArchUnknown, false, "x/y"},
		{"ipxe.cfg", kindConfig, firmware.IPXE, "", firmware.ArchUnknown, false, ""},
		{"ipxe.cfg-" + mac, kindConfig, firmware.IPXE, mac, firmware.ArchUnknown, true, ""},
		{"ipxe.cfg-default-amd64", kindConfig, firmware.IPXE, "", firmware.ArchEFI64, true, ""},
		{"grub/grub.cfg", kindConfig, firmware.GRUB, "", firmware.ArchUnknown, false, ""},
		{"grub/x86_64-efi/grub.cfg", kindConfig, firmware.GRUB, "", firmware.ArchUnknown, false, ""},
		{"grub/grub.cfg-01-" + mac, kindConfig, firmware.GRUB, mac, firmware.ArchUnknown, true, ""},
		{"grub/grub.cfg-" + strings.ToUpper(dashes), kindConfig, firmware.GRUB, mac, firmware.ArchUnknown, true, ""},
		{"grub/grub.cfg-default-x86_64", kindConfig, firmware.GRUB, "", firmware.ArchEFI64, true, ""},
		{"grub/grub.cfg-default-arm64", kindConfig, firmware.GRUB, "", firmware.ArchARM64, true, ""},
		{"grub.cfg-01-" + dashes, kindConfig, firmware.GRUB, mac, firmware.ArchUnknown, true, ""},
		{"EFI/fedora/grub.cfg", kindConfig, firmware.GRUB, "", firmware.ArchUnknown, false, ""},
		{"grub.cfg-0A4D00BA", kindLoader, "", "", firmware.ArchUnknown, false, "grub.cfg-0A4D00BA"},
		{"grub/x86_64-efi/command.lst", kindLoader, "", "", firmware.ArchUnknown, false, "grub/x86_64-efi/command.lst"},
		{"grub", kindLoader, "", "", firmware.ArchUnknown, false, "grub"},
		{"pxelinux.cfg/01-" + dashes, kindConfig, firmware.PXELINUX, mac, firmware.ArchUnknown, true, ""},
		{"pxelinux.cfg/default", kindConfig, firmware.PXELINUX, "", firmware.ArchUnknown, true, ""},
		{"pxelinux.cfg/default-arm", kindConfig, firmware.PXELINUX, "", firmware.ArchUnknown, true, ""},
		{"boot/" + dashes + "/onie-installer", kindInstaller, firmware.ONIE, mac, firmware.ArchUnknown, true, ""},
		{dashes + "/onie-installer-x86_64-acme_s1-r0", kindInstaller, firmware.ONIE, mac, firmware.ArchUnknown, false, ""},
		{"0A4D00BA/onie-installer-x86_64", kindInstaller, firmware.ONIE, "", firmware.ArchUnknown, false, ""},
		{"onie-installer", kindInstaller, firmware.ONIE, "", firmware.ArchUnknown, false, ""},
		{"onie-updater", kindLoader, "", "", firmware.ArchUnknown, false, "onie-updater"},
		{"pxelinux.cfg/default-arm64-generic", kindConfig, firmware.PXELINUX, "", firmware.ArchARM64, true, ""},
		{"ppc64el/pxelinux.cfg/01-" + dashes, kindConfig, firmware.PXELINUX, mac, firmware.ArchPowerNV, true, ""},
		{"ppc64el/boot/" + dashes + "/kernel/a/b", kindFile, "", mac, firmware.ArchUnknown, true, "a/b"},
		{"s390x/images/x", kindFile, "", "", firmware.ArchUnknown, false, "x"},
		{"s390x/x", kindLoader, "", "", firmware.ArchUnknown, false, "s390x/x"},
		{"s390x/pxelinux.cfg/default", kindConfig, firmware.PXELINUX, "", firmware.ArchS390Basic, true, ""},
		{"pxelinux.cfg/0A4D00BA", kindLoader, "", "", firmware.ArchUnknown, false, "pxelinux.cfg/0A4D00BA"},
		{"pxelinux.cfg/0A4D", kindLoader, "", "", firmware.ArchUnknown, false, "pxelinux.cfg/0A4D"},
		{"ppc64el/boot/" + dashes + "/pxelinux.cfg", kindConfig, firmware.PXELINUX, mac, firmware.ArchUnknown, true, ""},
		{"ppc64el/boot/grub/grub.cfg", kindConfig, firmware.GRUB, "", firmware.ArchUnknown, false, ""},
		{"ppc64el/boot/grub/core.elf", kindLoader, "", "", firmware.ArchUnknown, false, "ppc64el/boot/grub/core.elf"},
		{"ppc64el/grub/grub.cfg-01-" + dashes, kindConfig, firmware.GRUB, mac, firmware.ArchUnknown, true, ""},
		{"s390x", kindLoader, "", "", firmware.ArchUnknown, false, "s390x"},
		{"config.txt", kindPi, firmware.RaspberryPi, "", firmware.ArchUnknown, false, "config.txt"},
		{"kernel8.img", kindPi, firmware.RaspberryPi, "", firmware.ArchUnknown, false, "kernel8.img"},
		{"initrd10.img", kindPi, firmware.RaspberryPi, "", firmware.ArchUnknown, false, "initrd10.img"},
		{"initrd01.img", kindLoader, "", "", firmware.ArchUnknown, false, "initrd01.img"},
		{"initrd-1.img", kindLoader, "", "", firmware.ArchUnknown, false, "initrd-1.img"},
		{"deadbeef/config.txt", kindLoader, "", "", firmware.ArchUnknown, false, "deadbeef/config.txt"},
		{"extlinux/extlinux.conf", kindConfig, firmware.PXELINUX, "", firmware.ArchUnknown, false, ""},
		{"pxelinux.cfg/default-arm-bcm283x-rpi", kindConfig, firmware.PXELINUX, "", firmware.ArchUnknown, true, ""},
		{"pxelinux.cfg/default-riscv64-qemu", kindConfig, firmware.PXELINUX, "", firmware.ArchRISCV64, true, ""},
		{"shimx64.efi", kindLoader, "", "", firmware.ArchUnknown, false, "shimx64.efi"},
		{"revocations_sku.efi", kindLoader, "", "", firmware.ArchUnknown, false, "revocations_sku.efi"},
	}
	for _, tt := range tests {
		got := parsePath(tt.name)
		if got.kind != tt.kind || got.lang != tt.lang || got.mac.String() != tt.mac || got.arch != tt.arch || got.named != tt.named || got.file != tt.file {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt)
		}
	}
	if got := parsePath("pxelinux.cfg/00112233-4455-6677-8899-AABBCCDDEEFF"); got.uuid != "00112233-4455-6677-8899-aabbccddeeff" {
		t.Errorf("uuid %+v", got)
	}
}

// Every path prefix of the method table is stripped.
func TestPathPrefixes(t *testing.T) {
	for _, m := range firmware.Methods() {
		if m.PathPrefix != "" && parsePath(m.PathPrefix+"images/x").kind != kindFile {
			t.Errorf("%s: below %s nothing is found", m.Name, m.PathPrefix)
		}
	}
}

// Every name that the method table says loaders ask for is understood.
func TestMethodConfigsAreServed(t *testing.T) {
	for _, m := range append(firmware.Methods(), firmware.Alternatives()...) {
		for _, c := range m.Configs {
			name := strings.NewReplacer("{mac}", "52-54-00-77-e1-97", "{uuid}", "00112233-4455-6677-8899-aabbccddeeff", "{arch}", "amd64", "{onie}", "x86_64-acme_s1-r0").Replace(c)
			if strings.Contains(name, "{hexip}") || firmware.Optional(firmware.Quirks(), name) && parsePath(name).kind == kindLoader {
				continue // deliberately absent, or the machine's own
			}
			if got := parsePath(name); got.kind != kindConfig && got.kind != kindInstaller && got.kind != kindPi || got.lang != m.Config {
				t.Errorf("%s: %s is %+v", m.Name, name, got)
			}
		}
		if m.Loader != "" && parsePath(m.Loader).kind != kindLoader {
			t.Errorf("%s: %s is not a loader", m.Name, m.Loader)
		}
	}
}

func TestExpand(t *testing.T) {
	vars := map[string]string{"mac": "aa", "x_1": "{mac}"}
	for in, want := range map[string]string{
		"":            "",
		"a{mac}b":     "aaab",
		"{x_1}":       "{mac}", // what a value holds is not expanded
		"cc:{'a':[]}": "cc:{'a':[]}",
		"{mac":        "{mac",
		"{{mac}}":     "{aa}",
		"{}":          "{}",
	} {
		if got, err := expand(in, vars); got != want || err != nil {
			t.Errorf("expand(%q) is %q, %v; want %q", in, got, err, want)
		}
	}
	if _, err := expand("{nope}", vars); err == nil || !strings.Contains(err.Error(), "mac, x_1") {
		t.Errorf("unknown variable: %v", err)
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"boot/52-54-00-77-e1-97/kernel/x", "grub/grub.cfg-01-52:54:00:77:e1:97", "pxelinux.cfg/default", "ipxe.cfg-", "//a",
		"boot/52-54-00-77-e1-97/menu/a/grub.cfg", "boot/unknown/menu/a/kernel/x", "boot/unknown/menu//x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, ok := cleanName(s)
		if !ok {
			return
		}
		res := parsePath(name)
		if res.kind == kindFile && (res.file == "" || strings.Contains(res.file, "..") && strings.Contains(res.file, "../")) {
			t.Errorf("%q gives file %q", s, res.file)
		}
		if res.kind == kindConfig && res.mac == nil && !res.named && res.lang == firmware.PXELINUX {
			t.Errorf("%q: nobody's config", s)
		}
	})
}
