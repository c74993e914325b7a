package explain

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gomaas/maas/pxe/firmware"
)

// archs maps the names that operators use for firmware to architecture types.
var archs = []struct {
	name string
	arch firmware.Arch
}{
	{"bios", firmware.ArchBIOS}, {"uefi", firmware.ArchEFI64}, {"uefi-http", firmware.ArchEFI64HTTP}, {"uefi32", firmware.ArchEFI32}, {"arm64", firmware.ArchARM64},
	{"arm64-http", firmware.ArchARM64HTTP}, {"riscv64", firmware.ArchRISCV64}, {"loong64", firmware.ArchLoong64}, {"ppc64el", firmware.ArchPowerNV}, {"s390x", firmware.ArchS390Ext},
}

// ParseArch reads a name of firmware, or the number of its architecture type (RFC 4578 section
// 2.1). It returns nil for "none" and "", which mean an operating system.
func ParseArch(text string) (*firmware.Arch, error) {
	if text == "" || text == "none" {
		return nil, nil
	}
	names := []string{"none"}
	for _, a := range archs {
		if a.name == text {
			return &a.arch, nil
		}
		names = append(names, a.name)
	}
	if n, err := strconv.ParseUint(text, 0, 16); err == nil {
		arch := firmware.Arch(n)
		return &arch, nil
	}
	return nil, fmt.Errorf("arch %q is none of %s, and no number of an architecture type", text, strings.Join(names, ", "))
}
