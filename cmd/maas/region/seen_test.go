package region

import (
	"testing"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
)

// Whatever firmware a machine is recorded with, explain asks with that firmware: every architecture
// by every method that serves it.
func TestExplainUsesTheFirmwareThatWasSeen(t *testing.T) {
	for _, method := range append(pxe.Methods(), pxe.Alternatives()...) {
		for arch := pxe.Arch(0); arch < 0x40; arch++ {
			name := arch.String()
			if name == "unknown" || len(method.Arch) > 0 && method.Arch[0] != arch {
				continue
			}
			seen := firmware(pxe.Event{Method: method.Name, Arch: arch})
			got, err := archOf("", inventory.Machine{Firmware: seen, Architecture: architecture(arch)})
			if err != nil || got == nil || got.UEFI() != arch.UEFI() || got.String() != name || (*got == pxe.ArchBIOS) != (arch == pxe.ArchBIOS) {
				t.Errorf("%s (%s, %#x): %v, %v", seen, name, arch, got, err)
			}
		}
	}
	for firmware, want := range map[string]pxe.Arch{"": pxe.ArchEFI64, "default": pxe.ArchEFI64, "bios-ipxe": pxe.ArchBIOS, "bios-default": pxe.ArchBIOS, "bios-pxe": pxe.ArchBIOS} {
		if got, err := archOf("", inventory.Machine{Firmware: firmware, Architecture: "amd64/generic"}); err != nil || *got != want {
			t.Errorf("%q: %v, %v", firmware, got, err)
		}
	}
}
