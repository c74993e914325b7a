package boottest

import "time"

// Firmware is a personality: what a kind of firmware sends, asks for and does. It is plain data;
// the values of this package come from captures.
type Firmware struct {
	Name string // for reports

	// What its DHCP packets say.
	Arch        []uint16 // option 93; none = not sent
	VendorClass string   // option 60
	UserClass   string   // option 77, sent as bare text like iPXE does; "" = not sent
	NIC         []byte   // option 94, or 62 of IPv6
	IPXE        []byte   // option 175; nil = not sent
	Requested   []byte   // option 55
	MaxSize     uint16   // option 57 of DISCOVER; 0 = not sent
	MaxSizeAck  uint16   // option 57 of REQUEST; 0 = the same
	Broadcast   bool     // asks for broadcast replies
	ClientID    bool     // option 61 with the link address
	UUID        bool     // option 97

	// OfferWait is the time in which it collects offers before it takes one. With IPXE set, an
	// offer with 175.176=1 ends it.
	OfferWait time.Duration
	// Resend are the silences after which it sends a DHCP message again; it gives up after the
	// last.
	Resend []time.Duration

	TFTP TFTPOptions // of its own loads
	// SizeProbe reads every file twice: the first request asks for the size and is broken off with
	// ERROR 8.
	SizeProbe bool
	// UserAgent of its HTTP requests; "" = it speaks no HTTP.
	UserAgent string
	// HTTPHead asks with HEAD before each GET.
	HTTPHead bool
	// Redirects bounds the HTTP redirects that it follows.
	Redirects int

	// BootServer asks a proxyDHCP server again, on port 4011, unless its offer says that this is
	// not needed.
	BootServer bool

	// Loader says what the firmware itself is able to run: "ipxe" interprets iPXE scripts,
	// "pxelinux" configurations of pxelinux, "raspberrypi" reads config.txt, "onie" runs installers,
	// "flash" starts a system of its own, "" only runs loaders.
	Loader string
	// Configs are the names that firmware asks for by itself, below the path prefix of option 210,
	// when DHCP names no boot file; one that ends with a question mark may be absent. They may hold
	// {uuid}, {mac} and {hexip}, the address in all its lengths.
	Configs []string
	// EFI firmware ends in its set-up screen when a loader returns success; others go on with the
	// next boot device.
	EFI bool
}

// TFTPOptions are the options of a read request; zero values are not sent. Windowsize 0 is
// lock-step.
type TFTPOptions struct {
	BlockSize  int
	WindowSize int
	AskSize    bool // tsize=0
	// Names is the order in which the options are sent, of "blksize", "windowsize" and "tsize"; nil
	// = this one.
	Names []string
}

// What iPXE asks for in option 55.
var ipxeRequested = []byte{1, 3, 6, 7, 12, 15, 17, 26, 43, 60, 66, 67, 119, 128, 129, 130, 131, 132, 133, 134, 135, 175, 203}

// What EDK II asks for.
var edkRequested = []byte{1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67, 97,
	128, 129, 130, 131, 132, 133, 134, 135}

// ipxeOfferWait is for offers of proxyDHCP servers.
const ipxeOfferWait = 2500 * time.Millisecond

const ipxeAgent = "iPXE/1.0.0+git-20190125.36a4c85-5.1"

var (
	ipxeResend = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}
	edkResend  = []time.Duration{4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second}
)

var (
	// BIOSiPXE is SeaBIOS with iPXE as the boot ROM of the network card (QEMU, iPXE
	// 1.0.0+git-20190125).
	BIOSiPXE = Firmware{
		Name: "bios-ipxe", Arch: []uint16{0}, VendorClass: "PXEClient:Arch:00000:UNDI:002001", UserClass: "iPXE", NIC: []byte{1, 2, 1},
		IPXE: []byte{177, 5, 1, 0x1a, 0xf4, 0x10, 0, 235, 3, 1, 0, 0, 23, 1, 1, 34, 1, 1, 19, 1, 1, 17, 1, 1, 39, 1, 1, 25, 1, 1,
			41, 1, 1, 16, 1, 2, 33, 1, 1, 21, 1, 1, 24, 1, 1, 18, 1, 1},
		Requested: ipxeRequested, MaxSize: 1472, ClientID: true, UUID: true, Resend: ipxeResend, OfferWait: ipxeOfferWait,
		TFTP:      TFTPOptions{BlockSize: 1432, AskSize: true, Names: []string{"blksize", "tsize"}},
		UserAgent: ipxeAgent, Redirects: 10, Loader: "ipxe",
	}

	// UEFIiPXE is iPXE as an EFI program (snponly.efi), as UEFI firmware loads it.
	UEFIiPXE = Firmware{
		Name: "uefi-ipxe", Arch: []uint16{7}, VendorClass: "PXEClient:Arch:00007:UNDI:003010", UserClass: "iPXE", NIC: []byte{1, 3, 10},
		IPXE: []byte{177, 5, 1, 0x1a, 0xf4, 0x10, 0, 235, 3, 1, 0, 0, 23, 1, 1, 36, 1, 1, 19, 1, 1, 17, 1, 1, 39, 1, 1, 41, 1, 1,
			21, 1, 1, 18, 1, 1},
		Requested: ipxeRequested, MaxSize: 1472, ClientID: true, UUID: true, Resend: ipxeResend, OfferWait: ipxeOfferWait,
		TFTP:      TFTPOptions{BlockSize: 1432, AskSize: true, Names: []string{"blksize", "tsize"}},
		UserAgent: ipxeAgent, Redirects: 10, Loader: "ipxe", EFI: true,
	}

	// BIOSPXE is a PXE ROM that knows nothing but TFTP: it loads iPXE, which starts over with DHCP.
	BIOSPXE = Firmware{
		Name: "bios-pxe", Arch: []uint16{0}, VendorClass: "PXEClient:Arch:00000:UNDI:002001", NIC: []byte{1, 2, 1},
		Requested: edkRequested, MaxSize: 1260, Broadcast: true, UUID: true, Resend: edkResend, OfferWait: 2 * time.Second,
		TFTP: TFTPOptions{BlockSize: 1456, AskSize: true, Names: []string{"tsize", "blksize"}}, SizeProbe: true,
	}

	// UEFIShimGRUB is UEFI PXE on x64 as OVMF (EDK II) does it. With the usual boot file it runs
	// shim, and that runs GRUB.
	UEFIShimGRUB = Firmware{
		Name: "uefi-pxe", Arch: []uint16{7}, VendorClass: "PXEClient:Arch:00007:UNDI:003000", NIC: []byte{1, 3, 0},
		Requested: edkRequested, MaxSize: 1472, MaxSizeAck: 65280, Broadcast: true, UUID: true, Resend: edkResend, OfferWait: 3700 * time.Millisecond,
		TFTP:      TFTPOptions{BlockSize: 1468, WindowSize: 4, AskSize: true, Names: []string{"tsize", "blksize", "windowsize"}},
		SizeProbe: true, EFI: true, BootServer: true,
	}

	// UEFIHTTP is UEFI HTTP boot on x64 as OVMF does it.
	UEFIHTTP = Firmware{
		Name: "uefi-http", Arch: []uint16{16}, VendorClass: "HTTPClient:Arch:00016:UNDI:003000", NIC: []byte{1, 3, 0},
		Requested: []byte{1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 235, 67, 97},
		MaxSize:   1472, Broadcast: true, UUID: true, Resend: edkResend, OfferWait: 3500 * time.Millisecond,
		UserAgent: "UefiHttpBoot/1.0", HTTPHead: true, EFI: true,
	}

	// UEFIARM64, UEFIARM64HTTP, UEFIIA32, UEFIRISCV64 and UEFIRISCV64HTTP are the same firmware on
	// other processors (AAVMF; IA32 after RFC 4578, RISC-V after the registry of RFC 5970).
	UEFIARM64       = UEFIShimGRUB.as("uefi-arm64-pxe", 11, "PXEClient:Arch:00011:UNDI:003000")
	UEFIARM64HTTP   = UEFIHTTP.as("uefi-arm64-http", 19, "HTTPClient:Arch:00019:UNDI:003000")
	UEFIIA32        = UEFIShimGRUB.as("uefi-ia32-pxe", 6, "PXEClient:Arch:00006:UNDI:003000")
	UEFIRISCV64     = UEFIShimGRUB.as("uefi-riscv64-pxe", 27, "PXEClient:Arch:00027:UNDI:003000")
	UEFIRISCV64HTTP = UEFIHTTP.as("uefi-riscv64-http", 28, "HTTPClient:Arch:00028:UNDI:003000")
	// UEFILoong64 and UEFILoong64HTTP are UEFI on 64-bit LoongArch, after the registry of RFC 5970.
	UEFILoong64     = UEFIShimGRUB.as("uefi-loong64-pxe", 39, "PXEClient:Arch:00039:UNDI:003000")
	UEFILoong64HTTP = UEFIHTTP.as("uefi-loong64-http", 40, "HTTPClient:Arch:00040:UNDI:003000")
	// UnknownPXE is a PXE ROM with an architecture number that is not assigned.
	UnknownPXE = BIOSPXE.as("unknown-pxe", 99, "PXEClient:Arch:00099:UNDI:002001")

	// Petitboot is the loader of OpenPOWER machines, after its manual; S390X is s390-ccw of QEMU,
	// after QEMU's.
	Petitboot = Firmware{
		Name: "petitboot", Arch: []uint16{14}, Requested: []byte{1, 3, 6, 12, 15, 66, 67, 209, 210}, MaxSize: 576, ClientID: true, UUID: true,
		Resend: udhcpc.Resend, Loader: "pxelinux", Configs: pxelinuxConfigs,
	}
	S390X = Firmware{
		Name: "s390x", Arch: []uint16{31}, Requested: []byte{1, 3, 6, 66, 67, 209, 210}, UUID: true, Broadcast: true,
		Resend: edkResend, TFTP: TFTPOptions{BlockSize: 1428, AskSize: true}, Loader: "pxelinux", Configs: pxelinuxConfigs,
	}

	// UBootARM64 and UBootARM32 are U-Boot 2023.01 with its usual order of boot methods.
	UBootARM64 = Firmware{
		Name: "uboot-arm64", Arch: []uint16{22}, VendorClass: "U-Boot.armv8", NIC: []byte{1, 0, 0}, Requested: []byte{1, 3, 6, 12, 17}, MaxSize: 576,
		Resend: edkResend, TFTP: TFTPOptions{BlockSize: 1468}, Loader: "pxelinux",
		Configs: []string{"boot.scr.uimg", "pxelinux.cfg/01-{mac}", "pxelinux.cfg/{hexip}", "pxelinux.cfg/default-arm", "pxelinux.cfg/default"},
	}
	UBootARM32 = UBootARM64.as("uboot-armhf", 21, "U-Boot.armv7")
	// UBootARM64EFI and UBootAMD64EFI are U-Boot 2023.01 once it has found no script: it runs a loader
	// as UEFI firmware does.
	UBootARM64EFI = Firmware{
		Name: "uboot-arm64-efi", Arch: []uint16{11}, VendorClass: "PXEClient:Arch:00011:UNDI:003000", NIC: []byte{1, 0, 0},
		Requested: []byte{1, 3, 6, 12, 17}, MaxSize: 576, Resend: edkResend, TFTP: TFTPOptions{BlockSize: 1468}, EFI: true,
	}
	UBootAMD64EFI = UBootARM64EFI.as("uboot-amd64-efi", 7, "PXEClient:Arch:00007:UNDI:003000")

	// RaspberryPi3, RaspberryPi4 and RaspberryPi5 are the firmware of the boards, after the
	// documentation of Raspberry Pi on network booting and nobodd's explanation of it. A Pi 3 has a
	// boot ROM alone, a Pi 4 and 5 a boot loader in an EEPROM.
	RaspberryPi3 = Firmware{
		Name: "raspberry-pi-3", Arch: []uint16{0}, VendorClass: "PXEClient:Arch:00000:UNDI:002001", NIC: []byte{1, 2, 1},
		Requested: []byte{1, 3, 43, 60, 66, 67, 128, 129, 130, 131, 132, 133, 134, 135}, UUID: true, Resend: edkResend,
		Loader:  "raspberrypi",
		Configs: []string{"bootcode.bin", "bootsig.bin?", "config.txt", "start.elf", "fixup.dat", "recovery.elf?", "bcm2710-rpi-3-b.dtb", "overlays/overlay_map.dtb?"},
	}
	RaspberryPi4 = RaspberryPi3.pi("raspberry-pi-4", "config.txt", "pieeprom.sig?", "recover4.elf?", "recovery.elf?", "start4.elf", "fixup4.dat",
		"dt-blob.bin?", "bootcfg.txt?", "bcm2711-rpi-4-b.dtb", "armstub8-gic.bin?", "overlays/overlay_map.dtb?")
	RaspberryPi5 = RaspberryPi3.pi("raspberry-pi-5", "config.txt", "pieeprom.sig?", "recovery.elf?", "bcm2712-rpi-5-b.dtb", "armstub8-2712.bin?",
		"overlays/overlay_map.dtb?")

	// ONIE is the installer of bare-metal switches, after its specification.
	ONIE = Firmware{
		Name: "onie", VendorClass: "onie_vendor:x86_64-kvm_x86_64-r0", UserClass: "onie_dhcp_user_class",
		Requested: []byte{1, 3, 6, 7, 12, 15, 42, 54, 66, 67, 72, 114, 125, 150}, MaxSize: 576, ClientID: true, Resend: udhcpc.Resend,
		UserAgent: "Wget", Loader: "onie",
		Configs: []string{"onie-installer-x86_64-kvm_x86_64-r0", "onie-installer-x86_64-kvm_x86_64", "onie-installer-kvm_x86_64",
			"onie-installer-x86_64", "onie-installer"},
	}
)

// Flash is a device whose system is in its own memory, such as a network card with processors, or a
// BMC: it loads nothing, and its system asks for an address.
var Flash = Firmware{Name: "flash", Loader: "flash"}

var pxelinuxConfigs = []string{"pxelinux.cfg/{uuid}", "pxelinux.cfg/01-{mac}", "pxelinux.cfg/{hexip}", "pxelinux.cfg/default"}

// as is the firmware on another kind of machine.
func (f Firmware) as(name string, arch uint16, vendorClass string) Firmware {
	f.Name, f.Arch, f.VendorClass = name, []uint16{arch}, vendorClass
	return f
}

// pi is the firmware of a later Raspberry Pi, which has an EEPROM and asks for large blocks.
func (f Firmware) pi(name string, names ...string) Firmware {
	f.Name, f.Configs = name, names
	f.TFTP, f.SizeProbe = TFTPOptions{BlockSize: 1024, AskSize: true}, true
	return f
}

// cpu returns the names of the processor in shim and GRUB: the suffix of files and the name of the
// platform.
func (f Firmware) cpu() (suffix, platform string) {
	if len(f.Arch) > 0 {
		switch f.Arch[0] {
		case 11, 19:
			return "aa64", "arm64"
		case 6, 15:
			return "ia32", "i386"
		case 27, 28:
			return "riscv64", "riscv64"
		case 39, 40:
			return "loongarch64", "loongarch64"
		}
	}
	return "x64", "x86_64"
}

// udhcpc is the DHCP client of the running system.
var udhcpc = Firmware{
	Name: "udhcpc", VendorClass: "udhcp 1.35.0", Requested: []byte{1, 3, 6, 12, 15, 28, 42}, MaxSize: 576, ClientID: true,
	Resend: []time.Duration{time.Second, time.Second, time.Second, time.Second, time.Second},
}

// The TFTP options of shim, which uses its firmware's client, and of GRUB, which has its own.
var (
	shimTFTP     = TFTPOptions{BlockSize: 512, WindowSize: 4}
	pxelinuxTFTP = TFTPOptions{BlockSize: 1408, AskSize: true, Names: []string{"tsize", "blksize"}}
	grubTFTP     = TFTPOptions{BlockSize: 1024, AskSize: true, Names: []string{"blksize", "tsize"}}
)
