package region

import (
	"slices"
	"testing"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/store/inventory"
)

// Whatever firmware a machine is recorded with, explain asks with that firmware: every architecture
// by every method that serves it.
func TestExplainUsesTheFirmwareThatWasSeen(t *testing.T) {
	for _, method := range append(firmware.Methods(), firmware.Alternatives()...) {
		for arch := firmware.Arch(0); arch < 0x40; arch++ {
			name := arch.String()
			if name == "unknown" || len(method.Arch) > 0 && !firstOfItsProcessor(method, arch) {
				continue
			}
			seen := firmwareOf(pxe.Event{Method: method.Name, Arch: arch})
			got, err := archOf("", inventory.Machine{Firmware: seen, Architecture: architecture(arch)})
			if err != nil || got == nil || got.UEFI() != arch.UEFI() || got.String() != name || (*got == firmware.ArchBIOS) != (arch == firmware.ArchBIOS) {
				t.Errorf("%s (%s, %#x): %v, %v", seen, name, arch, got, err)
			}
		}
	}
	for firmware, want := range map[string]firmware.Arch{"": firmware.ArchEFI64, "default": firmware.ArchEFI64, "bios-ipxe": firmware.ArchBIOS, "bios-default": firmware.ArchBIOS, "bios-pxe": firmware.ArchBIOS} {
		if got, err := archOf("", inventory.Machine{Firmware: firmware, Architecture: "amd64/generic"}); err != nil || *got != want {
			t.Errorf("%q: %v, %v", firmware, got, err)
		}
	}
}

// firstOfItsProcessor reports whether an architecture is the first of a method for its processor.
func firstOfItsProcessor(m firmware.Method, arch firmware.Arch) bool {
	i := slices.IndexFunc(m.Arch, func(a firmware.Arch) bool { return a.String() == arch.String() })
	return i >= 0 && m.Arch[i] == arch
}
