package pxe_test

import (
	"errors"
	"flag"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	testMAC  = net.HardwareAddr{0x52, 0x54, 0, 0x77, 0xe1, 0x97}
	testAt   = firmware.Endpoint{Addr: netip.MustParseAddr("10.77.0.1")}
	profiles = []pxe.Profile{
		{Name: "install", Kernel: "noble/vmlinuz", Initrd: []string{"noble/initrd", "extra.cpio"},
			Cmdline: "console=ttyS0 ip={ip} BOOTIF={bootif} url={http}/meta host={host} cc:{'datasource_list': ['MAAS']}end_cc --- done={done}",
			Vars:    map[string]string{"host": "node-1"}},
		{Name: "local", Kind: pxe.Local},
		{Name: "other", Kind: pxe.Chain, URL: "netboot/boot.efi"},
		{Name: "wait", Kind: pxe.Wait, Delay: 30 * time.Second},
		{Name: "off", Kind: pxe.PowerOff},
		{Name: "menu", Kind: pxe.Menu, Title: "Lab (rack 3) ${x} | y", Default: "disk", Timeout: 10 * time.Second,
			Entries: []pxe.MenuEntry{{Profile: "debian", Title: "Debian 12, 'bookworm'"}, {Profile: "disk"}, {Profile: "tools", Title: "--Tools"}},
			Profiles: []pxe.Profile{
				{Name: "debian", Kernel: "debian/vmlinuz", Initrd: []string{"debian/initrd"}, Cmdline: "host={host} profile={profile}"},
				{Name: "disk", Kind: pxe.Local},
				{Name: "tools", Kind: pxe.Menu, Entries: []pxe.MenuEntry{{Profile: "disk"}, {Profile: "off"}}},
				{Name: "off", Kind: pxe.PowerOff},
			},
			Vars: map[string]string{"host": "node-1"}},
		{Name: "raw", Kind: pxe.Script, Text: map[firmware.Language]string{firmware.IPXE: "#!ipxe\nshell\n"}},
	}
)

// The rendered texts are kept in testdata, one file per profile and language.
func TestRenderGolden(t *testing.T) {
	for _, p := range profiles {
		for _, lang := range []firmware.Language{firmware.IPXE, firmware.GRUB, firmware.PXELINUX} {
			r := pxe.Request{MAC: testMAC, Addr: netip.MustParseAddr("10.77.0.100"), Arch: firmware.ArchEFI64, Config: lang}
			got, err := pxe.Render(p, r, testAt)
			if errors.Is(err, pxe.ErrNoProfile) && p.Kind == pxe.Script && lang != firmware.IPXE {
				continue
			}
			if err != nil {
				t.Errorf("%s %s: %v", p.Name, lang, err)
				continue
			}
			golden(t, p.Name+"."+string(lang), got)
		}
	}
}

// With other servers the texts go on there, those of pxelinux with one.
func TestRenderFailover(t *testing.T) {
	at := testAt
	at.Others = []netip.Addr{testAt.Addr, netip.MustParseAddr("fd77::2"), netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("10.77.0.3"), netip.MustParseAddr("10.77.0.4")}
	for _, lang := range []firmware.Language{firmware.IPXE, firmware.GRUB, firmware.PXELINUX} {
		r := pxe.Request{MAC: testMAC, Arch: firmware.ArchBIOS, Config: lang}
		got, err := pxe.Render(pxe.Profile{Name: "install", Kernel: "vmlinuz", Initrd: []string{"initrd"}, Cmdline: "done={done}"}, r, at)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "failover."+string(lang), got)
		got, err = pxe.Render(pxe.Profile{Name: "wait", Kind: pxe.Wait}, r, at)
		if err != nil {
			t.Fatal(err)
		}
		if lang != firmware.PXELINUX && strings.Count(got, "10.77.0.3") != 1 {
			t.Errorf("%s does not ask the others:\n%s", lang, got)
		}
	}
	r := pxe.Request{MAC: testMAC, Config: firmware.GRUB}
	got, err := pxe.Render(pxe.Profile{Kernel: "k"}, r, firmware.Endpoint{Addr: netip.MustParseAddr("fd77::1"), Others: []netip.Addr{netip.MustParseAddr("fd77::2")}})
	if err != nil || !strings.Contains(got, "'(tftp,[fd77::2])/boot/") {
		t.Errorf("%v over IPv6:\n%s", err, got)
	}
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got)\n%s", file, diff)
	}
}

func TestValidate(t *testing.T) {
	ok := pxe.Profile{Name: "p", Kernel: "k"}
	with := func(f func(*pxe.Profile)) pxe.Profile { p := ok; f(&p); return p }
	tests := []struct {
		name string
		p    pxe.Profile
		want string // part of the error; empty means valid
	}{
		{"minimal", ok, ""},
		{"url", with(func(p *pxe.Profile) { p.Kernel = "http://h/k?x=1" }), ""},
		{"no-kernel", pxe.Profile{Name: "p"}, "kernel is empty"},
		{"climbing", with(func(p *pxe.Profile) { p.Initrd = []string{"a", "../b"} }), "initrd[1]"},
		{"space", with(func(p *pxe.Profile) { p.Kernel = "a b" }), "kernel"},
		{"newline-in-kernel", with(func(p *pxe.Profile) { p.Kernel = "a\nexit" }), "kernel"},
		{"newline-in-cmdline", with(func(p *pxe.Profile) { p.Cmdline = "a\nshell" }), "control"},
		{"ipxe-or", with(func(p *pxe.Profile) { p.Cmdline = "a || shell" }), `"||"`},
		{"ipxe-setting", with(func(p *pxe.Profile) { p.Cmdline = "a ${net0/ip}" }), "${net0/ip}"},
		{"comment", with(func(p *pxe.Profile) { p.Cmdline = "a #b" }), "#b"},
		{"typo", with(func(p *pxe.Profile) { p.Cmdline = "{mca}" }), "{mca}"},
		{"bad-var", with(func(p *pxe.Profile) { p.Vars = map[string]string{"x": "a\nb"} }), "vars[x]"},
		{"bad-var-name", with(func(p *pxe.Profile) { p.Vars = map[string]string{"X": "a"} }), `"X"`},
		{"kind", pxe.Profile{Kind: "magic"}, "magic"},
		{"script", pxe.Profile{Kind: pxe.Script}, "text is empty"},
		{"wait", pxe.Profile{Kind: pxe.Wait, Delay: -1}, "delay"},
		{"loader", with(func(p *pxe.Profile) { p.Loader = firmware.GRUB }), ""},
		{"no-loader", with(func(p *pxe.Profile) { p.Loader = "lilo" }), `pxe: profile "p": loader "lilo" is none of ipxe, grub, uki; leave it out`},
		{"grub-and-url", with(func(p *pxe.Profile) { p.Loader, p.Kernel = firmware.GRUB, "http://h/k" }), "loader is grub, which cannot fetch http://h/k; put the file"},
		{"uki", with(func(p *pxe.Profile) { p.Loader = firmware.UKI }), ""},
		{"uki-of-chain", pxe.Profile{Kind: pxe.Chain, URL: "a.efi", Loader: firmware.UKI}, ""},
		{"uki-and-initrd", with(func(p *pxe.Profile) { p.Loader, p.Initrd = firmware.UKI, []string{"i"} }), "remove them, or set loader to ipxe"},
		{"uki-of-another-server", with(func(p *pxe.Profile) { p.Loader, p.Kernel = firmware.UKI, "http://h/k" }), "a URL of another server; put the file"},
		{"uki-and-disk", pxe.Profile{Kind: pxe.Local, Loader: firmware.UKI}, "set kind to linux"},
		{"loader-of-an-entry", pxe.Profile{Kind: pxe.Menu, Entries: []pxe.MenuEntry{{Profile: "a"}},
			Profiles: []pxe.Profile{{Name: "a", Kind: pxe.Local, Loader: firmware.IPXE}}}, "set it in the outermost menu"},
	}
	for _, tt := range tests {
		err := tt.p.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// FuzzRender looks for values that become commands of a loader: whatever a
// variable or a name holds, every line of the result is one that the same
// profile has with harmless values, except for the arguments of the kernel.
func FuzzRender(f *testing.F) {
	f.Add("node-1", "quiet {host}", "profile")
	f.Add("x || shell", "a {host} b", "p")
	f.Add("'; reboot; '", "x={host}", "a\nb")
	f.Add("n", "quiet", "--x")
	f.Add("$(reboot)", "`{host}`", "${x}")
	f.Fuzz(func(t *testing.T, host, cmdline, name string) {
		p := pxe.Profile{Name: name, Kernel: "k", Initrd: []string{"i"}, Cmdline: cmdline, Vars: map[string]string{"host": host}}
		safe := pxe.Profile{Name: "n", Kernel: "k", Initrd: []string{"i"}, Cmdline: "c", Vars: map[string]string{"host": "h"}}
		for _, lang := range []firmware.Language{firmware.IPXE, firmware.GRUB, firmware.PXELINUX} {
			r := pxe.Request{MAC: testMAC, Arch: firmware.ArchBIOS, Config: lang}
			at := firmware.Endpoint{Addr: testAt.Addr, Others: []netip.Addr{netip.MustParseAddr("10.77.0.2")}}
			got, err := pxe.Render(p, r, at)
			if err != nil {
				continue
			}
			want, err := pxe.Render(safe, r, at)
			if err != nil {
				t.Fatal(err)
			}
			checkLines(t, lang, got, want)
			checkMenu(t, r, at, name)
		}
	})
}

// checkMenu demands that titles of a menu change no line of it beyond harmless characters.
func checkMenu(t *testing.T, r pxe.Request, at firmware.Endpoint, title string) {
	t.Helper()
	menu := func(title string) (string, error) {
		return pxe.Render(pxe.Profile{Name: "n", Kind: pxe.Menu, Title: title, Entries: []pxe.MenuEntry{{Profile: "a", Title: title}},
			Profiles: []pxe.Profile{{Name: "a", Kind: pxe.Local}}}, r, at)
	}
	got, err := menu(title)
	if err != nil {
		return
	}
	want, err := menu("TITLE")
	if err != nil {
		t.Fatal(err)
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	if len(g) != len(w) {
		t.Fatalf("%s has %d lines, want %d:\n%s", r.Config, len(g), len(w), got)
	}
	for i := range g {
		before, after, titled := strings.Cut(w[i], "TITLE")
		if g[i] == w[i] {
			continue
		}
		text, ok1 := strings.CutPrefix(g[i], before)
		text, ok2 := strings.CutSuffix(text, after)
		if !titled || !ok1 || !ok2 || strings.ContainsAny(text, "$`\"'\\;|&<>{}#") || strings.HasPrefix(text, "-") {
			t.Fatalf("%s line %q, want a harmless title in %q", r.Config, g[i], w[i])
		}
	}
}

func checkLines(t *testing.T, lang firmware.Language, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	if lang == firmware.PXELINUX { // without arguments there is no APPEND
		g, w = withoutAppend(g), withoutAppend(w)
	}
	if len(g) != len(w) {
		t.Fatalf("%s has %d lines, want %d:\n%s", lang, len(g), len(w), got)
	}
	for i := range g {
		title := strings.Contains(w[i], "linux n for")
		kernel := strings.Contains(w[i], "/kernel/k")
		switch {
		case g[i] == w[i]:
		case title && !strings.ContainsAny(g[i], "$`\"\\;|&<>()"):
		case kernel && lang == firmware.GRUB && balanced(g[i]):
		case kernel && lang == firmware.IPXE && !strings.Contains(g[i], "${") && strings.Count(" "+g[i]+" ", " || ") == 1 && !strings.Contains(" "+g[i], " #"):
		default:
			t.Fatalf("%s line %q, want %q", lang, g[i], w[i])
		}
	}
}

func withoutAppend(lines []string) (out []string) {
	for _, l := range lines {
		if !strings.HasPrefix(l, "  APPEND ") {
			out = append(out, l)
		}
	}
	return out
}

// balanced reports whether everything outside single quotes is harmless.
func balanced(line string) bool {
	inside := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\'':
			inside = !inside
		case !inside && c == '\\' && i+1 < len(line) && line[i+1] == '\'':
			i++
		case !inside && strings.IndexByte("$`\"\\|&<>()#", c) >= 0:
			return false
		}
	}
	return !inside
}
