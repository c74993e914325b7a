package pxe

import (
	"fmt"
	"strings"

	"github.com/gomaas/maas/pxe/firmware"
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
	if c.request.Arch != firmware.ArchBIOS || c.servers[0].at.IsIPv6() {
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
	case Linux, Chain, ISO:
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
	case Menu:
		b.Reset()
		c.menuPXELinux(&b)
	case PowerOff:
		label(&b, "maas.0", "COM32 poweroff.c32")
	}
	return b.String()
}

// menuPXELinux lists the entries as text, since menu.c32 and vesamenu.c32 are further files that a
// site may not have; the operator types the name of one at the prompt. pxelinux reads the
// configuration of an entry, so that the server sees the choice. U-Boot and Petitboot have no
// CONFIG and show a menu of their own: their labels boot the files of the entries, whose paths name
// the entry, and what further menus lead to is in the same one.
func (c page) menuPXELinux(b *strings.Builder) {
	p, all := c.profile, c.profile.Entries
	first := p.Entries[p.first()].Profile
	if c.request.Arch != firmware.ArchBIOS {
		all, first = p.leaves(map[string]bool{}), p.firstLeaf()
	}
	fmt.Fprintf(b, "# maas: %s\nDEFAULT %s\nPROMPT 1\nTIMEOUT %d\nSAY %s\n", c.title(), first,
		10*int(p.timeout().Seconds()), p.heading())
	for _, e := range all {
		fmt.Fprintf(b, "SAY   %s: %s\n", e.Profile, e.shown())
	}
	b.WriteString("SAY Type a name and press Enter.\n")
	for _, e := range all {
		q, _ := p.Entry(e.Profile)
		if kind := q.kind(); c.request.Arch == firmware.ArchBIOS || kind != Linux && kind != Chain && kind != Local {
			label(b, e.Profile, "CONFIG boot/"+c.id+"/menu/"+e.Profile+"/pxelinux.cfg")
			continue
		}
		c.inlinePXELinux(b, e, q)
	}
}

// inlinePXELinux writes the label of an entry for firmware that reads one configuration only.
func (c page) inlinePXELinux(b *strings.Builder, e MenuEntry, q Profile) {
	s := c.servers[0]
	if q.kind() == Linux {
		// Validate has accepted the command line, and the variables that the server adds are
		// harmless, so there is no error.
		s.args, _ = commandLine(q, c.request, s.at)
	}
	c.profile, c.dir = q, "boot/"+c.id+"/menu/"+e.Profile+"/"
	if q.kind() == Local {
		label(b, e.Profile, "LOCALBOOT 0")
	} else {
		c.labelPXELinux(b, e.Profile, s)
	}
	line(b, "MENU LABEL "+e.shown())
}

// labelPXELinux starts the profile from one server.
func (c page) labelPXELinux(b *strings.Builder, name string, s source) {
	if c.profile.kind() == Chain {
		label(b, name, "KERNEL "+c.link(s.base, StageKernel, c.profile.URL))
		return
	}
	if c.profile.kind() == ISO { // MEMDISK makes a CD of it, in memory
		label(b, name, "KERNEL memdisk")
		line(b, "INITRD "+c.link(s.base, StageInitrd, c.profile.Image))
		line(b, "APPEND iso raw")
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
