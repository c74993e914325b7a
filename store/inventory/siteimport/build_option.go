package siteimport

import (
	"slices"
	"strings"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// option is an option as a DHCP snippet has it.
type option struct {
	name  string
	value string
	item  int
}

func (o option) line() string { return "option " + o.name + " " + o.value + ";" }

// inherited returns the options of a scope and of those around it up to one of the given kinds; the
// inner ones win.
func (in *scope) inherited(until ...string) (out []option) {
	for ; in != nil && !slices.Contains(until, in.kind); in = in.parent {
		for _, o := range in.options {
			if !slices.ContainsFunc(out, func(have option) bool { return have.name == o.name }) {
				out = append(out, o)
			}
		}
	}
	return out
}

// ofFamily returns the options of IPv4 or of IPv6.
func ofFamily(options []option, is6 bool) (out []option) {
	for _, o := range options {
		if strings.HasPrefix(o.name, "dhcp6.") == is6 {
			out = append(out, o)
		}
	}
	return out
}

// take removes an option from a list and returns its values.
func take(from []option, names ...string) (rest []option, values []string, item int) {
	for _, o := range from {
		if slices.Contains(names, o.name) && values == nil {
			for value := range strings.SplitSeq(o.value, ",") {
				values = append(values, strings.TrimSpace(value))
			}
			item = o.item
			continue
		}
		rest = append(rest, o)
	}
	return rest, values, item
}

// lines are options as the value of a snippet.
func lines(options []option) string {
	var out strings.Builder
	for _, o := range options {
		out.WriteString(o.line() + "\n")
	}
	return out.String()
}

// snippet adds options to what a DHCP snippet has, and the snippet to the document unless it has
// nothing. One that no server would take is left out.
func (b *builder) snippet(s sitedoc.Snippet, options []option) {
	if s.Value += lines(options); s.Value == "" {
		return
	}
	if _, err := inventory.ParseDHCPOptions(s.Value); err != nil || len(s.Value) > 16<<10 {
		for _, o := range options {
			b.settle(o.item, LeftOut, "does not fit in DHCP snippet %s: shorten its options (%v)", s.Name, err)
		}
		return
	}
	for _, o := range options {
		b.settle(o.item, Taken, "DHCP snippet %s", s.Name)
	}
	b.out.Document.Snippets = append(b.out.Document.Snippets, s)
}

// siteOptions are the options outside of all blocks, without those that are in the subnets.
func (b *builder) siteOptions() {
	var rest []option
	for _, o := range b.site.options {
		if !slices.Contains(perSubnet, o.name) {
			rest = append(rest, o)
		}
	}
	b.snippet(b.siteSnippet(), rest)
}

// namesOfNumbers are the names that snippets have for the options of [perSubnet]: one that is named
// here and numbered there would be in a subnet twice.
var namesOfNumbers = map[string]string{
	"3": "routers", "6": "domain-name-servers", "15": "domain-name", "26": "interface-mtu", "42": "ntp-servers", "119": "domain-search",
	"dhcp6.23": "dhcp6.name-servers", "dhcp6.24": "dhcp6.domain-search",
}

// addOption adds an option to a scope unless it cannot be kept, for which why has the reason.
func (b *builder) addOption(p place, in *scope, o option, why string) {
	// Those with a field of subnets, or that replace what a plan gives subnets, are known by name.
	if std := namesOfNumbers[o.name]; std != "" {
		o.name = std
	}
	if why == "" && (o.name == "subnet-mask" || o.name == "1") {
		b.put(p, Taken, "follows from the prefix of each subnet")
		return
	}
	if why == "" {
		if _, err := inventory.ParseDHCPOptions(o.line()); err != nil {
			why = err.Error()
		}
	}
	if why != "" {
		b.put(p, LeftOut, "%s", why)
		return
	}
	// What takes it says so later.
	o.item = b.put(p, LeftOut, "applies to no subnet, range, host or class here")
	// The last of several in a block counts, as in all servers that are read.
	if at := slices.IndexFunc(in.options, func(x option) bool { return x.name == o.name }); at >= 0 {
		b.settle(in.options[at].item, LeftOut, "a later statement of the block replaces it")
		in.options = slices.Delete(in.options, at, at+1)
	}
	in.options = append(in.options, o)
}

// badSnippet returns why a text is no DHCP snippet; "" = it is one.
func badSnippet(value string) string {
	if _, err := inventory.ParseDHCPOptions(value); err != nil {
		return err.Error()
	}
	return ""
}
