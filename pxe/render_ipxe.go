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
	case ISO:
		c.isoIPXE(&b)
	case Windows:
		retryIPXE(&b, c.each(c.windowsIPXE))
	case ESXi:
		retryIPXE(&b, c.each(c.esxiIPXE))
	case Multiboot:
		retryIPXE(&b, c.each(c.multibootIPXE))
	case Local:
		b.WriteString(localIPXE)
	case Wait:
		fmt.Fprintf(&b, "sleep %d\n", c.delay())
		for _, s := range c.servers {
			fmt.Fprintf(&b, "chain --replace --autofree %sboot/%s/script.ipxe || ", s.base, c.id)
		}
		b.WriteString("exit 1\n")
	case Menu:
		c.menuIPXE(&b)
	case PowerOff:
		b.WriteString("poweroff || exit 1\n")
	}
	return b.String()
}

// localIPXE boots the disk: by the firmware's order on UEFI, and by iPXE on a BIOS, where an exit
// may find no other device.
const localIPXE = "iseq ${platform} efi && exit 1 ||\n" +
	"sanboot --no-describe --drive 0x80 || sanboot --no-describe --drive 0x81 || exit 1\n"

// menuIPXE has the operator choose and fetches the script of the entry, so that the server sees the
// choice. An iPXE that was built without menus takes the default. Escape leaves the menu.
func (c page) menuIPXE(b *strings.Builder) {
	p := c.profile
	def := p.Entries[p.first()].Profile
	fmt.Fprintf(b, "set entry %s\nmenu %s || goto chosen\n", def, p.heading())
	for _, e := range p.Entries {
		fmt.Fprintf(b, "item %s %s\n", e.Profile, e.shown())
	}
	fmt.Fprintf(b, "choose --default %s --timeout %d entry || goto local\n:chosen\n", def, p.timeout().Milliseconds())
	for _, s := range c.servers {
		fmt.Fprintf(b, "chain --replace --autofree %sboot/%s/menu/${entry}/script.ipxe || ", s.base, c.id)
	}
	b.WriteString("echo maas: no server has entry ${entry}, booting the disk\nsleep 5\n:local\n" + localIPXE)
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
	if c.profile.Verify {
		lines = c.verifyIPXE(s, lines)
	}
	return append(append(lines, c.shimIPXE(s)...), "boot")
}

// verifyIPXE has iPXE start nothing that is not signed, and checks each image as it is fetched.
func (c page) verifyIPXE(s source, fetch []string) []string {
	lines := []string{"imgtrust", fetch[0], "imgverify kernel " + c.link(s.base, StageKernel, c.profile.Kernel) + signature}
	for i, f := range c.profile.Initrd {
		lines = append(lines, fetch[1+i], fmt.Sprintf("imgverify initrd%d %s", i, c.link(s.base, StageInitrd, f)+signature))
	}
	return lines
}

// shimIPXE names the shim by which iPXE starts kernels under Secure Boot, where the firmware does
// not know who signed them. iPXE 2.0 fetches it only then; older ones have no such command, and are
// not started there.
func (c page) shimIPXE(s source) []string {
	shim := shims[c.request.Arch.String()]
	if !c.request.Arch.UEFI() || shim == "" && c.profile.Shim == "" {
		return nil
	}
	link := s.base + shim
	if c.profile.Shim != "" {
		link = c.link(s.base, StageKernel, c.profile.Shim)
	}
	return []string{"iseq ${platform} efi && shim " + link + " || echo maas: no shim is used"}
}

// shims are the loaders that distributions have Microsoft sign, by the processor.
var shims = map[string]string{"amd64": "shimx64.efi", "arm64": "shimaa64.efi", "i386": "shimia32.efi"}

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
			if strings.Contains(l, " || ") { // it may fail
				b.WriteString(l + "\n")
				continue
			}
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

// autoexecIPXE configures a network card, unless one is, and fetches the script of the machine.
func autoexecIPXE(base string, r Request) string {
	id := pathID(r)
	if len(r.MAC) == 0 {
		id = "${netX/mac:hexhyp}"
	}
	return "#!ipxe\nisset ${netX/ip} || isset ${netX/ip6} || ifconf || echo maas: no network card was configured\n" +
		"chain --replace --autofree " + base + "boot/" + id + "/script.ipxe?uuid=${uuid}&platform=${platform}&buildarch=${buildarch} || exit 1\n"
}

// identifyIPXE makes a client that did not say who it is ask again with its name. The placeholders
// are expanded by iPXE.
func identifyIPXE(base string) string {
	return "#!ipxe\nchain --replace --autofree " + base + "boot/${netX/mac:hexhyp}/script.ipxe" +
		"?uuid=${uuid}&platform=${platform}&buildarch=${buildarch} || exit 1\n"
}
