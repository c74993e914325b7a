package pxe

import (
	"fmt"
	"strings"
	"time"
)

// Render writes the profile in the language r.Config for the machine r. Links
// lead to the HTTP server at at; with its zero value they are relative, for a
// loader that fetched the text itself by HTTP. A profile that has nothing in
// this language is ErrNoProfile.
func Render(p Profile, r Request, at Endpoint) (string, error) {
	return render(p, r, at, at.URL()+"/")
}

// render separates where links lead (base) from what variables show (at).
func render(p Profile, r Request, at Endpoint, base string) (string, error) {
	if err := p.Validate(); err != nil {
		return "", err
	}
	c := page{profile: p, request: r, base: base, id: pathID(r)}
	if p.kind() == Script {
		text, ok := p.Text[r.Config]
		if !ok {
			return "", ErrNoProfile
		}
		return text, nil
	}
	if p.kind() == Linux {
		var err error
		if c.args, err = commandLine(p, r, at); err != nil {
			return "", fmt.Errorf("pxe: profile %q: %w", p.Name, err)
		}
	}
	switch r.Config {
	case IPXE:
		return renderIPXE(c), nil
	case GRUB:
		return renderGRUB(c)
	case PXELINUX:
		return renderPXELinux(c), nil
	}
	return "", ErrNoProfile
}

// page is what the renderers work from.
type page struct {
	profile Profile
	request Request
	base    string   // prefix of links, ends in a slash
	id      string   // the machine in paths
	args    []string // expanded kernel arguments
}

func commandLine(p Profile, r Request, at Endpoint) ([]string, error) {
	text, err := expand(p.Cmdline, Variables(p, r, at))
	if err != nil {
		return nil, err
	}
	return arguments(text)
}

// link returns how a loader reaches a file of the profile; stage is "kernel" or
// "initrd" and attributes the fetch.
func (c page) link(stage Stage, file string) string {
	if isURL(file) {
		return file
	}
	name, _ := cleanName(file)
	return c.base + "boot/" + c.id + "/" + string(stage) + "/" + name
}

// title names the profile and the machine on a boot screen, in characters that
// mean nothing to any loader.
func (c page) title() string {
	return plain(string(c.profile.kind())+" "+c.profile.Name) + " for " + plain(c.id)
}

func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(" ._:@/-", r):
			return r
		}
		return '?'
	}, strings.TrimSpace(s))
}

func (c page) delay() int {
	d := c.profile.Delay
	if d == 0 {
		d = 10 * time.Second
	}
	return int(max(d, time.Second) / time.Second)
}
