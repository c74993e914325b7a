package pxe

import (
	"fmt"
	"strings"
)

// renderPXELinux writes a pxelinux configuration. Paths are relative to the loader; lpxelinux and
// Petitboot also take URLs. SYSAPPEND 2 adds BOOTIF.
//
// pxelinux goes on with a second server by itself: ONERROR names the label of the second, and
// ADDRESS::FILE is how it asks another server. It appends the name of the label that failed to the
// command line, where the dot in it makes Linux pass over it. Others who read this format know
// neither.
func renderPXELinux(c page) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# maas: %s\nDEFAULT maas.0\nPROMPT 0\nTIMEOUT 1\n", c.title())
	if c.request.Arch != ArchBIOS || c.servers[0].at.isIPv6() {
		c.servers = c.servers[:1]
	}
	c.servers = c.servers[:min(len(c.servers), 2)] // ONERROR is for all labels alike
	for i := range c.servers {
		c.servers[i].base = ""
		if i > 0 {
			c.servers[i].base = c.servers[i].at.Addr.String() + "::"
		}
	}
	switch c.profile.kind() {
	case Linux, Chain:
		for i, s := range c.servers {
			if i == 0 && len(c.servers) > 1 {
				b.WriteString("ONERROR maas.1\n")
			}
			c.labelPXELinux(&b, fmt.Sprint("maas.", i), s)
		}
	case Local:
		label(&b, "maas.0", "LOCALBOOT 0")
	case Wait:
		// The label is chosen when the timeout, in tenths of a second, runs out.
		b.Reset()
		fmt.Fprintf(&b, "# maas: %s\nDEFAULT maas.0\nPROMPT 1\nTIMEOUT %d\n", c.title(), 10*c.delay())
		label(&b, "maas.0", "CONFIG boot/"+c.id+"/pxelinux.cfg")
	case PowerOff:
		label(&b, "maas.0", "COM32 poweroff.c32")
	}
	return b.String()
}

// labelPXELinux starts the profile from one server.
func (c page) labelPXELinux(b *strings.Builder, name string, s source) {
	if c.profile.kind() == Chain {
		label(b, name, "KERNEL "+c.link(s.base, StageKernel, c.profile.URL))
		return
	}
	label(b, name, "KERNEL "+c.link(s.base, StageKernel, c.profile.Kernel))
	if len(c.profile.Initrd) > 0 {
		links := make([]string, len(c.profile.Initrd))
		for i, f := range c.profile.Initrd {
			links[i] = c.link(s.base, StageInitrd, f)
		}
		line(b, "INITRD "+strings.Join(links, ","))
	}
	if len(s.args) > 0 {
		line(b, "APPEND "+strings.Join(s.args, " "))
	}
	line(b, "SYSAPPEND 2")
}

func label(b *strings.Builder, name, first string) {
	b.WriteString("LABEL " + name + "\n")
	line(b, first)
}

func line(b *strings.Builder, text string) { b.WriteString("  " + text + "\n") }
