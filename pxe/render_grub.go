package pxe

import (
	"fmt"
	"strings"
)

// renderGRUB writes a configuration for GRUB 2. Debian's signed image has no
// http module, so links stay on the device that GRUB itself came from.
func renderGRUB(c page) (string, error) {
	c.base = "/"
	var b strings.Builder
	fmt.Fprintf(&b, "set timeout=0\necho 'maas: %s'\n", c.title())
	switch c.profile.kind() {
	case Linux:
		for _, f := range append([]string{c.profile.Kernel}, c.profile.Initrd...) {
			if isURL(f) {
				return "", fmt.Errorf("pxe: profile %q: GRUB cannot fetch %s; put the file into Config.Files", c.profile.Name, f)
			}
		}
		linuxGRUB(&b, c)
	case Chain:
		if isURL(c.profile.URL) {
			return "", fmt.Errorf("pxe: profile %q: GRUB cannot fetch %s; put the file into Config.Files", c.profile.Name, c.profile.URL)
		}
		retryGRUB(&b, []string{"chainloader '" + c.link(StageKernel, c.profile.URL) + "'"})
	case Local:
		localGRUB(&b)
	case Wait:
		fmt.Fprintf(&b, "sleep %d\nconfigfile '/boot/%s/grub.cfg'\n", c.delay(), c.id)
	case PowerOff:
		b.WriteString("halt\n")
	}
	return b.String(), nil
}

func linuxGRUB(b *strings.Builder, c page) {
	line := "linux '" + c.link(StageKernel, c.profile.Kernel) + "'"
	for _, a := range c.args {
		line += " " + quoteGRUB(a)
	}
	lines := []string{line}
	if len(c.profile.Initrd) > 0 {
		line = "initrd"
		for _, f := range c.profile.Initrd {
			line += " '" + c.link(StageInitrd, f) + "'"
		}
		lines = append(lines, line)
	}
	retryGRUB(b, lines)
}

// quoteGRUB quotes as a POSIX shell does, which GRUB's scanner follows.
func quoteGRUB(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// retryGRUB runs the lines and boots, some times over; GRUB has no arithmetic.
func retryGRUB(b *strings.Builder, lines []string) {
	b.WriteString("for try in 1 2 3 4 5 6 7 8 9 10; do\n")
	for _, l := range lines {
		b.WriteString("  if " + l + "; then\n")
	}
	b.WriteString("  boot\n" + strings.Repeat("  fi\n", len(lines)) +
		"  echo \"maas: failed, try $try of 10 in 3 s\"\n  sleep 3\ndone\n" +
		"echo 'maas: giving up, next boot device'\nsleep 5\nexit 1\n")
}

// localGRUB chainloads the first boot loader found on a disk: GRUB's own exit
// would end in the firmware's set-up screen.
func localGRUB(b *strings.Builder) {
	b.WriteString("if [ \"$grub_cpu\" = arm64 ]; then set suffix=aa64; else set suffix=x64; fi\n")
	b.WriteString("for file in /efi/debian/shim$suffix.efi /efi/ubuntu/shim$suffix.efi /efi/fedora/shim$suffix.efi" +
		" /efi/redhat/shim$suffix.efi /efi/rocky/shim$suffix.efi /efi/opensuse/shim.efi /efi/boot/boot$suffix.efi" +
		" /efi/microsoft/boot/bootmgfw.efi; do\n" +
		"  if search --no-floppy --set=disk --file $file; then\n" +
		"    if chainloader ($disk)$file; then boot; fi\n  fi\ndone\nexit 1\n")
}

// identifyGRUB makes GRUB ask again under the name of its network card.
// net_default_mac is set by GRUB after DHCP, on BIOS, UEFI and Open Firmware.
func identifyGRUB() string {
	return "set timeout=0\n" +
		"if [ -n \"$net_default_mac\" ]; then configfile \"/grub/grub.cfg-01-$net_default_mac\"; fi\n" +
		"configfile \"/grub/grub.cfg-default-$grub_cpu\"\n" +
		"exit 1\n"
}
