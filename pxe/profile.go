package pxe

import (
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

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
)

// Profile describes a boot. It is plain data, equal in JSON and Go.
type Profile struct {
	Name string `json:"name,omitempty"` // for events and the boot screen
	Kind Kind   `json:"kind,omitempty"` // empty means Linux

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

	URL string `json:"url,omitempty"` // of Chain: http URL, or a file of Config.Files, which is what ONIE can fetch
	// Text of Script by language. A loader whose language is missing receives "file not found".
	Text  map[Language]string `json:"text,omitempty"`
	Delay time.Duration       `json:"delay,omitempty"` // of Wait, in nanoseconds; 0 means 10 s
}

func (p Profile) kind() Kind {
	if p.Kind == "" {
		return Linux
	}
	return p.Kind
}

// WithOptions returns the profile with more at the end of its kernel command line; one that loads
// no kernel is returned as it is.
func (p Profile) WithOptions(options string) Profile {
	if options != "" && p.kind() == Linux {
		p.Cmdline = strings.TrimSpace(p.Cmdline + " " + options)
	}
	return p
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
	switch p.kind() {
	case Linux:
		return p.validateLinux()
	case Chain:
		return validateFile("url", p.URL)
	case Script:
		if len(p.Text) == 0 {
			return fmt.Errorf("text is empty, want a script for at least one of %s, %s, %s", IPXE, GRUB, PXELINUX)
		}
	case Wait:
		if p.Delay < 0 {
			return fmt.Errorf("delay is %v, want 0 or more", p.Delay)
		}
	case Local, PowerOff:
	default:
		return fmt.Errorf("kind %q is none of linux, local, chain, script, wait, poweroff", p.Kind)
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
	for k, v := range p.Vars {
		if !isVariable(k) {
			return fmt.Errorf("vars: %q is not a name of lower-case letters, digits and underscores", k)
		}
		if err := printable("vars["+k+"]", v); err != nil {
			return err
		}
	}
	return validateCmdline(p.Cmdline, p.Vars)
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
