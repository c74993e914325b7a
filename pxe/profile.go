package pxe

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/pxe/tftp"
)

// Kind says what a profile makes a machine do.
type Kind string

// The kinds of profile.
const (
	Linux    Kind = "linux"    // load Kernel and Initrd, start with Cmdline
	Local    Kind = "local"    // boot from the local disk
	Chain    Kind = "chain"    // hand over to the loader or script at URL
	Script   Kind = "script"   // run Text in the loader's own language
	Wait     Kind = "wait"     // ask again after Delay
	PowerOff Kind = "poweroff" // switch the machine off
	Menu     Kind = "menu"     // have the operator choose one of Entries, within Timeout

	ISO       Kind = "iso"       // boot the image Image: a Linux that is known by its kernel, another whole
	Windows   Kind = "windows"   // start the Windows PE of directory Dir by wimboot
	ESXi      Kind = "esxi"      // start the installer of VMware ESXi in directory Dir by its mboot
	Multiboot Kind = "multiboot" // start Kernel, such as Xen, with Cmdline and Modules
)

// Profile describes a boot. It is plain data, equal in JSON and Go.
type Profile struct {
	Name string `json:"name,omitempty"` // for events and the boot screen
	Kind Kind   `json:"kind,omitempty"` // empty means Linux

	// Loader names what UEFI firmware loads first: firmware.IPXE, firmware.GRUB, or with
	// firmware.UKI the kernel itself, an image that holds its initrd and command line. Empty means
	// the table of methods, and firmware that has no row for the loader keeps it, too. DHCP names
	// the loader, so a menu's counts and its entries have none.
	Loader firmware.Language `json:"loader,omitempty"`
	// Trust names certificate authorities, of which the firmware trusts at least one: of several
	// loaders, one that they signed is taken, see package loaders. It holds "microsoft-2011",
	// "microsoft-2023", or common names. Empty means that what started before is taken, or found
	// out.
	Trust []string `json:"trust,omitempty"`
	// Shim is the file of the shim by which iPXE starts the kernel where Secure Boot is on: the
	// shim of the kernel's distribution. Empty means the shim among the loaders.
	Shim string `json:"shim,omitempty"`
	// Verify has iPXE start only what a file beside it with ".sig" at the end of its name signs, by
	// the authorities that are compiled into iPXE.
	Verify bool `json:"verify,omitempty"`

	// Kernel and Initrd name files of Config.Files ("vmlinuz") or are absolute http URLs, which
	// only iPXE can fetch.
	Kernel string   `json:"kernel,omitempty"`
	Initrd []string `json:"initrd,omitempty"`
	// Cmdline is the kernel command line, in which {mac}, {uuid}, {ip}, {server}, {http}, {arch},
	// {bootif}, {profile} and the keys of Vars in braces are replaced; see Variables.
	Cmdline string `json:"cmdline,omitempty"`
	// Vars are further variables. Keys are lower-case letters, digits and underscores; values may
	// not hold control characters.
	Vars map[string]string `json:"vars,omitempty"`

	// Image is the file of an ISO image, below Config.Files.
	Image string `json:"image,omitempty"`
	// Dir is a directory of Config.Files with the files of an installation medium by their names
	// there. Of Windows these are boot/bcd, boot/boot.sdi and sources/boot.wim, with wimboot beside
	// them, and Initrd lists further files that Windows PE is to find; of ESXi boot.cfg,
	// efi/boot/bootx64.efi (its mboot), mboot.c32 for BIOS, and the modules.
	Dir string `json:"dir,omitempty"`
	// Modules are of Multiboot, in order: for Xen the kernel with its command line, then the
	// initrd.
	Modules []Module `json:"modules,omitempty"`

	URL string `json:"url,omitempty"` // of Chain: http URL, or a file of Config.Files, which is what ONIE can fetch
	// Text of Script by language. A loader whose language is missing receives "file not found".
	Text  map[firmware.Language]string `json:"text,omitempty"`
	Delay time.Duration                `json:"delay,omitempty"` // of Wait, in nanoseconds; 0 means 10 s

	// Title, Entries, Default and Timeout are of Menu. Entries name Profiles, where also the
	// profiles of menus that are entries are: only the outermost menu has Profiles. The name of a
	// chosen profile is in the events. An operator who leaves the menu has the machine boot its
	// disk.
	Title    string        `json:"title,omitempty"` // empty means Name
	Entries  []MenuEntry   `json:"entries,omitempty"`
	Default  string        `json:"default,omitempty"` // the entry that is booted after Timeout; empty means the first
	Timeout  time.Duration `json:"timeout,omitempty"` // in nanoseconds; 0 means 30 s, at most 59 minutes
	Profiles []Profile     `json:"profiles,omitempty"`

	// Always says that machines boot the profile each time, such as a system that runs from memory.
	// Without it, composing code may have a machine boot its disk once its system reported that it
	// is configured.
	Always bool `json:"always,omitempty"`
}

// Module is a file that a multiboot kernel is handed.
type Module struct {
	File    string `json:"file"`
	Cmdline string `json:"cmdline,omitempty"` // with variables like Profile.Cmdline
}

// signature ends the name of the file that signs another one for iPXE.
const signature = ".sig"

func (p Profile) kind() Kind {
	if p.Kind == "" {
		return Linux
	}
	return p.Kind
}

// WithOptions returns the profile with more at the end of its kernel command line, a menu with more
// at the end of each of its profiles'; one that loads no kernel is returned as it is.
func (p Profile) WithOptions(options string) Profile {
	if options != "" && (p.kind() == Linux || p.kind() == ISO) && p.Loader != firmware.UKI { // firmware hands on no command line
		p.Cmdline = strings.TrimSpace(p.Cmdline + " " + options)
	}
	if options != "" && p.kind() == Menu {
		p.Profiles = slices.Clone(p.Profiles)
		for i, q := range p.Profiles {
			p.Profiles[i] = q.WithOptions(options)
		}
	}
	return p
}

// Files returns the names of the files of Config.Files that the profile boots, or may boot when it
// is a menu, cleaned.
func (p Profile) Files() (names []string) {
	var all []string
	switch p.kind() {
	case Linux:
		all = append([]string{p.Kernel}, p.Initrd...)
		if p.Shim != "" {
			all = append(all, p.Shim)
		}
		if p.Verify {
			for _, name := range append([]string{p.Kernel}, p.Initrd...) {
				all = append(all, name+signature)
			}
		}
	case Chain:
		all = []string{p.URL}
	case ISO, Windows, ESXi, Multiboot:
		all = p.mediaFiles()
	case Menu:
		for _, q := range p.Profiles {
			if q.kind() != Menu {
				names = append(names, q.Files()...)
			}
		}
	}
	for _, name := range all {
		if clean, ok := cleanName(name); ok && !isURL(name) {
			names = append(names, clean)
		}
	}
	return names
}

// Validate reports the first mistake in the profile, naming the field. The server validates what
// its Resolver returns, so that a bad profile is an error in the log instead of a machine at a
// loader prompt.
func (p Profile) Validate() error {
	if err := p.validate(); err != nil {
		return fmt.Errorf("pxe: profile %q: %w", p.Name, err)
	}
	return nil
}

func (p Profile) validate() error {
	if err := printable("name", p.Name); err != nil {
		return err
	}
	if p.kind() != Menu && (len(p.Entries) > 0 || len(p.Profiles) > 0) {
		return fmt.Errorf("entries and profiles are for menus, and kind is %q; set kind to menu", p.kind())
	}
	if err := p.validateLoader(); err != nil {
		return err
	}
	switch p.kind() {
	case Menu:
		return p.validateMenu()
	case Linux:
		return p.validateLinux()
	case Chain:
		return validateFile("url", p.URL)
	case Script:
		if len(p.Text) == 0 {
			return fmt.Errorf("text is empty, want a script for at least one of %s, %s, %s", firmware.IPXE, firmware.GRUB, firmware.PXELINUX)
		}
	case Wait:
		if p.Delay < 0 {
			return fmt.Errorf("delay is %v, want 0 or more", p.Delay)
		}
	case ISO, Windows, ESXi, Multiboot:
		return p.validateMedia()
	case Local, PowerOff:
	default:
		return fmt.Errorf("kind %q is none of linux, local, chain, script, wait, poweroff, menu, iso, windows, esxi, multiboot", p.Kind)
	}
	return nil
}

// validateLoader checks that the loader exists and can boot the profile.
func (p Profile) validateLoader() error {
	files := append([]string{p.Kernel, p.URL}, p.Initrd...)
	for i, ca := range p.Trust {
		if strings.TrimSpace(ca) == "" || printable("trust", ca) != nil {
			return fmt.Errorf("trust[%d] is %q, want microsoft-2011, microsoft-2023, or the common name of an authority", i, ca)
		}
	}
	if p.Verify && p.Loader != "" && p.Loader != firmware.IPXE {
		return fmt.Errorf("verify is set, which only iPXE can do, and loader is %s; set loader to ipxe, or remove one of them", p.Loader)
	}
	if p.Shim != "" {
		if err := validateFile("shim", p.Shim); err != nil {
			return err
		}
	}
	switch p.Loader {
	case "", firmware.IPXE:
	case firmware.GRUB:
		if i := slices.IndexFunc(files, isURL); i >= 0 {
			return fmt.Errorf("loader is grub, which cannot fetch %s; put the file into the files served, or set loader to ipxe", files[i])
		}
	case firmware.UKI:
		switch {
		case p.kind() != Linux && p.kind() != Chain:
			return fmt.Errorf("loader is uki, with which firmware runs a kernel itself, and kind is %q; set kind to linux, or loader to ipxe", p.Kind)
		case len(p.Initrd) > 0 || p.Cmdline != "" || p.Shim != "":
			return errors.New("loader is uki, and initrd, cmdline or shim is set, which such a kernel has inside or does not need; remove them, or set loader to ipxe")
		case slices.ContainsFunc(files, isURL):
			return errors.New("loader is uki, and the file is a URL of another server; put the file into the files served, or set loader to ipxe")
		}
	default:
		return fmt.Errorf("loader %q is none of ipxe, grub, uki; leave it out for the usual loader of the firmware", p.Loader)
	}
	return nil
}

func (p Profile) validateLinux() error {
	if err := validateFile("kernel", p.Kernel); err != nil {
		return err
	}
	for i, f := range p.Initrd {
		if err := validateFile(fmt.Sprintf("initrd[%d]", i), f); err != nil {
			return err
		}
	}
	return p.validateText(p.Cmdline)
}

// validateText checks the variables, and a command line that they may stand in.
func (p Profile) validateText(cmdline string) error {
	for k, v := range p.Vars {
		if !isVariable(k) {
			return fmt.Errorf("vars: %q is not a name of lower-case letters, digits and underscores", k)
		}
		if err := printable("vars["+k+"]", v); err != nil {
			return err
		}
	}
	return validateCmdline(cmdline, p.Vars)
}

// validateFile accepts an http URL or a clean relative path.
func validateFile(field, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s is empty", field)
	case strings.ContainsAny(name, " \t$'\"") || printable(field, name) != nil:
		return fmt.Errorf("%s is %q: spaces, quotes, $ and control characters cannot be given to boot loaders", field, name)
	case isURL(name):
		if u, err := url.Parse(name); err != nil || u.Host == "" {
			return fmt.Errorf("%s: %q is not a complete URL", field, name)
		}
		return nil
	}
	if clean, ok := tftp.CleanPath(name); !ok || clean != path.Clean(strings.TrimPrefix(name, "/")) {
		return fmt.Errorf("%s: %q is not a path inside the files served", field, name)
	}
	return nil
}

func isURL(name string) bool {
	return strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://")
}

func printable(field, s string) error {
	for _, c := range s {
		if c < 0x20 || c == 0x7f {
			return fmt.Errorf("%s is %q: control characters are not allowed", field, s)
		}
	}
	return nil
}
