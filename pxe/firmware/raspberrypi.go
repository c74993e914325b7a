package firmware

import (
	"path"
	"strings"
)

// raspberryPiOUIs are the first three octets of the link addresses of Raspberry Pi boards, from the
// registry of the IEEE.
var raspberryPiOUIs = [][3]byte{
	{0xb8, 0x27, 0xeb}, {0xdc, 0xa6, 0x32}, {0xe4, 0x5f, 0x01}, {0x28, 0xcd, 0xc1},
	{0xd8, 0x3a, 0xdd}, {0x2c, 0xcf, 0x67}, {0x88, 0xa2, 0x9e},
}

// IsRaspberryPi reports whether the client is the firmware of a Raspberry Pi. It calls itself a PC
// BIOS, so the link address has to tell it from one; newer firmware has an architecture type of its
// own. UEFI for these boards is not it: that sends the types of UEFI.
func (c Client) IsRaspberryPi() bool {
	for _, a := range c.Arch {
		if a == ArchRaspberryPi {
			return true
		}
	}
	if strings.HasPrefix(c.VendorClass, "PXEClient:Arch:00041") {
		return true
	}
	if len(c.MAC) != 6 || !strings.HasPrefix(c.VendorClass, "PXEClient:Arch:00000") || c.IPXE {
		return false
	}
	for _, oui := range raspberryPiOUIs {
		if [3]byte(c.MAC) == oui {
			return true
		}
	}
	return false
}

// RaspberryPiNeeds reports whether a name is a part of a Raspberry Pi's firmware without which it
// does not boot. It asks for dozens of other names, most of which no server has.
func RaspberryPiNeeds(name string) bool {
	for _, pattern := range []string{"bootcode.bin", "start*.elf", "fixup*.dat", "bcm*.dtb"} {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}
