package siteimport

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// hostsLine matches a line of a hosts file.
var hostsLine = regexp.MustCompile(`\A(\s*(#[^\n]*)?\n)*\s*([\da-fA-F]*[:.][\da-fA-F:.]+)[ \t]+[A-Za-z0-9]`)

// readHostsFiles reads hosts files by themselves.
func readHostsFiles(b *builder, src *source, files []string) error {
	for _, name := range files {
		err := readHosts(b, src, name, func(p place, host string, addr netip.Addr) {
			b.addAddress(p, host, addr, 0)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readHosts reads a hosts file: an address and its names in each line.
func readHosts(b *builder, src *source, name string, add func(p place, host string, addr netip.Addr)) error {
	text, err := src.text(name)
	if err != nil {
		return err
	}
	line := 0
	for row := range strings.Lines(text) {
		line++
		// hosts(5) knows no quotes.
		row, _, _ := strings.Cut(row, "#")
		f := strings.Fields(row)
		if len(f) == 0 {
			continue
		}
		p := place{file: name, line: line, text: clip(strings.Join(f, " ")), tokens: len(f)}
		if err := src.count(p); err != nil {
			return err
		}
		addr, err := netip.ParseAddr(f[0])
		switch {
		case err != nil:
			if !b.o.AllowUnknown {
				return p.errorf("%q is not an address; correct it, or leave the line out with --allow-unknown", clip(f[0]))
			}
			b.put(p, LeftOut, "is not an address")
			continue
		case addr.Zone() != "" || addr.IsLoopback() || addr.IsMulticast() || addr.IsUnspecified() || addr.IsLinkLocalUnicast():
			b.put(p, LeftOut, "addresses of a host itself are not names of the site")
			continue
		case len(f) < 2:
			b.put(p, LeftOut, "the address has no name")
			continue
		}
		b.put(p, Taken, "its names follow")
		full := slices.ContainsFunc(f[1:], func(n string) bool { return strings.Contains(n, ".") })
		for _, host := range f[1:] {
			if full && !strings.Contains(host, ".") {
				// Usual is the short name after the whole one: the search domain gives it.
				b.put(p.part(host), Taken, "is short for the whole name")
				continue
			}
			add(p.part(host), host, addr)
		}
	}
	return nil
}
