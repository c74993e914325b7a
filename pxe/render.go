package pxe

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/pxe/firmware"
)

// Render writes the profile in the language r.Config for the machine r. Links lead to the HTTP
// server at at; with its zero value they are relative, for a loader that fetched the text itself by
// HTTP. When at has Others, the text goes on with them after some tries. A profile that has nothing
// in this language is ErrNoProfile.
func Render(p Profile, r Request, at firmware.Endpoint) (string, error) {
	return render(p, r, at, at.URL()+"/")
}

// render separates where links lead (base) from what variables show (at).
func render(p Profile, r Request, at firmware.Endpoint, base string) (string, error) {
	if err := p.Validate(); err != nil {
		return "", err
	}
	if p.kind() == Script {
		text, ok := p.Text[r.Config]
		if !ok {
			return "", ErrNoProfile
		}
		return text, nil
	}
	if !p.renders(r.Config) {
		p = gone(p.Name, "needs iPXE: set loader to ipxe in the profile")
	}
	c := page{profile: p, request: r, id: pathID(r), dir: "boot/" + pathID(r) + "/", web: base == "/"}
	for i, server := range endpoints(at) {
		src := source{at: server, base: base}
		if i > 0 {
			src.base = server.URL() + "/"
		}
		if err := src.expand(p, r); err != nil {
			return "", fmt.Errorf("pxe: profile %q: %w", p.Name, err)
		}
		c.servers = append(c.servers, src)
	}
	switch r.Config {
	case firmware.IPXE:
		return renderIPXE(c), nil
	case firmware.GRUB:
		return renderGRUB(c)
	case firmware.PXELINUX:
		return renderPXELinux(c), nil
	}
	return "", ErrNoProfile
}

// page holds the input of the renderers.
type page struct {
	profile Profile
	request Request
	id      string   // the machine in paths
	dir     string   // prefix of paths below a server: of the machine, or of an entry of its menu
	web     bool     // the text is fetched by HTTP
	servers []source // at least one; the first is where the text comes from
}

// source is one server with the profile's files.
type source struct {
	at   firmware.Endpoint
	base string   // prefix of links, ends in a slash
	args []string // expanded kernel arguments, which name the server
	// modules has the arguments of each module of a multiboot kernel.
	modules [][]string
}

// expand fills in the arguments.
func (s *source) expand(p Profile, r Request) (err error) {
	if p.kind() != Linux && p.kind() != Multiboot {
		return nil
	}
	if s.args, err = commandLine(p, r, s.at); err != nil {
		return err
	}
	for _, m := range p.Modules {
		p.Cmdline = m.Cmdline
		args, err := commandLine(p, r, s.at)
		if err != nil {
			return err
		}
		s.modules = append(s.modules, args)
	}
	return nil
}

// renders reports whether a loader's language can boot the kind of a profile: pxelinux boots no
// multiboot kernel and no Windows, and takes a whole ISO image into memory.
func (p Profile) renders(l firmware.Language) bool {
	switch p.kind() {
	case ISO:
		return l != firmware.GRUB
	case Windows, ESXi:
		return l == firmware.IPXE
	case Multiboot:
		return l != firmware.PXELINUX
	}
	return true
}

// maxOthers bounds the other servers in a script: each costs a minute or more when it is silent,
// too.
const maxOthers = 2

// endpoints returns the endpoint and its Others, as far as the client's address family reaches
// them.
func endpoints(at firmware.Endpoint) []firmware.Endpoint {
	own := at
	own.Others = nil
	all := []firmware.Endpoint{own}
	for _, a := range at.Others {
		seen := slices.ContainsFunc(all, func(e firmware.Endpoint) bool { return e.Addr == a })
		if !seen && at.Addr.IsValid() && a.Is4() == at.Addr.Unmap().Is4() && len(all) <= maxOthers {
			all = append(all, firmware.Endpoint{Addr: a, HTTPPort: at.HTTPPort, SyslogPort: at.SyslogPort, Nonce: at.Nonce})
		}
	}
	return all
}

func commandLine(p Profile, r Request, at firmware.Endpoint) ([]string, error) {
	text, err := expand(p.Cmdline, Variables(p, r, at))
	if err != nil {
		return nil, err
	}
	return arguments(text)
}

// link returns how a loader reaches a file of the profile below base; stage is "kernel" or "initrd"
// and attributes the fetch.
func (c page) link(base string, stage Stage, file string) string {
	if isURL(file) {
		return file
	}
	name, _ := cleanName(file)
	return base + c.dir + string(stage) + "/" + name
}

// each makes the commands of every server.
func (c page) each(commands func(source) []string) (all [][]string) {
	for _, s := range c.servers {
		all = append(all, commands(s))
	}
	return all
}

// title names the profile and the machine on a boot screen, in characters that mean nothing to any
// loader.
func (c page) title() string {
	return plain(string(c.profile.kind())+" "+c.profile.Name) + " for " + plain(c.id)
}

func plain(s string) string {
	return strings.Map(plainRune, strings.TrimSpace(s))
}

func plainRune(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(" ._:@/-", r):
		return r
	}
	return '?'
}

func (c page) delay() int {
	d := c.profile.Delay
	if d == 0 {
		d = 10 * time.Second
	}
	return int(max(d, time.Second) / time.Second)
}
