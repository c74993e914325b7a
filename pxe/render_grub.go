package pxe

import (
	"fmt"
	"slices"
	"strings"
)

// renderGRUB writes a configuration for GRUB 2. Debian's signed image has no http module, so links
// stay on the device that GRUB itself came from.
func renderGRUB(c page) (string, error) {
	for i := range c.servers {
		c.servers[i].base = c.deviceGRUB(i)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "set timeout=0\necho 'maas: %s'\n", c.title())
	switch c.profile.kind() {
	case Linux:
		for _, f := range append([]string{c.profile.Kernel}, c.profile.Initrd...) {
			if isURL(f) {
				return "", fmt.Errorf("pxe: profile %q: GRUB cannot fetch %s; put the file into Config.Files", c.profile.Name, f)
			}
		}
		retryGRUB(&b, c.each(c.linuxGRUB))
	case Chain:
		if isURL(c.profile.URL) {
			return "", fmt.Errorf("pxe: profile %q: GRUB cannot fetch %s; put the file into Config.Files", c.profile.Name, c.profile.URL)
		}
		retryGRUB(&b, c.each(func(s source) []string {
			return []string{"chainloader '" + c.link(s.base, StageKernel, c.profile.URL) + "'"}
		}))
	case Multiboot:
		if files := append([]string{c.profile.Kernel}, c.profile.mediaFiles()...); slices.ContainsFunc(files, isURL) {
			return "", fmt.Errorf("pxe: profile %q: GRUB cannot fetch URLs; put the files into Config.Files", c.profile.Name)
		}
		retryGRUB(&b, c.each(c.multibootGRUB))
	case Local:
		localGRUB(&b)
	case Wait:
		fmt.Fprintf(&b, "sleep %d\n", c.delay())
		for _, s := range c.servers { // the next is reached only when this one has no answer
			fmt.Fprintf(&b, "configfile '%sboot/%s/grub.cfg'\n", s.base, c.id)
		}
	case Menu:
		c.menuGRUB(&b)
	case PowerOff:
		b.WriteString("halt\n")
	}
	return b.String(), nil
}

// menuGRUB has the operator choose and reads the configuration of the entry, so that the server
// sees the choice. The timeout replaces the one at the top of the configuration.
func (c page) menuGRUB(b *strings.Builder) {
	p := c.profile
	fmt.Fprintf(b, "echo '%s'\nset timeout_style=menu\nset timeout=%d\nset default=%d\nfunction maas_local {\n", p.heading(), int(p.timeout().Seconds()), p.first())
	localGRUB(b)
	b.WriteString("}\n")
	for _, e := range p.Entries {
		fmt.Fprintf(b, "menuentry '%s' --id '%s' {\n", e.shown(), e.Profile)
		for _, s := range c.servers { // the next is reached only when this one has no answer
			fmt.Fprintf(b, "configfile '%sboot/%s/menu/%s/grub.cfg'\n", s.base, c.id, e.Profile)
		}
		fmt.Fprintf(b, "echo 'maas: nothing booted from entry %s, booting the disk'\nsleep 5\nmaas_local\n}\n", e.Profile)
	}
}

// deviceGRUB returns the prefix of a server's files: the root for the server that GRUB came from,
// else a device of the same protocol.
func (c page) deviceGRUB(server int) string {
	if server == 0 {
		return "/"
	}
	at := c.servers[server].at
	if c.web {
		return "(http," + strings.TrimPrefix(at.URL(), "http://") + ")/"
	}
	if at.IsIPv6() {
		return "(tftp,[" + at.Addr.WithZone("").String() + "])/"
	}
	return "(tftp," + at.Addr.String() + ")/"
}

func (c page) linuxGRUB(s source) []string {
	line := "linux '" + c.link(s.base, StageKernel, c.profile.Kernel) + "'"
	for _, a := range s.args {
		line += " " + quoteGRUB(a)
	}
	lines := []string{line}
	if len(c.profile.Initrd) > 0 {
		line = "initrd"
		for _, f := range c.profile.Initrd {
			line += " '" + c.link(s.base, StageInitrd, f) + "'"
		}
		lines = append(lines, line)
	}
	return lines
}

// quoteGRUB quotes as a POSIX shell does, which GRUB's scanner follows.
func quoteGRUB(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// retryGRUB runs the lines of the first server and boots, several times, and then the lines of the
// next one. The repetitions are written out, since GRUB has no arithmetic for a counter.
func retryGRUB(b *strings.Builder, servers [][]string) {
	tries := triesAlone
	if len(servers) > 1 {
		tries = triesEach
		b.WriteString("for round in" + numbers(rounds) + "; do\n")
	}
	for _, lines := range servers {
		b.WriteString("for try in" + numbers(tries) + "; do\n")
		for _, l := range lines {
			b.WriteString("  if " + l + "; then\n")
		}
		b.WriteString("  boot\n" + strings.Repeat("  fi\n", len(lines)))
		fmt.Fprintf(b, "  echo \"maas: failed, try $try of %d in 3 s\"\n  sleep 3\ndone\n", tries)
	}
	if len(servers) > 1 {
		b.WriteString("done\n")
	}
	b.WriteString("echo 'maas: giving up, next boot device'\nsleep 5\nexit 1\n")
}

// numbers counts from 1 to n.
func numbers(n int) (text string) {
	for i := 1; i <= n; i++ {
		text += fmt.Sprint(" ", i)
	}
	return text
}

// localGRUB chainloads the first boot loader found on a disk: GRUB's own exit would end in the
// firmware's set-up screen.
func localGRUB(b *strings.Builder) {
	b.WriteString("if [ \"$grub_cpu\" = arm64 ]; then set suffix=aa64; elif [ \"$grub_cpu\" = riscv64 ]; then set suffix=riscv64; else set suffix=x64; fi\n")
	b.WriteString("for file in /efi/debian/shim$suffix.efi /efi/ubuntu/shim$suffix.efi /efi/fedora/shim$suffix.efi" +
		" /efi/redhat/shim$suffix.efi /efi/rocky/shim$suffix.efi /efi/opensuse/shim.efi /efi/boot/boot$suffix.efi" +
		" /efi/microsoft/boot/bootmgfw.efi; do\n" +
		"  if search --no-floppy --set=disk --file $file; then\n" +
		"    if chainloader ($disk)$file; then boot; fi\n  fi\ndone\nexit 1\n")
}

// identifyGRUB makes GRUB ask again under the name of its network card. net_default_mac is set by
// GRUB after DHCP, on BIOS, UEFI and Open Firmware.
func identifyGRUB() string {
	return "set timeout=0\n" +
		"if [ -n \"$net_default_mac\" ]; then configfile \"/grub/grub.cfg-01-$net_default_mac\"; fi\n" +
		"configfile \"/grub/grub.cfg-default-$grub_cpu\"\n" +
		"exit 1\n"
}
