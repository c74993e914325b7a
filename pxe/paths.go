package pxe

import (
	"net"
	"path"
	"strings"

	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/pxe/tftp"
)

// unknownID is the ID in paths of a machine that could not be identified.
const unknownID = "unknown"

// resource is the meaning of a path. TFTP and HTTP share one name space:
//
//	boot/ID/script.ipxe, grub.cfg, pxelinux.cfg   the profile of machine ID
//	boot/ID/kernel/FILE, boot/ID/initrd/FILE      files, attributed to it
//	boot/ID/menu/ENTRY/...                        the same of an entry of its menu
//	boot/ID/esxi/FILE                             mboot, boot.cfg and modules of VMware ESXi
//	boot/ID/onie-installer                        its installer, for ONIE
//	boot/ID/uki.efi, uki.efi                      its kernel, for firmware that runs it itself
//	boot/ID/done[/NONCE]                          its report (POST)
//	images/FILE                                   files
//	[DIR/]ipxe.cfg[-MAC | -default-ARCH]          iPXE, MAAS's names
//	[DIR/]autoexec.ipxe                           iPXE's own name
//	[DIR/]grub.cfg[-01-MAC | -MAC | -default-ARCH] GRUB
//	[PREFIX/]pxelinux.cfg/NAME                    pxelinux and its imitators
//	[MAC/]onie-installer[-...]                    ONIE
//	config.txt, cmdline.txt, kernel8.img, initrdN.img  the firmware of a Raspberry Pi
//	anything else                                 a boot loader, or another file beside the loaders
//
// ID is a MAC address with dashes, or "unknown".
type resource struct {
	kind  kind
	lang  firmware.Language
	mac   net.HardwareAddr // from the path
	uuid  string           // from the path
	arch  firmware.Arch    // from the path, else ArchUnknown
	named bool             // the path names a machine, or the default of an architecture
	file  string           // for kindFile and kindLoader
	nonce string           // for kindDone
	entry string           // of the machine's menu
	whole string           // the whole name, where the operator may have a file of that name
	stage Stage
}

type kind int

const (
	kindNone kind = iota // no such path
	kindConfig
	kindFile
	kindLoader
	kindInstaller
	kindESXi
	kindPi
	kindDone
)

// parsePath maps a cleaned name to what it names. A name that is none of ours is a boot loader's or
// another file of the operator's, also below the directories that our own names begin with: GRUB
// images and other servers' configurations use the same ones.
func parsePath(name string) resource {
	first, rest, _ := strings.Cut(name, "/")
	own := name
	if first == "ppc64el" || first == "s390x" {
		own = rest // a client with option 210 (path prefix) puts it before all names
	}
	switch dir, below, _ := strings.Cut(own, "/"); {
	case dir == "boot":
		if res := parseBoot(below); res.kind != kindNone {
			return res
		}
	case dir == "images" && below != "":
		return resource{kind: kindFile, arch: firmware.ArchUnknown, file: below, whole: name, stage: StageFile}
	}
	if res, ok := parsePi(name); ok {
		return res
	}
	if res, ok := parseConfig(name, first); ok {
		return res
	}
	return resource{kind: kindLoader, arch: firmware.ArchUnknown, file: name, stage: StageLoader}
}

// parseConfig reads the names of configurations. Loaders ask for them below any prefix: the
// directory of the loader, or what the tool that made the loader wrote into it.
func parseConfig(name, first string) (resource, bool) {
	dir, base := path.Split(name)
	var res resource
	switch {
	case strings.HasPrefix(base, "grub.cfg"):
		res = parseSuffix(firmware.GRUB, strings.TrimPrefix(base, "grub.cfg"))
	case strings.HasPrefix(base, "ipxe.cfg"):
		res = parseSuffix(firmware.IPXE, strings.TrimPrefix(base, "ipxe.cfg"))
	case strings.EqualFold(base, autoexec):
		res = parseSuffix(firmware.IPXE, "")
	case path.Base(dir) == "pxelinux.cfg":
		res = parsePXELinux(base, archOfPrefix(first))
	case strings.EqualFold(path.Base(dir), "extlinux") && base == "extlinux.conf": // U-Boot's name on disks
		res = resource{kind: kindConfig, lang: firmware.PXELINUX, arch: firmware.ArchUnknown, stage: StageConfig}
	case name == ukiName:
		res = resource{kind: kindInstaller, lang: firmware.UKI, arch: firmware.ArchUnknown, stage: StageKernel}
	case strings.HasPrefix(base, onieInstaller):
		res = parseONIE(path.Base(dir))
	default:
		return resource{}, false
	}
	if res.kind == kindNone {
		// One of the further names that loaders try, such as an address in hexadecimal: the
		// operator may have it.
		res = resource{kind: kindLoader, arch: firmware.ArchUnknown, file: name, stage: StageConfig}
	}
	res.whole = name
	return res, true
}

// autoexec is the script that iPXE runs when it was loaded by UEFI firmware, from the directory of
// its own file.
const autoexec = "autoexec.ipxe"

// parseBoot reads what follows boot/.
func parseBoot(rest string) resource {
	id, what, _ := strings.Cut(rest, "/")
	res := resource{arch: firmware.ArchUnknown, named: true}
	if id != unknownID {
		var err error
		if res.mac, err = firmware.ParseMAC(id); err != nil {
			return resource{}
		}
	}
	if below, ok := strings.CutPrefix(what, "menu/"); ok {
		res.entry, what, _ = strings.Cut(below, "/")
		if !isMenuName(res.entry) {
			return resource{}
		}
	}
	action, file, hasFile := strings.Cut(what, "/")
	switch {
	case action == "script.ipxe" && !hasFile:
		res.kind, res.lang, res.stage = kindConfig, firmware.IPXE, StageConfig
	case action == "grub.cfg" && !hasFile:
		res.kind, res.lang, res.stage = kindConfig, firmware.GRUB, StageConfig
	case action == "pxelinux.cfg" && !hasFile:
		res.kind, res.lang, res.stage = kindConfig, firmware.PXELINUX, StageConfig
	case action == onieInstaller && !hasFile && res.entry == "":
		res.kind, res.lang, res.stage = kindInstaller, firmware.ONIE, StageKernel
	case action == ukiName && !hasFile && res.entry == "":
		res.kind, res.lang, res.stage = kindInstaller, firmware.UKI, StageKernel
	case action == "done" && res.entry == "" && !strings.Contains(file, "/"):
		res.kind, res.stage, res.nonce = kindDone, StageRunning, file
	case action == "esxi" && file != "":
		res.kind, res.lang, res.file, res.stage = kindESXi, firmware.IPXE, file, StageInitrd
		switch {
		case path.Base(file) == esxiBoot:
			res.stage = StageConfig
		case strings.HasPrefix(path.Base(file), "mboot."):
			res.stage = StageKernel
		}
	case action == "kernel" && file != "":
		res.kind, res.file, res.stage = kindFile, file, StageKernel
	case action == "initrd" && file != "":
		res.kind, res.file, res.stage = kindFile, file, StageInitrd
	default:
		return resource{}
	}
	return res
}

// parseSuffix reads the part of a config's name that says whom it is for.
func parseSuffix(lang firmware.Language, suffix string) resource {
	res := resource{kind: kindConfig, lang: lang, arch: firmware.ArchUnknown, stage: StageConfig}
	if suffix == "" {
		return res
	}
	res.named = true
	if arch, ok := strings.CutPrefix(suffix, "-default"); ok {
		res.arch = archNamed(strings.TrimLeft(arch, "-."))
		return res
	}
	mac, err := firmware.ParseMAC(strings.TrimPrefix(suffix, "-"))
	if err != nil {
		return resource{}
	}
	res.mac = mac
	return res
}

// parsePXELinux reads a name below pxelinux.cfg/. The address in hexadecimal adds nothing to the
// source address, and its shortened forms would name whole subnets, so these are absent.
func parsePXELinux(base string, arch firmware.Arch) resource {
	res := resource{kind: kindConfig, lang: firmware.PXELINUX, arch: arch, named: true, stage: StageConfig}
	if def, ok := strings.CutPrefix(base, "default"); ok {
		// U-Boot asks for default-arm on 64-bit boards, too.
		name, _, _ := strings.Cut(strings.TrimLeft(def, "-."), "-") // default-arm-bcm283x-rpi
		if arch := archNamed(name); arch != firmware.ArchUnknown && name != "arm" {
			res.arch = arch
		}
		return res
	}
	if res.uuid = parseUUID(base); res.uuid != "" {
		return res
	}
	var err error
	if res.mac, err = firmware.ParseMAC(base); err != nil {
		return resource{}
	}
	return res
}

// ukiName is the kernel of a machine's profile for firmware that runs it itself.
const ukiName = "uki.efi"

const onieInstaller = "onie-installer"

// parseONIE reads one of the names under which ONIE looks for an installer. It tries them below its
// MAC address and other things first; what follows the name says what hardware it is, which the
// profile of the machine knows better.
func parseONIE(dir string) resource {
	res := resource{kind: kindInstaller, lang: firmware.ONIE, arch: firmware.ArchUnknown, stage: StageKernel}
	res.mac, _ = firmware.ParseMAC(dir)
	return res
}

// archNamed turns the processor name in a config's file name into the firmware type that is most
// likely behind it.
func archNamed(name string) firmware.Arch {
	name, _, _ = strings.Cut(strings.ToLower(name), "-")
	switch name {
	case "amd64", "x86_64":
		return firmware.ArchEFI64
	case "i386":
		return firmware.ArchEFI32
	case "arm64", "aarch64":
		return firmware.ArchARM64
	case "arm", "armhf":
		return firmware.ArchARM32
	case "ppc64el", "ppc64le", "powerpc", "ppc64":
		return firmware.ArchPowerNV
	case "s390x":
		return firmware.ArchS390Basic
	case "riscv64":
		return firmware.ArchRISCV64
	case "loong64", "loongarch64":
		return firmware.ArchLoong64
	}
	return firmware.ArchUnknown
}

// archOfPrefix is the firmware that was sent to a directory by option 210; all others look at the
// top, pxelinux and U-Boot alike.
func archOfPrefix(dir string) firmware.Arch {
	if dir == "pxelinux.cfg" {
		return firmware.ArchUnknown
	}
	return archNamed(dir)
}

// pathID is the ID of a request's machine in paths.
func pathID(r Request) string {
	if len(r.MAC) == 0 {
		return unknownID
	}
	return firmware.FormatMAC(r.MAC)
}

// requested returns the names that a client may have meant, likeliest first; see tftp.Names.
func requested(name string) []string {
	if len(name) > maxPath {
		return nil
	}
	return tftp.Names(name)
}

// cleanName cleans a name from the network; see tftp.CleanPath. A name that is no path at all is
// kindNone's.
func cleanName(name string) (string, bool) { return tftp.CleanPath(name) }
