package pxe

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// MenuEntry is one line of a menu.
type MenuEntry struct {
	Profile string `json:"profile"`         // name of one of the outermost menu's Profiles
	Title   string `json:"title,omitempty"` // empty means the name
}

const (
	// maxEntries bounds a menu: screens have 24 lines or little more, and pxelinux' memory is
	// small.
	maxEntries = 100
	// maxMenuName is the length of a name in bytes, which pxelinux' users have to type.
	maxMenuName = 40
	// defaultTimeout leaves an operator the time to read the menu after a machine's reset.
	defaultTimeout = 30 * time.Second
	// maxTimeout is the longest time that pxelinux counts, 35996 tenths of a second, in minutes.
	maxTimeout = 59 * time.Minute
)

// validateMenu reports the first mistake in the menu, in those that it leads to, and in the
// profiles of the entries.
func (p Profile) validateMenu() error {
	if len(p.Profiles) > maxEntries {
		return fmt.Errorf("the menu has %d profiles, want at most %d", len(p.Profiles), maxEntries)
	}
	for i, q := range p.Profiles {
		switch {
		case !isMenuName(q.Name):
			return fmt.Errorf("profiles[%d]: name %q is not made of 1 to %d lower-case letters, digits, dashes and underscores; boot loaders need such a name", i, q.Name, maxMenuName)
		case slices.ContainsFunc(p.Profiles[:i], func(o Profile) bool { return o.Name == q.Name }):
			return fmt.Errorf("profiles[%d]: there is another %q; give each a name of its own", i, q.Name)
		case q.Loader != "" || len(q.Trust) > 0:
			return fmt.Errorf("profiles[%d]: %q has a loader or trust, and firmware loads a loader before the menu is shown; set it in the outermost menu", i, q.Name)
		case len(q.Profiles) > 0:
			return fmt.Errorf("profiles[%d]: menu %q has profiles; list them with the profiles of the outermost menu", i, q.Name)
		case q.kind() == Menu:
			continue // checked below, with where its entries lead
		}
		q.Vars = joined(p.Vars, q.Vars)
		if err := q.validate(); err != nil {
			return fmt.Errorf("profiles[%d] %q: %w", i, q.Name, err)
		}
	}
	c := menuCheck{outermost: p, whole: make(map[string]bool)}
	if err := c.menu(p, nil); err != nil {
		return err
	}
	for _, q := range p.Profiles { // also what no entry names
		if q.kind() == Menu {
			if err := c.named(q); err != nil {
				return err
			}
		}
	}
	return nil
}

// menuCheck walks a menu and the menus that it leads to, each once.
type menuCheck struct {
	outermost Profile
	whole     map[string]bool // menus that were checked with all that they lead to
}

// named checks a menu among the profiles, which was reached by the menus named in way.
func (c menuCheck) named(menu Profile, way ...string) error {
	if c.whole[menu.Name] {
		return nil
	}
	if err := c.menu(menu, append(slices.Clip(way), menu.Name)); err != nil {
		if strings.HasPrefix(err.Error(), "menu ") { // a menu further in
			return err
		}
		return fmt.Errorf("menu %q: %w", menu.Name, err)
	}
	c.whole[menu.Name] = true
	return nil
}

// menu checks a menu; the last name of way is its own, if it is not the outermost one.
func (c menuCheck) menu(menu Profile, way []string) error {
	if len(menu.Entries) == 0 {
		return errors.New("it has no entries; add entries, each with the name of one of the menu's profiles")
	}
	if len(menu.Entries) > maxEntries {
		return fmt.Errorf("it has %d entries, want at most %d; put some of them into a menu of their own", len(menu.Entries), maxEntries)
	}
	if err := printable("title", menu.Title); err != nil {
		return err
	}
	if menu.Timeout < 0 || menu.Timeout > maxTimeout {
		return fmt.Errorf("timeout is %v, want 0 to %v", menu.Timeout, maxTimeout)
	}
	for i, e := range menu.Entries {
		if slices.ContainsFunc(menu.Entries[:i], func(o MenuEntry) bool { return o.Profile == e.Profile }) {
			return fmt.Errorf("entries[%d]: profile %q is an entry already; remove one of them", i, e.Profile)
		}
		if err := c.entry(i, e, way); err != nil {
			return err
		}
	}
	if menu.Default != "" && !slices.ContainsFunc(menu.Entries, func(e MenuEntry) bool { return e.Profile == menu.Default }) {
		return fmt.Errorf("default %q is none of its entries; name one of them, or leave it out for the first", menu.Default)
	}
	return nil
}

func (c menuCheck) entry(i int, e MenuEntry, way []string) error {
	if err := printable("title", e.Title); err != nil {
		return fmt.Errorf("entries[%d]: %w", i, err)
	}
	target, ok := c.outermost.named(e.Profile)
	switch {
	case slices.Contains(way, e.Profile) || !ok && e.Profile != "" && e.Profile == c.outermost.Name:
		return fmt.Errorf("entries[%d] leads back to menu %q, so that the menu names itself; remove the entry", i, e.Profile)
	case !ok:
		return fmt.Errorf("entries[%d]: there is no profile %q; the menu's profiles are %s", i, e.Profile, c.outermost.names())
	case target.kind() == Menu:
		return c.named(target, way...)
	}
	return nil
}

// isMenuName reports whether a name can be a part of paths, a label of iPXE and pxelinux, and an ID
// of GRUB.
func isMenuName(s string) bool {
	ok := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' }
	for i := range len(s) {
		if !ok(s[i]) || i == 0 && s[i] == '-' { // iPXE would take -x for an option
			return false
		}
	}
	return s != "" && len(s) <= maxMenuName
}

func (p Profile) named(name string) (Profile, bool) {
	i := slices.IndexFunc(p.Profiles, func(q Profile) bool { return q.Name == name })
	if i < 0 {
		return Profile{}, false
	}
	return p.Profiles[i], true
}

// names lists the profiles for errors.
func (p Profile) names() string {
	var names []string
	for _, q := range p.Profiles {
		names = append(names, q.Name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// Entry returns what a menu, or one that it leads to, boots by a name: the profile with the menu's
// variables, where its own go first. A profile that is no menu has no entries.
func (p Profile) Entry(name string) (Profile, bool) {
	q, ok := p.named(name)
	if !ok || p.kind() != Menu {
		return Profile{}, false
	}
	q.Vars = joined(p.Vars, q.Vars)
	if q.kind() == Menu { // its entries are among the same profiles
		q.Profiles = p.Profiles
	}
	return q, true
}

func joined(outer, inner map[string]string) map[string]string {
	if len(outer) == 0 {
		return inner
	}
	all := maps.Clone(outer)
	maps.Copy(all, inner)
	return all
}

// gone returns the answer for an entry that cannot be booted: a readable line on the screen and
// then the disk. An error would leave pxelinux at its prompt for ever.
func gone(name, why string) Profile {
	return Profile{Name: name + " " + why, Kind: Local}
}

// first returns the index of the entry that is booted when nothing is chosen.
func (p Profile) first() int {
	return max(0, slices.IndexFunc(p.Entries, func(e MenuEntry) bool { return e.Profile == p.Default }))
}

// leaves returns the entries of the menu and of the menus that it leads to, in order, without the
// menus. Entries whose names seen has are passed over.
func (p Profile) leaves(seen map[string]bool) (all []MenuEntry) {
	for _, e := range p.Entries {
		if seen[e.Profile] { // also ends the walk of a menu that was not validated
			continue
		}
		seen[e.Profile] = true
		if q, _ := p.Entry(e.Profile); q.kind() == Menu {
			all = append(all, q.leaves(seen)...)
		} else {
			all = append(all, e)
		}
	}
	return all
}

// firstLeaf returns the name of what is booted when nothing is chosen, in menus that the menu leads
// to as well.
func (p Profile) firstLeaf() string {
	name := p.Entries[p.first()].Profile
	if q, _ := p.Entry(name); q.kind() == Menu {
		return q.firstLeaf()
	}
	return name
}

func (p Profile) timeout() time.Duration {
	if p.Timeout == 0 {
		return defaultTimeout
	}
	return max(p.Timeout.Round(time.Second), time.Second)
}

// heading is the title of the menu on a screen.
func (p Profile) heading() string {
	for _, title := range []string{p.Title, p.Name} {
		if text := titleText(title); text != "" {
			return text
		}
	}
	return "Boot menu"
}

func (e MenuEntry) shown() string {
	if text := titleText(e.Title); text != "" {
		return text
	}
	return e.Profile
}

// titleText keeps what no loader interprets. A dash at the front would be an option of iPXE.
func titleText(s string) string {
	text := strings.Map(func(r rune) rune {
		if strings.ContainsRune("()+,", r) {
			return r
		}
		return plainRune(r)
	}, s)
	return strings.TrimLeft(strings.TrimSpace(text), "- ")
}
