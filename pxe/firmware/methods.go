package firmware

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const DefaultHTTPPort = 5248

var (
	ipxeConfigs     = []string{"boot/{mac}/script.ipxe"}
	grubConfigs     = []string{"grub/grub.cfg", "grub/grub.cfg-01-{mac}", "grub/grub.cfg-default-{arch}"}
	pxelinuxConfigs = []string{"pxelinux.cfg/{uuid}", "pxelinux.cfg/01-{mac}", "pxelinux.cfg/{hexip}", "pxelinux.cfg/default"}
	ubootConfigs    = []string{"boot.scr.uimg", "pxelinux.cfg/{uuid}", "pxelinux.cfg/01-{mac}", "pxelinux.cfg/{hexip}",
		"pxelinux.cfg/default-arm", "pxelinux.cfg/default"}
	ukiConfigs  = []string{"boot/{mac}/uki.efi"}
	piConfigs   = []string{"config.txt", "cmdline.txt"}
	onieConfigs = []string{"boot/{mac}/onie-installer", "{mac}/onie-installer", "onie-installer-{onie}", "onie-installer-{arch}", "onie-installer"}
)

// Where what the table says was seen or is specified.
const (
	seenIPXE     = "iPXE 1.0.0+git-20190125 as ROM of a card, undionly.kpxe and snponly.efi, captured under QEMU; over IPv6 too"
	seenOVMF     = "EDK II (OVMF 2022.11), captured under QEMU over IPv4 and IPv6; UEFI 2.10 section 24.3"
	seenOVMFWeb  = "EDK II (OVMF 2022.11), captured under QEMU over IPv4 and IPv6; UEFI 2.10 section 24.7"
	seenAAVMF    = "EDK II for ARM (AAVMF 2022.11), captured under QEMU; UEFI 2.10 section 24.3"
	specWeb      = "UEFI 2.10 section 24.7; the registry of RFC 5970 has the type"
	specRISCV    = "UEFI 2.10 section 24.3; the registry of RFC 5970 has the type"
	specLoong    = "UEFI 2.10 section 24.3; the registry of RFC 5970 has the types of LoongArch"
	specUKI      = "the specification of unified kernel images: firmware runs them as any UEFI program, without a command line"
	specIA32     = "UEFI 2.10 section 24.3; RFC 4578 section 2.1, where 6 is what IA32 firmware sends"
	seenUBoot    = "U-Boot 2023.01 for QEMU's ARM boards, captured: it asks for boot.scr.uimg, then for pxelinux.cfg"
	seenUBootEFI = "U-Boot 2023.01 for QEMU's ARM board, captured: it asks as UEFI firmware does, with network interface 1.0.0, and cannot start shim"
	seenPXE      = "PXE ROMs after PXE 2.1; pxelinux and lpxelinux 6.04, captured under QEMU"
	docPetit     = "Petitboot's manual of its PXE parser: options 209 and 210, pxelinux.cfg by UUID, MAC and address"
	docS390      = "QEMU's manual of booting s390x from the network: s390-ccw reads pxelinux.cfg and option 210"
	docPi        = "Raspberry Pi documentation, network booting; nobodd's explanation of it: option 43, directory of the serial number, config.txt"
	docONIE      = "ONIE design specification, image discovery: options 60, 77, 114 and 67, default names, HTTP headers"
)

// Methods returns a fresh copy of the method table, in the order of matching. Change it to taste:
// put MethodNamed("bios-pxelinux") in front to serve pxelinux to BIOS machines, or replace a
// Loader.
func Methods() []Method {
	return append(uefiMethods(), otherMethods()...)
}

// uefiMethods are those that boot over IPv4 and IPv6 alike.
func uefiMethods() []Method {
	return []Method{
		{Name: "ipxe", UserClass: "iPXE", Proto: HTTP, Config: IPXE, Configs: ipxeConfigs, Source: seenIPXE},
		{Name: "uefi-amd64-http", Arch: []Arch{ArchEFI64HTTP, ArchEFI64}, VendorClass: "HTTPClient",
			Loader: "snponly.efi", Proto: HTTP, Config: IPXE, Configs: ipxeConfigs, Source: seenOVMFWeb},
		{Name: "uefi-arm64-http", Arch: []Arch{ArchARM64HTTP, ArchARM64}, VendorClass: "HTTPClient",
			Loader: "snponly-arm64.efi", Proto: HTTP, Config: IPXE, Configs: ipxeConfigs, Source: specWeb},
		// U-Boot runs UEFI programs without the calls by which shim fetches GRUB.
		{Name: "amd64-uboot-efi", Arch: []Arch{ArchEFI64}, VendorClass: "PXEClient", UBoot: true,
			Loader: "grubx64.efi", Proto: TFTP, Config: GRUB, Configs: grubConfigs, Source: seenUBootEFI},
		{Name: "arm64-uboot-efi", Arch: []Arch{ArchARM64}, VendorClass: "PXEClient", UBoot: true,
			Loader: "grubaa64.efi", Proto: TFTP, Config: GRUB, Configs: grubConfigs, Source: seenUBootEFI},
		{Name: "uefi-amd64-pxe", Arch: []Arch{ArchEFI64, ArchEBC}, VendorClass: "PXEClient",
			Loader: "shimx64.efi", Proto: TFTP, Config: GRUB, Configs: grubConfigs, Source: seenOVMF},
		{Name: "uefi-arm64-pxe", Arch: []Arch{ArchARM64}, VendorClass: "PXEClient",
			Loader: "shimaa64.efi", Proto: TFTP, Config: GRUB, Configs: grubConfigs, Source: seenAAVMF},
		{Name: "uefi-i386-pxe", Arch: []Arch{ArchEFI32}, VendorClass: "PXEClient",
			Loader: "shimia32.efi", Proto: TFTP, Config: GRUB, Configs: grubConfigs, Source: specIA32},
		{Name: "uefi-riscv64-http", Arch: []Arch{ArchRISCV64HTTP, ArchRISCV64}, VendorClass: "HTTPClient",
			Loader: "snponly-riscv64.efi", Proto: HTTP, Config: IPXE, Configs: ipxeConfigs, Source: specWeb},
		{Name: "uefi-riscv64-pxe", Arch: []Arch{ArchRISCV64}, VendorClass: "PXEClient", // there is no shim
			Loader: "grubriscv64.efi", Proto: TFTP, Config: GRUB, Configs: grubConfigs, Source: specRISCV},
		{Name: "uefi-loong64-http", Arch: []Arch{ArchLoong64HTTP, ArchLoong64}, VendorClass: "HTTPClient",
			Loader: "snponly-loong64.efi", Proto: HTTP, Config: IPXE, Configs: ipxeConfigs, Source: specLoong},
		{Name: "uefi-loong64-pxe", Arch: []Arch{ArchLoong64}, VendorClass: "PXEClient",
			Loader: "grubloongarch64.efi", Proto: TFTP, Config: GRUB, Configs: grubConfigs, Source: specLoong},
	}
}

func otherMethods() []Method {
	return []Method{
		{Name: "onie", UserClass: "onie_dhcp_user_class", Proto: HTTP, Config: ONIE, Configs: onieConfigs, IPv4Only: true, Source: docONIE},
		{Name: "powernv", Arch: []Arch{ArchPowerNV}, Proto: TFTP, Config: PXELINUX,
			Configs: prefixed("ppc64el/", pxelinuxConfigs), PathPrefix: "ppc64el/", IPv4Only: true, Source: docPetit},
		{Name: "s390x", Arch: []Arch{ArchS390Basic}, Proto: TFTP, Config: PXELINUX,
			Configs: prefixed("s390x/", pxelinuxConfigs), PathPrefix: "s390x/", IPv4Only: true, Source: docS390},
		{Name: "arm64-uboot", Arch: []Arch{ArchARM64UBoot}, Proto: TFTP, Config: PXELINUX, Configs: ubootConfigs, IPv4Only: true, Source: seenUBoot},
		{Name: "armhf-uboot", Arch: []Arch{ArchARM32UBoot}, Proto: TFTP, Config: PXELINUX, Configs: ubootConfigs, IPv4Only: true, Source: seenUBoot},
		{Name: "raspberry-pi", Arch: []Arch{ArchRaspberryPi}, Proto: TFTP, Config: RaspberryPi, Configs: piConfigs, IPv4Only: true, Source: docPi},
		{Name: "bios-pxe", Arch: []Arch{ArchBIOS}, VendorClass: "PXEClient",
			Loader: "undionly.kpxe", Proto: TFTP, Config: IPXE, Configs: ipxeConfigs, IPv4Only: true, Source: seenPXE},
		// The default: firmware that no method names is treated as a BIOS.
		{Name: "default", VendorClass: "PXEClient",
			Loader: "undionly.kpxe", Proto: TFTP, Config: IPXE, Configs: ipxeConfigs, IPv4Only: true,
			Source: "a choice of this package: what BIOS machines are handed"},
	}
}

// Alternatives returns methods that are in no default table, to be put in front of it: pxelinux for
// BIOS, iPXE for UEFI by PXE, and kernels that firmware runs itself.
func Alternatives() []Method {
	return []Method{
		{Name: "bios-pxelinux", Arch: []Arch{ArchBIOS}, VendorClass: "PXEClient",
			Loader: "pxelinux.0", Proto: TFTP, Config: PXELINUX, Configs: pxelinuxConfigs, IPv4Only: true, Source: seenPXE},
		{Name: "bios-lpxelinux", Arch: []Arch{ArchBIOS}, VendorClass: "PXEClient",
			Loader: "lpxelinux.0", Proto: TFTP, Config: PXELINUX, Configs: pxelinuxConfigs, IPv4Only: true, Source: seenPXE},
		{Name: "uefi-amd64-ipxe", Arch: []Arch{ArchEFI64, ArchEBC}, VendorClass: "PXEClient",
			Loader: "snponly.efi", Proto: TFTP, Config: IPXE, Configs: ipxeConfigs, Source: seenIPXE},
		{Name: "uefi-arm64-ipxe", Arch: []Arch{ArchARM64}, VendorClass: "PXEClient",
			Loader: "snponly-arm64.efi", Proto: TFTP, Config: IPXE, Configs: ipxeConfigs, Source: seenAAVMF},
		{Name: "uefi-riscv64-ipxe", Arch: []Arch{ArchRISCV64}, VendorClass: "PXEClient",
			Loader: "snponly-riscv64.efi", Proto: TFTP, Config: IPXE, Configs: ipxeConfigs, Source: specRISCV},
		{Name: "uefi-loong64-ipxe", Arch: []Arch{ArchLoong64}, VendorClass: "PXEClient",
			Loader: "snponly-loong64.efi", Proto: TFTP, Config: IPXE, Configs: ipxeConfigs, Source: specLoong},
		{Name: "uefi-http-uki", VendorClass: "HTTPClient", Proto: HTTP, Config: UKI, Configs: ukiConfigs, Source: specUKI,
			Arch: []Arch{ArchEFI64HTTP, ArchEFI64, ArchARM64HTTP, ArchARM64, ArchEFI32HTTP, ArchEFI32, ArchRISCV64HTTP, ArchRISCV64, ArchLoong64HTTP, ArchLoong64}},
		{Name: "uefi-uki", VendorClass: "PXEClient", Proto: TFTP, Config: UKI, Configs: ukiConfigs, Source: specUKI,
			Arch: []Arch{ArchEFI64, ArchEBC, ArchARM64, ArchEFI32, ArchRISCV64, ArchLoong64}},
	}
}

// Prefer returns methods with the ones of a loader (IPXE, GRUB or UKI) before the others, those of
// Alternatives among them. Rows that know a client by its user class stay first: iPXE that runs
// already is not replaced. Firmware for which the loader has no row keeps what it had.
func Prefer(methods []Method, loader Language) []Method {
	var first, preferred, rest []Method
	for _, m := range methods {
		switch {
		case m.UserClass != "":
			first = append(first, m)
		case m.serves(loader):
			preferred = append(preferred, m)
		default:
			rest = append(rest, m)
		}
	}
	for _, m := range Alternatives() {
		known := slices.ContainsFunc(preferred, func(p Method) bool { return p.Name == m.Name })
		if m.serves(loader) && !known {
			preferred = append(preferred, m)
		}
	}
	return slices.Concat(first, preferred, rest)
}

// serves reports whether a method leads UEFI firmware to a loader. The row for all firmware does
// not count: in front it would hide the others.
func (m Method) serves(loader Language) bool {
	return m.Config == loader && len(m.Arch) > 0 && m.Arch[0].UEFI()
}

// MethodNamed returns a method of Methods or of Alternatives.
func MethodNamed(name string) (Method, bool) {
	all := append(Methods(), Alternatives()...)
	i := slices.IndexFunc(all, func(m Method) bool { return m.Name == name })
	if i < 0 {
		return Method{}, false
	}
	return all[i], true
}

func prefixed(prefix string, names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = prefix + n
	}
	return out
}

// Matches reports whether the method is for the client, and which of its architectures it is for.
func (m Method) Matches(c Client) (Arch, bool) {
	if m.UserClass != "" && !slices.Contains(c.UserClasses, m.UserClass) && !(m.UserClass == "iPXE" && c.IPXE) {
		return ArchUnknown, false
	}
	if !strings.HasPrefix(c.VendorClass, m.VendorClass) || m.UBoot && !c.UBoot {
		return ArchUnknown, false
	}
	if m.Config == RaspberryPi {
		return ArchRaspberryPi, c.IsRaspberryPi()
	}
	if len(m.Arch) == 0 {
		if len(c.Arch) > 0 {
			return c.Arch[0], true
		}
		return ArchUnknown, true
	}
	for _, a := range c.Arch {
		if slices.Contains(m.Arch, a) {
			return a, true
		}
	}
	return ArchUnknown, false
}

// Select returns what to hand the client, from the first of methods that matches it. It reports
// false for a client that does not want to boot from the network.
func Select(methods []Method, c Client, at Endpoint) (Offer, bool) {
	for _, m := range methods {
		if arch, ok := m.Matches(c); ok && !(m.IPv4Only && at.IsIPv6()) {
			return newOffer(m, arch, c, at), true
		}
	}
	return Offer{}, false
}

func newOffer(m Method, arch Arch, c Client, at Endpoint) Offer {
	o := Offer{Method: m, Arch: arch, NextServer: at.Addr, PathPrefix: m.PathPrefix}
	o.File = m.Loader
	if m.Loader == "" {
		o.File = firstConfig(m, arch, c)
	}
	switch {
	case o.File == "":
	case m.Proto == HTTP:
		o.File = at.URL() + "/" + o.File
	case at.IsIPv6(): // DHCPv6 knows no next server: RFC 5970 section 3.1 wants a URL
		o.File = "tftp://[" + at.Addr.WithZone("").String() + "]/" + o.File
	}
	if m.Config == ONIE {
		o.DefaultURL = o.File
	}
	if strings.HasPrefix(c.VendorClass, "HTTPClient") {
		o.VendorClass = "HTTPClient"
	}
	o.NoProxyWait = slices.ContainsFunc(Quirks(), func(q Quirk) bool { return q.Applies(NoProxyWait, m.Name) })
	return o
}

// firstConfig returns the file for a client that is a loader already. Loaders in the style of
// pxelinux find their configuration by themselves. If DHCP did not carry the client's MAC address,
// the file asks for it.
func firstConfig(m Method, arch Arch, c Client) string {
	switch {
	case m.Config == ONIE && len(c.MAC) == 0:
		return "onie-installer"
	case m.Config == ONIE:
		return "boot/" + FormatMAC(c.MAC) + "/onie-installer"
	case m.Config == UKI && len(c.MAC) == 0:
		return "uki.efi"
	case m.Config == UKI:
		return "boot/" + FormatMAC(c.MAC) + "/uki.efi"
	case m.Config != IPXE:
		return ""
	}
	f := "ipxe.cfg"
	if len(c.MAC) > 0 {
		f = "boot/" + FormatMAC(c.MAC) + "/script.ipxe"
	}
	if arch != ArchUnknown {
		f += "?arch=" + strconv.Itoa(int(arch))
	}
	return f
}

func (at Endpoint) IsIPv6() bool { return at.Addr.Is6() && !at.Addr.Is4In6() }

// URL returns the base of the HTTP server, without a trailing slash. An invalid Addr gives "",
// which makes links relative.
func (at Endpoint) URL() string {
	if !at.Addr.IsValid() {
		return ""
	}
	port := at.HTTPPort
	if port == 0 {
		port = DefaultHTTPPort
	}
	return "http://" + netip.AddrPortFrom(at.Addr.Unmap().WithZone(""), uint16(port)).String()
}
