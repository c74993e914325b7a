package pxe

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Request says who asks for a boot profile, as far as it is known.
type Request struct {
	MAC    net.HardwareAddr // of the boot interface; nil when the client could not be identified
	UUID   string           // SMBIOS UUID in lower case with dashes, or empty
	Addr   netip.Addr       // the client's address
	Server netip.Addr       // this server's address as the client used it; invalid when unknown
	Arch   Arch             // of the firmware; ArchUnknown when not known
	Method string           // name of the boot Method, empty when not known
	Config Language         // configuration language the client understands
}

// Language is a boot loader's configuration language.
type Language string

// The languages that profiles are rendered to.
const (
	IPXE     Language = "ipxe"
	GRUB     Language = "grub"
	PXELINUX Language = "pxelinux"
	// ONIE is no language: a switch asks for an installer and runs it. It is handed the file of a
	// Chain profile, and finds nothing with any other.
	ONIE Language = "onie"
)

// Arch is a client system architecture type: DHCPv4 option 93, DHCPv6 option 61 (RFC 4578, RFC 5970
// and the IANA registry).
type Arch uint16

// Architecture types that the method table knows.
const (
	ArchBIOS        Arch = 0x00 // x86 BIOS
	ArchEFI32       Arch = 0x06 // UEFI on ia32
	ArchEFI64       Arch = 0x07 // UEFI on x64
	ArchEBC         Arch = 0x09 // EFI byte code; sent by x64 firmware that mixed the two up
	ArchARM32       Arch = 0x0a // UEFI on 32-bit ARM
	ArchARM64       Arch = 0x0b // UEFI on 64-bit ARM
	ArchOpenFW      Arch = 0x0c // PowerPC Open Firmware
	ArchPowerNV     Arch = 0x0e // POWER OPAL v3 (Petitboot)
	ArchEFI32HTTP   Arch = 0x0f // UEFI ia32 HTTP boot
	ArchEFI64HTTP   Arch = 0x10 // UEFI x64 HTTP boot
	ArchARM32HTTP   Arch = 0x12 // UEFI ARM32 HTTP boot
	ArchARM64HTTP   Arch = 0x13 // UEFI ARM64 HTTP boot
	ArchARM32UBoot  Arch = 0x15 // U-Boot on 32-bit ARM
	ArchARM64UBoot  Arch = 0x16 // U-Boot on 64-bit ARM
	ArchRISCV64     Arch = 0x1b // UEFI on 64-bit RISC-V
	ArchRISCV64HTTP Arch = 0x1c // UEFI RISC-V 64 HTTP boot
	ArchS390Basic   Arch = 0x1f // s390x, basic (KVM)
	ArchS390Ext     Arch = 0x20 // s390x, extended (DPM partition)
	ArchRaspberryPi Arch = 0x29 // the firmware of Raspberry Pi
	ArchUnknown     Arch = 0xffff
)

// String returns the name used in events and templates, such as "amd64".
func (a Arch) String() string {
	switch a {
	case ArchBIOS, ArchEFI64, ArchEBC, ArchEFI64HTTP:
		return "amd64"
	case ArchEFI32, ArchEFI32HTTP:
		return "i386"
	case ArchARM64, ArchARM64HTTP, ArchARM64UBoot:
		return "arm64"
	case ArchARM32, ArchARM32HTTP, ArchARM32UBoot:
		return "armhf"
	case ArchOpenFW, ArchPowerNV:
		return "ppc64el"
	case ArchRISCV64, ArchRISCV64HTTP:
		return "riscv64"
	case ArchS390Basic, ArchS390Ext:
		return "s390x"
	}
	return "unknown"
}

// UEFI reports whether the firmware is UEFI.
func (a Arch) UEFI() bool {
	switch a {
	case ArchEFI32, ArchEFI64, ArchEBC, ArchEFI32HTTP, ArchEFI64HTTP, ArchARM32, ArchARM32HTTP,
		ArchARM64, ArchARM64HTTP, ArchRISCV64, ArchRISCV64HTTP:
		return true
	}
	return false
}

// FormatMAC writes a hardware address with dashes in lower case, as in the file names loaders ask
// for. The empty address gives "".
func FormatMAC(mac net.HardwareAddr) string {
	return strings.ReplaceAll(mac.String(), ":", "-")
}

// ParseMAC reads a 6-byte hardware address written with colons or dashes in either case, optionally
// after the hardware type "01-" that loaders put before it. The all-zero and group addresses are
// refused: no machine boots from them.
func ParseMAC(s string) (net.HardwareAddr, error) {
	s = strings.ReplaceAll(s, "-", ":")
	if len(s) == 20 {
		s = strings.TrimPrefix(s, "01:")
	}
	mac, err := net.ParseMAC(s)
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 || [6]byte(mac) == [6]byte{} {
		return nil, fmt.Errorf("pxe: %.40q is not the MAC address of a network card", s)
	}
	return mac, nil
}

// parseUUID returns s in canonical form, or "" when it is not a UUID or one of the all-equal
// fillers that boards without a serial number report.
func parseUUID(s string) string {
	s = strings.ToLower(s)
	if len(s) != 36 || strings.Count(s, s[:1]) >= 32 {
		return ""
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := s[i] >= '0' && s[i] <= '9' || s[i] >= 'a' && s[i] <= 'f'
		if dash != (s[i] == '-') || !dash && !hex {
			return ""
		}
	}
	return s
}
