package pxe

import (
	"fmt"
	"strings"
)

// renderIPXE writes a script. Fetches are retried inside the script: a lost
// packet must not leave a machine in its firmware's menu. The last "exit 1" makes
// both BIOS and UEFI go on with the next boot device (a plain exit ends in the
// set-up screen of UEFI).
func renderIPXE(c page) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!ipxe\necho maas: %s\n", c.title())
	switch c.profile.kind() {
	case Linux:
		retryIPXE(&b, linuxIPXE(c))
	case Chain:
		u := c.profile.URL
		if !isURL(u) {
			u = c.link(StageKernel, u)
		}
		retryIPXE(&b, []string{"chain --replace --autofree " + u})
	case Local:
		b.WriteString("iseq ${platform} efi && exit 1 ||\n" +
			"sanboot --no-describe --drive 0x80 || sanboot --no-describe --drive 0x81 || exit 1\n")
	case Wait:
		fmt.Fprintf(&b, "sleep %d\nchain --replace --autofree %sboot/%s/script.ipxe || exit 1\n", c.delay(), c.base, c.id)
	case PowerOff:
		b.WriteString("poweroff || exit 1\n")
	}
	return b.String()
}

// linuxIPXE names the images, as UEFI kernels find their initrds by name.
func linuxIPXE(c page) []string {
	var initrds, lines []string
	for i := range c.profile.Initrd {
		initrds = append(initrds, fmt.Sprintf("initrd=initrd%d", i))
	}
	kernel := append([]string{"kernel --name kernel", c.link(StageKernel, c.profile.Kernel)}, append(initrds, c.args...)...)
	lines = append(lines, strings.Join(kernel, " "))
	for i, f := range c.profile.Initrd {
		lines = append(lines, fmt.Sprintf("initrd --name initrd%d %s", i, c.link(StageInitrd, f)))
	}
	return append(lines, "boot")
}

// retryIPXE runs the lines, again from the first when one fails.
func retryIPXE(b *strings.Builder, lines []string) {
	b.WriteString("set tries:int32 0\n:start\n")
	for _, l := range lines {
		b.WriteString(l + " || goto again\n")
	}
	b.WriteString(":again\nimgfree\ninc tries\niseq ${tries} 10 && goto fail ||\n" +
		"echo maas: failed, try ${tries} of 10 in 3 s\nsleep 3\ngoto start\n" +
		":fail\necho maas: giving up, next boot device\nsleep 5\nexit 1\n")
}

// identifyIPXE makes a client that did not say who it is ask again with its
// name. The placeholders are expanded by iPXE.
func identifyIPXE(base string) string {
	return "#!ipxe\nchain --replace --autofree " + base + "boot/${netX/mac:hexhyp}/script.ipxe" +
		"?uuid=${uuid}&platform=${platform}&buildarch=${buildarch} || exit 1\n"
}
