package pxe_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
)

func entries(names ...string) (all []pxe.MenuEntry) {
	for _, n := range names {
		all = append(all, pxe.MenuEntry{Profile: n})
	}
	return all
}

func submenu(name string, names ...string) pxe.Profile {
	return pxe.Profile{Name: name, Kind: pxe.Menu, Entries: entries(names...)}
}

func TestValidateMenu(t *testing.T) {
	disk := pxe.Profile{Name: "disk", Kind: pxe.Local}
	with := func(p pxe.Profile, profiles ...pxe.Profile) pxe.Profile {
		p.Profiles = append(profiles, disk)
		return p
	}
	change := func(f func(*pxe.Profile)) pxe.Profile { p := with(submenu("lab", "disk")); f(&p); return p }
	var diamond []pxe.Profile // each menu has two ways to the next
	for i := range 40 {
		n := string(rune('a'+i/26)) + string(rune('a'+i%26))
		next := string(rune('a'+(i+1)/26)) + string(rune('a'+(i+1)%26))
		if i == 39 {
			next = "disk"
		}
		diamond = append(diamond, submenu(n, n+"1", n+"2"), submenu(n+"1", next), submenu(n+"2", next))
	}
	tests := []struct {
		name string
		p    pxe.Profile
		want string // the error; "" = none
	}{
		{"one entry", with(submenu("lab", "disk")), ""},
		{"further in", with(submenu("lab", "disk", "more"), submenu("more", "disk")), ""},
		{"two ways to a menu", with(submenu("lab", "a", "b"), submenu("a", "c"), submenu("b", "c"), submenu("c", "disk")), ""},
		{"many ways", with(submenu("lab", "aa"), diamond[:99]...), `menu "bg1": entries[0]: there is no profile "bh"`},
		{"itself by its own name", with(submenu("lab", "disk", "lab")), `entries[1] leads back to menu "lab", so that the menu names itself; remove the entry`},
		{"itself", with(submenu("lab", "a"), submenu("a", "disk", "a")), `menu "a": entries[1] leads back to menu "a", so that the menu names itself; remove the entry`},
		{"itself through another", with(submenu("lab", "a"), submenu("a", "b"), submenu("b", "a")), `menu "b": entries[0] leads back to menu "a", so that the menu names itself; remove the entry`},
		{"the outermost through another", with(submenu("lab", "a"), submenu("a", "lab")), `menu "a": entries[0] leads back to menu "lab", so that the menu names itself; remove the entry`},
		{"itself where no entry leads", with(submenu("lab", "disk"), submenu("a", "a")), `menu "a": entries[0] leads back to menu "a", so that the menu names itself; remove the entry`},
		{"empty", with(submenu("lab")), "it has no entries; add entries, each with the name of one of the menu's profiles"},
		{"empty further in", with(submenu("lab", "a"), submenu("a")), `menu "a": it has no entries; add entries, each with the name of one of the menu's profiles`},
		{"unknown entry", with(submenu("lab", "disc")), `entries[0]: there is no profile "disc"; the menu's profiles are disk`},
		{"no profiles", submenu("lab", "disk"), `entries[0]: there is no profile "disk"; the menu's profiles are none`},
		{"entry without a name", with(submenu("", "")), `entries[0]: there is no profile ""; the menu's profiles are disk`},
		{"twice", with(submenu("lab", "disk", "disk")), `entries[1]: profile "disk" is an entry already; remove one of them`},
		{"default", change(func(p *pxe.Profile) { p.Default = "disc" }), `default "disc" is none of its entries; name one of them, or leave it out for the first`},
		{"timeout", change(func(p *pxe.Profile) { p.Timeout = time.Hour }), "timeout is 1h0m0s, want 0 to 59m0s"},
		{"title", change(func(p *pxe.Profile) { p.Entries[0].Title = "a\nb" }), `entries[0]: title is "a\nb": control characters are not allowed`},
		{"name for no loader", with(submenu("lab", "A b"), pxe.Profile{Name: "A b", Kind: pxe.Local}), `profiles[0]: name "A b" is not made of 1 to 40 lower-case letters, digits, dashes and underscores; boot loaders need such a name`},
		{"same name", with(submenu("lab", "disk"), disk), `profiles[1]: there is another "disk"; give each a name of its own`},
		{"bad profile", with(submenu("lab", "disk"), pxe.Profile{Name: "a"}), `profiles[0] "a": kernel is empty`},
		{"profiles further in", with(submenu("lab", "a"), with(submenu("a", "disk"))), `profiles[0]: menu "a" has profiles; list them with the profiles of the outermost menu`},
		{"not a menu", pxe.Profile{Name: "lab", Kernel: "k", Entries: entries("a")}, `entries and profiles are for menus, and kind is "linux"; set kind to menu`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want, got := tt.want, ""
			if err := tt.p.Validate(); err != nil {
				got = err.Error()
			}
			if want != "" {
				want = "pxe: profile " + `"` + tt.p.Name + `": ` + want
			}
			if tt.name == "many ways" { // the list of names is long
				got, _, _ = strings.Cut(got, ";")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// The files, options and variables of a menu are its profiles'.
func TestMenuEntry(t *testing.T) {
	p := pxe.Profile{Name: "lab", Kind: pxe.Menu, Entries: entries("a", "more"), Vars: map[string]string{"x": "1", "y": "1"},
		Profiles: []pxe.Profile{{Name: "a", Kernel: "k", Initrd: []string{"i"}, Vars: map[string]string{"x": "2"}}, submenu("more", "b"), {Name: "b", Kind: pxe.Chain, URL: "c"}}}
	if diff := cmp.Diff([]string{"k", "i", "c"}, p.Files()); diff != "" {
		t.Errorf("files (-want +got)\n%s", diff)
	}
	changed := p.WithOptions("quiet")
	a, ok := changed.Entry("a")
	if !ok || a.Cmdline != "quiet" || a.Vars["x"] != "2" || a.Vars["y"] != "1" || p.Profiles[0].Cmdline != "" {
		t.Errorf("a is %+v, %t", a, ok)
	}
	more, ok := p.Entry("more")
	if !ok || more.Validate() != nil {
		t.Errorf("more is %+v, %t: %v", more, ok, more.Validate())
	}
	if b, ok := more.Entry("b"); !ok || b.URL != "c" {
		t.Errorf("b is %+v, %t", b, ok)
	}
	if _, ok := p.Entry("c"); ok {
		t.Error("there is an entry c")
	}
}

// Firmware that reads one configuration only receives the kernels of the entries, below paths that
// name the entries.
func TestMenuInline(t *testing.T) {
	var menu pxe.Profile
	for _, p := range profiles {
		if p.Kind == pxe.Menu {
			menu = p
		}
	}
	for arch, file := range map[firmware.Arch]string{firmware.ArchARM64: "menu.uboot", firmware.ArchBIOS: "menu.bios"} {
		got, err := pxe.Render(menu, pxe.Request{MAC: testMAC, Arch: arch, Config: firmware.PXELINUX}, testAt)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, file, got)
	}
}
