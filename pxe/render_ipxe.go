package pxe

import (
	"fmt"
	"strings"
)

// renderIPXE writes a script. Fetches are retried inside the script: a lost packet must not leave a
// machine in its firmware's menu. The last "exit 1" makes both BIOS and UEFI go on with the next
// boot device (a plain exit ends in the set-up screen of UEFI).
func renderIPXE(c page) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!ipxe\necho maas: %s\n", c.title())
	switch c.profile.kind() {
	case Linux:
		retryIPXE(&b, c.each(c.linuxIPXE))
	case Chain:
		retryIPXE(&b, c.each(func(s source) []string {
			return []string{"chain --replace --autofree " + c.link(s.base, StageKernel, c.profile.URL)}
		}))
	case Local:
		b.WriteString("iseq ${platform} efi && exit 1 ||\n" +
			"sanboot --no-describe --drive 0x80 || sanboot --no-describe --drive 0x81 || exit 1\n")
	case Wait:
		fmt.Fprintf(&b, "sleep %d\n", c.delay())
		for _, s := range c.servers {
			fmt.Fprintf(&b, "chain --replace --autofree %sboot/%s/script.ipxe || ", s.base, c.id)
		}
		b.WriteString("exit 1\n")
	case PowerOff:
		b.WriteString("poweroff || exit 1\n")
	}
	return b.String()
}

// linuxIPXE names the images, as UEFI kernels find their initrds by name.
func (c page) linuxIPXE(s source) (lines []string) {
	var initrds []string
	for i := range c.profile.Initrd {
		initrds = append(initrds, fmt.Sprintf("initrd=initrd%d", i))
	}
	kernel := append([]string{"kernel --name kernel", c.link(s.base, StageKernel, c.profile.Kernel)}, append(initrds, s.args...)...)
	lines = append(lines, strings.Join(kernel, " "))
	for i, f := range c.profile.Initrd {
		lines = append(lines, fmt.Sprintf("initrd --name initrd%d %s", i, c.link(s.base, StageInitrd, f)))
	}
	return append(lines, "boot")
}

// How often a script tries, 3 s apart: one server alone, or each of several before the next, in so
// many rounds.
const (
	triesAlone = 10
	triesEach  = 3
	rounds     = 2
)

// retryIPXE runs the lines of the first server, again from the first line when one fails, and then
// the lines of the next server.
func retryIPXE(b *strings.Builder, servers [][]string) {
	tries := triesAlone
	if len(servers) > 1 {
		tries = triesEach
		b.WriteString("set round:int32 0\n")
	}
	for i, lines := range servers {
		n, next := "", "fail"
		if len(servers) > 1 {
			n, next = fmt.Sprint(i), fmt.Sprint("server", i+1)
			fmt.Fprintf(b, ":server%s\n", n)
		}
		fmt.Fprintf(b, "set tries:int32 0\n:start%s\n", n)
		for _, l := range lines {
			fmt.Fprintf(b, "%s || goto again%s\n", l, n)
		}
		fmt.Fprintf(b, ":again%s\nimgfree\ninc tries\niseq ${tries} %d && goto %s ||\n"+
			"echo maas: failed, try ${tries} of %d in 3 s\nsleep 3\ngoto start%s\n", n, tries, next, tries, n)
	}
	if len(servers) > 1 {
		fmt.Fprintf(b, ":server%d\ninc round\niseq ${round} %d || goto server0\n", len(servers), rounds)
	}
	b.WriteString(":fail\necho maas: giving up, next boot device\nsleep 5\nexit 1\n")
}

// identifyIPXE makes a client that did not say who it is ask again with its name. The placeholders
// are expanded by iPXE.
func identifyIPXE(base string) string {
	return "#!ipxe\nchain --replace --autofree " + base + "boot/${netX/mac:hexhyp}/script.ipxe" +
		"?uuid=${uuid}&platform=${platform}&buildarch=${buildarch} || exit 1\n"
}
