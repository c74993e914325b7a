package pxe

import (
	"net"
	"path"
	"strings"

	"github.com/gomaas/maas/pxe/tftp"
)

// unknownID is the ID in paths of a machine that could not be identified.
const unknownID = "unknown"

// resource is the meaning of a path. TFTP and HTTP share one name space:
//
//	boot/ID/script.ipxe, grub.cfg, pxelinux.cfg   the profile of machine ID
//	boot/ID/kernel/FILE, boot/ID/initrd/FILE      files, attributed to it
//	boot/ID/onie-installer                        its installer, for ONIE
//	boot/ID/done                                  its report (POST)
//	images/FILE                                   files
//	ipxe.cfg[-MAC | -default-ARCH]                iPXE, MAAS's names
//	[DIR/]grub.cfg[-01-MAC | -MAC | -default-ARCH] GRUB
//	[PREFIX/]pxelinux.cfg/NAME                    pxelinux and its imitators
//	[MAC/]onie-installer[-...]                    ONIE
//	anything else                                 a boot loader
//
// ID is a MAC address with dashes, or "unknown".
type resource struct {
	kind  kind
	lang  Language
	mac   net.HardwareAddr // from the path
	uuid  string           // from the path
	arch  Arch             // from the path, else ArchUnknown
	named bool             // the path names a machine, or the default of an architecture
	file  string           // for kindFile and kindLoader
	stage Stage
}

type kind int

const (
	kindNone kind = iota // no such path
	kindConfig
	kindFile
	kindLoader
	kindInstaller
	kindDone
)

// parsePath maps a cleaned name to what it names.
func parsePath(name string) resource {
	first, rest, _ := strings.Cut(name, "/")
	switch {
	case hasPathPrefix(first, rest):
		// A client with option 210 (path prefix) puts it before all names.
		return parsePath(rest)
	case first == "boot" && rest != "":
		return parseBoot(rest)
	case first == "images" && rest != "":
		return resource{kind: kindFile, arch: ArchUnknown, file: rest, stage: StageFile}
	case first == "grub", strings.HasPrefix(path.Base(name), "grub.cfg"):
		return parseGRUB(path.Base(name))
	case strings.HasPrefix(name, "ipxe.cfg"):
		return parseSuffix(IPXE, strings.TrimPrefix(name, "ipxe.cfg"))
	}
	if dir, base := path.Split(name); path.Base(dir) == "pxelinux.cfg" {
		return parsePXELinux(base, archOfPrefix(first))
	} else if strings.HasPrefix(base, onieInstaller) {
		return parseONIE(path.Base(dir))
	}
	return resource{kind: kindLoader, arch: ArchUnknown, file: name, stage: StageLoader}
}

// hasPathPrefix reports whether dir is the path prefix of a method before a name of ours.
func hasPathPrefix(dir, rest string) bool {
	return (dir == "ppc64el" || dir == "s390x") && (strings.HasPrefix(rest, "boot/") || strings.HasPrefix(rest, "images/"))
}

// parseBoot reads what follows boot/.
func parseBoot(rest string) resource {
	id, what, _ := strings.Cut(rest, "/")
	res := resource{arch: ArchUnknown, named: true}
	if id != unknownID {
		var err error
		if res.mac, err = ParseMAC(id); err != nil {
			return resource{}
		}
	}
	action, file, hasFile := strings.Cut(what, "/")
	switch {
	case action == "script.ipxe" && !hasFile:
		res.kind, res.lang, res.stage = kindConfig, IPXE, StageConfig
	case action == "grub.cfg" && !hasFile:
		res.kind, res.lang, res.stage = kindConfig, GRUB, StageConfig
	case action == "pxelinux.cfg" && !hasFile:
		res.kind, res.lang, res.stage = kindConfig, PXELINUX, StageConfig
	case action == onieInstaller && !hasFile:
		res.kind, res.lang, res.stage = kindInstaller, ONIE, StageKernel
	case action == "done" && !hasFile:
		res.kind, res.stage = kindDone, StageRunning
	case action == "kernel" && file != "":
		res.kind, res.file, res.stage = kindFile, file, StageKernel
	case action == "initrd" && file != "":
		res.kind, res.file, res.stage = kindFile, file, StageInitrd
	default:
		return resource{}
	}
	return res
}

// parseGRUB reads the last element of a path below grub/, or of a grub.cfg beside the loader, where
// some distributions look. The module lists are absent, as a signed image needs none.
func parseGRUB(base string) resource {
	suffix, ok := strings.CutPrefix(base, "grub.cfg")
	if !ok {
		return resource{}
	}
	return parseSuffix(GRUB, suffix)
}

// parseSuffix reads the part of a config's name that says whom it is for.
func parseSuffix(lang Language, suffix string) resource {
	res := resource{kind: kindConfig, lang: lang, arch: ArchUnknown, stage: StageConfig}
	if suffix == "" {
		return res
	}
	res.named = true
	if arch, ok := strings.CutPrefix(suffix, "-default"); ok {
		res.arch = archNamed(strings.TrimLeft(arch, "-."))
		return res
	}
	mac, err := ParseMAC(strings.TrimPrefix(suffix, "-"))
	if err != nil {
		return resource{}
	}
	res.mac = mac
	return res
}

// parsePXELinux reads a name below pxelinux.cfg/. The address in hexadecimal adds nothing to the
// source address, and its shortened forms would name whole subnets, so these are absent.
func parsePXELinux(base string, arch Arch) resource {
	res := resource{kind: kindConfig, lang: PXELINUX, arch: arch, named: true, stage: StageConfig}
	if def, ok := strings.CutPrefix(base, "default"); ok {
		// U-Boot asks for default-arm on 64-bit boards, too.
		if name := strings.TrimLeft(def, "-."); archNamed(name) != ArchUnknown && name != "arm" {
			res.arch = archNamed(name)
		}
		return res
	}
	if res.uuid = parseUUID(base); res.uuid != "" {
		return res
	}
	var err error
	if res.mac, err = ParseMAC(base); err != nil {
		return resource{}
	}
	return res
}

const onieInstaller = "onie-installer"

// parseONIE reads one of the names under which ONIE looks for an installer. It tries them below its
// MAC address and other things first; what follows the name says what hardware it is, which the
// profile of the machine knows better.
func parseONIE(dir string) resource {
	res := resource{kind: kindInstaller, lang: ONIE, arch: ArchUnknown, stage: StageKernel}
	res.mac, _ = ParseMAC(dir)
	return res
}

// archNamed turns the processor name in a config's file name into the firmware type that is most
// likely behind it.
func archNamed(name string) Arch {
	name, _, _ = strings.Cut(strings.ToLower(name), "-")
	switch name {
	case "amd64", "x86_64":
		return ArchEFI64
	case "i386":
		return ArchEFI32
	case "arm64", "aarch64":
		return ArchARM64
	case "arm", "armhf":
		return ArchARM32
	case "ppc64el", "ppc64le", "powerpc", "ppc64":
		return ArchPowerNV
	case "s390x":
		return ArchS390Basic
	case "riscv64":
		return ArchRISCV64
	}
	return ArchUnknown
}

// archOfPrefix is the firmware that was sent to a directory by option 210; all others look at the
// top, pxelinux and U-Boot alike.
func archOfPrefix(dir string) Arch {
	if dir == "pxelinux.cfg" {
		return ArchUnknown
	}
	return archNamed(dir)
}

// pathID is the ID of a request's machine in paths.
func pathID(r Request) string {
	if len(r.MAC) == 0 {
		return unknownID
	}
	return FormatMAC(r.MAC)
}

// cleanName cleans a name from the network; see tftp.CleanPath. A name that is no path at all is
// kindNone's.
func cleanName(name string) (string, bool) { return tftp.CleanPath(name) }
