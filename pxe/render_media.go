package pxe

import (
	"fmt"
	"path"
	"strings"
)

// isoIPXE boots a whole ISO image as a CD: by iPXE's drive, which is gone once the system's own
// drivers run, and on a BIOS else by MEMDISK, which keeps it in memory.
func (c page) isoIPXE(b *strings.Builder) {
	for _, s := range c.servers {
		link := c.link(s.base, StageKernel, c.profile.Image)
		fmt.Fprintf(b, "sanboot --no-describe %s ||\n"+
			"iseq ${platform} pcbios && kernel %smemdisk iso raw && initrd %s && boot ||\nimgfree\n", link, s.base, link)
	}
	b.WriteString("echo maas: the image does not boot, next boot device\nsleep 5\nexit 1\n")
}

// windowsIPXE starts Windows PE. The second name of each file is the one by which wimboot finds it.
func (c page) windowsIPXE(s source) []string {
	p := c.profile
	file := func(name string) string { return path.Join(p.Dir, name) }
	lines := []string{"kernel " + c.link(s.base, StageKernel, file(wimboot))}
	for _, f := range []struct{ at, name string }{{windowsBC, "BCD"}, {windowsSD, "boot.sdi"}} {
		lines = append(lines, "initrd "+c.link(s.base, StageInitrd, file(f.at))+" "+f.name)
	}
	for _, f := range p.Initrd {
		lines = append(lines, "initrd "+c.link(s.base, StageInitrd, f)+" "+path.Base(f))
	}
	return append(lines, "initrd "+c.link(s.base, StageInitrd, file(windowsWM))+" boot.wim", "boot")
}

// esxiIPXE starts mboot, which finds boot.cfg beside itself or by its argument, and fetches the
// modules.
func (c page) esxiIPXE(s source) []string {
	at := s.base + c.dir + "esxi/"
	return []string{
		"iseq ${platform} efi && set mboot mboot.efi || set mboot " + esxiBIOS,
		"kernel " + at + "${mboot} -c " + at + esxiBoot, "boot",
	}
}

// multibootIPXE starts a kernel such as Xen with its modules.
func (c page) multibootIPXE(s source) []string {
	lines := []string{strings.Join(append([]string{"kernel", c.link(s.base, StageKernel, c.profile.Kernel)}, s.args...), " ")}
	for i, m := range c.profile.Modules {
		lines = append(lines, strings.Join(append([]string{"module", c.link(s.base, StageInitrd, m.File)}, s.modules[i]...), " "))
	}
	return append(lines, "boot")
}

// multibootGRUB is the same for GRUB: Xen for UEFI has a multiboot 2 header.
func (c page) multibootGRUB(s source) []string {
	command := func(name, link string, args []string) string {
		line := name + " '" + link + "'"
		for _, a := range args {
			line += " " + quoteGRUB(a)
		}
		return line
	}
	lines := []string{command("multiboot2", c.link(s.base, StageKernel, c.profile.Kernel), s.args)}
	for i, m := range c.profile.Modules {
		lines = append(lines, command("module2", c.link(s.base, StageInitrd, m.File), s.modules[i]))
	}
	return lines
}
