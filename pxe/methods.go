package pxe

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const defaultHTTPPort = 5248

var (
	ipxeConfigs     = []string{"boot/{mac}/script.ipxe"}
	grubConfigs     = []string{"grub/grub.cfg", "grub/grub.cfg-01-{mac}", "grub/grub.cfg-default-{arch}"}
	pxelinuxConfigs = []string{"pxelinux.cfg/{uuid}", "pxelinux.cfg/01-{mac}", "pxelinux.cfg/{hexip}", "pxelinux.cfg/default"}
)

// Methods returns a fresh copy of the method table, in the order of matching.
// Change it to taste: put MethodNamed("bios-pxelinux") in front to serve
// pxelinux to BIOS machines, or replace a Loader.
func Methods() []Method {
	return []Method{
		{Name: "ipxe", UserClass: "iPXE", Proto: HTTP, Config: IPXE, Configs: ipxeConfigs},
		{Name: "uefi-amd64-http", Arch: []Arch{ArchEFI64HTTP, ArchEFI64}, VendorClass: "HTTPClient",
			Loader: "snponly.efi", Proto: HTTP, Config: IPXE, Configs: ipxeConfigs},
		{Name: "uefi-arm64-http", Arch: []Arch{ArchARM64HTTP, ArchARM64}, VendorClass: "HTTPClient",
			Loader: "snponly-arm64.efi", Proto: HTTP, Config: IPXE, Configs: ipxeConfigs},
		{Name: "uefi-amd64-pxe", Arch: []Arch{ArchEFI64, ArchEBC}, VendorClass: "PXEClient",
			Loader: "shimx64.efi", Proto: TFTP, Config: GRUB, Configs: grubConfigs},
		{Name: "uefi-arm64-pxe", Arch: []Arch{ArchARM64}, VendorClass: "PXEClient",
			Loader: "shimaa64.efi", Proto: TFTP, Config: GRUB, Configs: grubConfigs},
		{Name: "uefi-i386-pxe", Arch: []Arch{ArchEFI32}, VendorClass: "PXEClient",
			Loader: "shimia32.efi", Proto: TFTP, Config: GRUB, Configs: grubConfigs},
		{Name: "powernv", Arch: []Arch{ArchPowerNV}, Proto: TFTP, Config: PXELINUX,
			Configs: prefixed("ppc64el/", pxelinuxConfigs), PathPrefix: "ppc64el/"},
		{Name: "s390x", Arch: []Arch{ArchS390Basic}, Proto: TFTP, Config: PXELINUX,
			Configs: prefixed("s390x/", pxelinuxConfigs), PathPrefix: "s390x/"},
		{Name: "arm64-uboot", Arch: []Arch{ArchARM64UBoot}, Proto: TFTP, Config: PXELINUX, Configs: pxelinuxConfigs},
		{Name: "armhf-uboot", Arch: []Arch{ArchARM32UBoot}, Proto: TFTP, Config: PXELINUX, Configs: pxelinuxConfigs},
		{Name: "bios-pxe", Arch: []Arch{ArchBIOS}, VendorClass: "PXEClient",
			Loader: "undionly.kpxe", Proto: TFTP, Config: IPXE, Configs: ipxeConfigs},
		// The stated default: firmware nobody has heard of is treated as a BIOS.
		{Name: "default", VendorClass: "PXEClient",
			Loader: "undionly.kpxe", Proto: TFTP, Config: IPXE, Configs: ipxeConfigs},
	}
}

// MethodNamed returns a method of Methods or one of the alternatives that are
// in no default table: "bios-pxelinux", "bios-lpxelinux", "uefi-amd64-ipxe".
func MethodNamed(name string) (Method, bool) {
	all := append(Methods(),
		Method{Name: "bios-pxelinux", Arch: []Arch{ArchBIOS}, VendorClass: "PXEClient",
			Loader: "pxelinux.0", Proto: TFTP, Config: PXELINUX, Configs: pxelinuxConfigs},
		Method{Name: "bios-lpxelinux", Arch: []Arch{ArchBIOS}, VendorClass: "PXEClient",
			Loader: "lpxelinux.0", Proto: TFTP, Config: PXELINUX, Configs: pxelinuxConfigs},
		Method{Name: "uefi-amd64-ipxe", Arch: []Arch{ArchEFI64, ArchEBC}, VendorClass: "PXEClient",
			Loader: "snponly.efi", Proto: TFTP, Config: IPXE, Configs: ipxeConfigs},
	)
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

// Matches reports whether the method is for the client, and which of its
// architectures it is for.
func (m Method) Matches(c Client) (Arch, bool) {
	if m.UserClass != "" && m.UserClass != c.UserClass && !(m.UserClass == "iPXE" && c.IPXE) {
		return ArchUnknown, false
	}
	if !strings.HasPrefix(c.VendorClass, m.VendorClass) {
		return ArchUnknown, false
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

// Select returns what to hand the client, from the first of methods that
// matches it. It reports false for a client that does not want to boot from the
// network.
func Select(methods []Method, c Client, at Endpoint) (Offer, bool) {
	for _, m := range methods {
		if arch, ok := m.Matches(c); ok {
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
	if m.Proto == HTTP {
		o.File = at.URL() + "/" + o.File
	}
	if strings.HasPrefix(c.VendorClass, "HTTPClient") {
		o.VendorClass = "HTTPClient"
	}
	o.NoProxyWait = hasEffect(m.Name, NoProxyWait)
	return o
}

// firstConfig is what a client that is a loader already is handed. Pxelinux
// style loaders find their configuration by themselves.
func firstConfig(m Method, arch Arch, c Client) string {
	if m.Config != IPXE {
		return ""
	}
	id := unknownID
	if len(c.MAC) > 0 {
		id = FormatMAC(c.MAC)
	}
	f := "boot/" + id + "/script.ipxe"
	if arch != ArchUnknown {
		f += "?arch=" + strconv.Itoa(int(arch))
	}
	return f
}

// URL returns the base of the HTTP server, without a trailing slash. An invalid
// Addr gives "", which makes links relative.
func (at Endpoint) URL() string {
	if !at.Addr.IsValid() {
		return ""
	}
	port := at.HTTPPort
	if port == 0 {
		port = defaultHTTPPort
	}
	return "http://" + netip.AddrPortFrom(at.Addr.Unmap().WithZone(""), uint16(port)).String()
}
