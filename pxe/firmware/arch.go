package firmware

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
	// UKI is no language either: firmware runs the kernel of a profile itself, a unified kernel image
	// with its initrd and command line inside.
	UKI Language = "uki"
	// RaspberryPi is the config.txt of the firmware of a Raspberry Pi.
	RaspberryPi Language = "raspberrypi"
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
	ArchLoong32     Arch = 0x25 // UEFI on 32-bit LoongArch
	ArchLoong32HTTP Arch = 0x26 // UEFI LoongArch 32 HTTP boot
	ArchLoong64     Arch = 0x27 // UEFI on 64-bit LoongArch
	ArchLoong64HTTP Arch = 0x28 // UEFI LoongArch 64 HTTP boot
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
	case ArchARM64, ArchARM64HTTP, ArchARM64UBoot, ArchRaspberryPi:
		return "arm64"
	case ArchARM32, ArchARM32HTTP, ArchARM32UBoot:
		return "armhf"
	case ArchOpenFW, ArchPowerNV:
		return "ppc64el"
	case ArchRISCV64, ArchRISCV64HTTP:
		return "riscv64"
	case ArchS390Basic, ArchS390Ext:
		return "s390x"
	case ArchLoong32, ArchLoong32HTTP:
		return "loong32"
	case ArchLoong64, ArchLoong64HTTP:
		return "loong64"
	}
	return "unknown"
}

// UEFI reports whether the firmware is UEFI.
func (a Arch) UEFI() bool {
	switch a {
	case ArchEFI32, ArchEFI64, ArchEBC, ArchEFI32HTTP, ArchEFI64HTTP, ArchARM32, ArchARM32HTTP,
		ArchARM64, ArchARM64HTTP, ArchRISCV64, ArchRISCV64HTTP, ArchLoong32, ArchLoong32HTTP, ArchLoong64, ArchLoong64HTTP:
		return true
	}
	return false
}
