package firmware

import (
	"fmt"
	"path"
	"strings"
)

// Effect names the change that a quirk makes.
type Effect string

// The effects that quirks have.
const (
	// NoProxyWait sends option 175.176=1 to iPXE.
	NoProxyWait Effect = "no-proxy-wait"
	// OptionalFile makes the absence of a file a normal answer.
	OptionalFile Effect = "optional-file"
	// SizeProbe makes an aborted first transfer a normal answer.
	SizeProbe Effect = "size-probe"
)

// Quirk is one oddity of firmware or a loader that the server allows for.
type Quirk struct {
	Name   string
	Effect Effect
	Method string // glob on the method name; empty matches all
	Path   string // glob on any one element of a file name; empty matches all
	Source string // where it was seen
}

// Check refuses what would never apply.
func (q Quirk) Check() error {
	for _, pattern := range []string{q.Method, q.Path} {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("pxe: Config.Quirks: %s: pattern %q is not a glob, see path.Match", q.Name, pattern)
		}
	}
	switch q.Effect {
	case NoProxyWait, OptionalFile, SizeProbe:
		return nil
	}
	return fmt.Errorf("pxe: Config.Quirks: %s: effect %q is not known; use %s, %s or %s", q.Name, q.Effect, NoProxyWait, OptionalFile, SizeProbe)
}

// Applies reports whether the quirk has an effect with a method.
func (q Quirk) Applies(e Effect, method string) bool { return q.Effect == e && glob(q.Method, method) }

// Quirks returns the default quirk table.
func Quirks() []Quirk {
	return []Quirk{
		{"ipxe-proxy-wait", NoProxyWait, "ipxe", "",
			"iPXE 1.0.0+git-20190125 waits 2-3 s for proxyDHCP offers unless option 175.176 is 1"},
		{"shim-revocations", OptionalFile, "", "revocations_s*.efi",
			"shim 15.8 asks for revocations_sku.efi and revocations_sbat.efi before GRUB; each may be absent"},
		{"shim-certificate", OptionalFile, "", "shim_certificate_*.efi",
			"shim 15.8 asks for shim_certificate_0.efi; it may be absent"},
		{"grub-lists", OptionalFile, "", "*.lst",
			"GRUB 2.06 asks for command, fs, crypto and terminal .lst of its modules; a signed image needs none"},
		{"grub-platform-config", OptionalFile, "", "grub.cfg*",
			"GRUB tries several names of its configuration and uses the first that exists"},
		{"pxelinux-search", OptionalFile, "", "pxelinux.cfg",
			"pxelinux 6.04 tries UUID, MAC, the address shortened digit by digit and default"},
		{"uboot-script", OptionalFile, "", "boot.scr*",
			"U-Boot 2023.01 asks for boot.scr.uimg before pxelinux.cfg; it may be absent"},
		{"ipxe-autoexec", OptionalFile, "", "autoexec.ipxe",
			"iPXE for UEFI asks for autoexec.ipxe beside its own file, and goes on without it"},
		{"onie-search", OptionalFile, "", "onie-*",
			"ONIE tries onie-installer and onie-updater with its hardware in the name, from the longest to the shortest"},
		{"ovmf-size-probe", SizeProbe, "", "",
			"EDK II reads each file twice: the first request has tsize and ends in ERROR 8 after the OACK"},
	}
}

// Optional reports whether the absence of a file is a normal answer.
func Optional(quirks []Quirk, name string) bool {
	for _, q := range quirks {
		if q.Effect != OptionalFile {
			continue
		}
		for part := range strings.SplitSeq(strings.ToLower(name), "/") { // firmware writes FAT's names
			if glob(q.Path, part) {
				return true
			}
		}
	}
	return false
}

func glob(pattern, s string) bool {
	ok, _ := path.Match(pattern, s)
	return pattern == "" || ok
}
