package siteexport

import (
	"fmt"
	"net"
	"slices"

	"github.com/gomaas/maas/pxe/firmware"
)

// bootFile is the file that firmware of some architectures fetches first.
type bootFile struct {
	archs []uint16 // numbers of option 93; none = all others
	http  bool     // by the vendor class HTTPClient, and the file is a URL
	file  string
}

// bootFiles are the boot files of the server that has them. Each architecture is in one of them
// without, and in one with HTTP.
func (p *page) bootFiles(is4 bool) (out []bootFile) {
	if p.o.BootServer == "" {
		return nil
	}
	seen := map[bool][]uint16{}
	for _, m := range firmware.Methods() {
		b := bootFile{http: m.Proto == firmware.HTTP, file: m.Loader}
		// Other servers select by architecture alone, and U-Boot has the number of all UEFI firmware:
		// it is handed what these start.
		if m.Loader == "" || m.VendorClass == "" || m.IPv4Only && !is4 || m.UBoot {
			continue
		}
		for _, a := range m.Arch {
			if !slices.Contains(seen[b.http], uint16(a)) {
				b.archs = append(b.archs, uint16(a))
				seen[b.http] = append(seen[b.http], uint16(a))
			}
		}
		if len(b.archs) == 0 && len(m.Arch) > 0 {
			continue
		}
		if b.http {
			b.file = p.bootURL(b.file)
		} else if !is4 {
			b.file = "tftp://" + p.bootHost() + "/" + b.file
		}
		out = append(out, b)
	}
	return out
}

// bootHost is the boot server as part of a URL.
func (p *page) bootHost() string {
	if ip := net.ParseIP(p.o.BootServer); ip != nil && ip.To4() == nil {
		return "[" + p.o.BootServer + "]"
	}
	return p.o.BootServer
}

func (p *page) bootURL(file string) string {
	return fmt.Sprintf("http://%s:%d/%s", p.bootHost(), firmware.DefaultHTTPPort, file)
}

// scriptURL is the script that iPXE fetches: it puts the MAC address of its interface in the place
// of the setting.
func (p *page) scriptURL() string { return p.bootURL("boot/${netX/mac:hexhyp}/script.ipxe") }

// boots decides on the fields of boots, which DHCP servers have alike.
func (p *page) boots() {
	for i := range p.doc.BootProfiles {
		b := &p.doc.BootProfiles[i]
		why := "the boot server has the profiles; name it with --boot-server"
		if p.o.BootServer != "" {
			why = "the boot server has the profiles"
		}
		p.left(why, &b.Machine, &b.Tag, &b.Subnet, &b.Profile)
	}
}
