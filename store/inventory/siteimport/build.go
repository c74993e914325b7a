package siteimport

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// builder makes a document from what a configuration decides, whatever its kind writes it like: the
// reader of a kind declares subnets, ranges, hosts, classes, options, names and leases with the
// place of each, and finish makes what depends on all of them.
type builder struct {
	o       Options
	kind    string // of the configuration; names of snippets begin with it
	out     Result
	site    *scope
	subnets []*subnetDecl
	byCIDR  map[netip.Prefix]*subnetDecl
	links   map[string]bool // names of fabrics in lower case
	hosts   []*hostDecl
	classes map[string]bool // by name
	order   []*classDecl
	pools   []*poolDecl
	names   names
	leases  map[leaseKey]int // index in out.Leases
	noDNS   bool             // the server names no DNS server of its own accord
	lease   int64            // length of leases of the whole site in seconds; 0 = none
	notes   map[int][]string // by item: what of a statement is not kept, though the rest is
}

// scope holds what a block says for all that is in it.
type scope struct {
	parent  *scope
	kind    string // first word of its statement; "" = the file
	name    string
	subnet  *subnetDecl // of a subnet and of what is in it
	host    *hostDecl
	class   *classDecl
	pool    *poolDecl
	options []option
	leases  [2]leaseLengths // of IPv4 and IPv6
	closed  string          // permit that is not kept
	named   bool            // hosts get their names from the server
}

// place is a statement as the report shows it.
type place struct {
	file   string
	line   int
	text   string
	tokens int // of the statement itself
	// item is one more than the index of the item that the statement has already; 0 = none. Kinds
	// whose statements are a tree have items for all nodes before they are translated.
	item int
}

// part is a part of the statement that has an item of its own. Its tokens count with the statement.
func (p place) part(text string) place { return place{file: p.file, line: p.line, text: clip(text)} }

func (p place) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.file, p.line, fmt.Sprintf(format, args...))
}

func newBuilder(kind string, o Options) *builder {
	return &builder{
		o: o, kind: kind, site: &scope{}, byCIDR: map[netip.Prefix]*subnetDecl{}, links: map[string]bool{}, classes: map[string]bool{},
		noDNS: kind == "dhcpd" || kind == "kea", names: names{domains: map[string]bool{}}, leases: map[leaseKey]int{}, notes: map[int][]string{},
	}
}

// put appends an item and returns its index: what a host becomes is known at the end.
func (b *builder) put(p place, o Outcome, format string, args ...any) int {
	// The item keeps its place in the order of reading.
	if p.item > 0 {
		b.settle(p.item-1, o, format, args...)
		return p.item - 1
	}
	b.out.Report = append(b.out.Report, Item{p.file, p.line, p.text, o, fmt.Sprintf(format, args...), p.tokens})
	if b.o.Progress != nil && len(b.out.Report)%progressEvery == 0 {
		b.o.Progress(len(b.out.Report))
	}
	return len(b.out.Report) - 1
}

// progressEvery is the number of items between calls of Options.Progress: rare enough to cost
// nothing, and some ten calls a second at the speed of the slowest kind.
const progressEvery = 10_000

// settle sets what became of a statement.
func (b *builder) settle(item int, o Outcome, format string, args ...any) {
	i := &b.out.Report[item]
	i.Outcome, i.Why = o, fmt.Sprintf(format, args...)
}

// unknown refuses a statement that the kind does not know, or leaves it out where that is allowed.
func (b *builder) unknown(p place) error {
	if !b.o.AllowUnknown {
		return p.errorf("%q is not a known statement; correct it, or leave it out with --allow-unknown", clip(p.text))
	}
	b.put(p, LeftOut, "is not known")
	return nil
}

func clip(text string) string {
	if len(text) > 60 {
		return strings.ToValidUTF8(text[:60], "") + "..."
	}
	return text
}

// link makes a fabric and returns its name.
func (b *builder) link(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '-'
	}, clip(name))
	if name == "" {
		name = "link"
	}
	base := name
	for n := 2; b.links[strings.ToLower(name)]; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	b.links[strings.ToLower(name)] = true
	b.out.Document.Fabrics = append(b.out.Document.Fabrics, sitedoc.Fabric{Name: name})
	return name
}

// finish makes what depends on all statements. Classes are first, since ranges for a class that is
// left out are closed; hosts are before subnets, since reserved addresses split ranges.
func (b *builder) finish() Result {
	b.finishClasses()
	b.finishDenials()
	b.finishHosts()
	b.finishLeaseTimes()
	b.finishSubnets()
	b.siteOptions()
	b.finishNames()
	b.finishLeases()
	b.finishNotes()
	return b.out
}

// note adds to what became of a statement, which is not known before the end.
func (b *builder) note(item int, format string, args ...any) {
	b.notes[item] = append(b.notes[item], fmt.Sprintf(format, args...))
}

// finishNotes adds the notes. A statement with one is not taken as it was written.
func (b *builder) finishNotes() {
	for item, notes := range b.notes {
		i := &b.out.Report[item]
		// One that is left out as a whole has its reason already.
		if i.Outcome == LeftOut {
			continue
		}
		i.Outcome, i.Why = Changed, strings.TrimPrefix(i.Why+"; "+strings.Join(notes, "; "), "; ")
	}
}
