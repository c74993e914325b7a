package pxe

import (
	"fmt"
	"strings"
)

// renderPXELinux writes a pxelinux configuration. Paths are relative to the
// loader; lpxelinux and Petitboot also take URLs. SYSAPPEND 2 adds BOOTIF.
func renderPXELinux(c page) string {
	c.base = ""
	var b strings.Builder
	fmt.Fprintf(&b, "# maas: %s\nDEFAULT maas\nPROMPT 0\nTIMEOUT 1\n", c.title())
	switch c.profile.kind() {
	case Linux:
		label(&b, "maas", "KERNEL "+c.link(StageKernel, c.profile.Kernel))
		if len(c.profile.Initrd) > 0 {
			links := make([]string, len(c.profile.Initrd))
			for i, f := range c.profile.Initrd {
				links[i] = c.link(StageInitrd, f)
			}
			line(&b, "INITRD "+strings.Join(links, ","))
		}
		if len(c.args) > 0 {
			line(&b, "APPEND "+strings.Join(c.args, " "))
		}
		line(&b, "SYSAPPEND 2")
	case Chain:
		label(&b, "maas", "KERNEL "+c.link(StageKernel, c.profile.URL))
	case Local:
		label(&b, "maas", "LOCALBOOT 0")
	case Wait:
		// The label is chosen when the timeout, in tenths of a second, runs out.
		b.Reset()
		fmt.Fprintf(&b, "# maas: %s\nDEFAULT maas\nPROMPT 1\nTIMEOUT %d\n", c.title(), 10*c.delay())
		label(&b, "maas", "CONFIG boot/"+c.id+"/pxelinux.cfg")
	case PowerOff:
		label(&b, "maas", "COM32 poweroff.c32")
	}
	return b.String()
}

func label(b *strings.Builder, name, first string) {
	b.WriteString("LABEL " + name + "\n")
	line(b, first)
}

func line(b *strings.Builder, text string) { b.WriteString("  " + text + "\n") }
