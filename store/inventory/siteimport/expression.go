package siteimport

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// condition selects clients by all of its fields that are set: the conjunction that a class can be.
type condition struct {
	vendor, user, mac, circuit string
	arch                       []uint16
	loose                      bool // the configuration demands an equal text, and a class a prefix
}

func (c condition) fill(doc *sitedoc.Class) {
	doc.VendorClass, doc.UserClass, doc.MACPrefix, doc.CircuitID, doc.Arch = c.vendor, c.user, c.mac, c.circuit, c.arch
}

// maxAlternatives bounds the classes that one condition becomes: "and" of two "or" multiplies.
const maxAlternatives = 16

// noCounterpart is the reason for conditions that no class can have.
const noCounterpart = "the condition has no counterpart; classes compare vendor class, user class, architecture, MAC prefix and circuit"

// expression reads a condition as dhcpd (dhcp-eval(5)) and Kea (classification) write it, into
// alternatives. The grammar of both is the same down to comparisons, which term reads.
type expression struct {
	words []token
	depth int
	term  func(e *expression) ([]condition, bool)
	types map[string]optionType
}

func (e *expression) is(texts ...string) bool {
	return len(e.words) > 0 && slices.ContainsFunc(texts, e.words[0].is)
}

func (e *expression) accept(texts ...string) bool {
	if !e.is(texts...) {
		return false
	}
	e.words = e.words[1:]
	return true
}

// take returns the next word and passes it; an empty one at the end.
func (e *expression) take() (t token) {
	if len(e.words) > 0 {
		t, e.words = e.words[0], e.words[1:]
	}
	return t
}

// alternatives reads the whole expression; false = some of it has no counterpart.
func (e *expression) alternatives() ([]condition, bool) {
	any, ok := e.or()
	return any, ok && len(e.words) == 0 && len(any) <= maxAlternatives
}

func (e *expression) or() ([]condition, bool) {
	any, ok := e.and()
	for ok && e.accept("or") {
		var more []condition
		more, ok = e.and()
		for _, c := range more {
			any = joined(any, c)
		}
		ok = ok && len(any) <= maxAlternatives
	}
	return any, ok
}

// joined adds an alternative. Two that differ in the architecture alone are one with both: a class
// lists several, and configurations have one "or" for each number of UEFI.
func joined(any []condition, c condition) []condition {
	for i, have := range any {
		if len(have.arch) > 0 && len(c.arch) > 0 && have.vendor == c.vendor && have.user == c.user && have.mac == c.mac && have.circuit == c.circuit {
			any[i].arch = append(slices.Clone(have.arch), c.arch...)
			return any
		}
	}
	return append(any, c)
}

func (e *expression) and() ([]condition, bool) {
	any, ok := e.primary()
	for ok && e.accept("and") {
		more, more2 := e.primary()
		if ok = more2; !ok {
			break
		}
		any, ok = both(any, more)
	}
	return any, ok
}

// both returns the alternatives that satisfy one of each list; false = a class has one value of a
// field, so two different ones cannot be joined.
func both(x, y []condition) (out []condition, ok bool) {
	for _, a := range x {
		for _, c := range y {
			clash := func(a, c string) bool { return a != "" && c != "" && a != c }
			if clash(a.vendor, c.vendor) || clash(a.user, c.user) || clash(a.mac, c.mac) || clash(a.circuit, c.circuit) || len(a.arch) > 0 && len(c.arch) > 0 {
				return nil, false
			}
			c.vendor, c.user, c.mac, c.circuit = cmp.Or(a.vendor, c.vendor), cmp.Or(a.user, c.user), cmp.Or(a.mac, c.mac), cmp.Or(a.circuit, c.circuit)
			c.loose = a.loose || c.loose
			if len(a.arch) > 0 {
				c.arch = a.arch
			}
			out = append(out, c)
		}
	}
	return out, len(out) <= maxAlternatives
}

func (e *expression) primary() ([]condition, bool) {
	if e.depth++; e.depth > maxDepth {
		return nil, false
	}
	defer func() { e.depth-- }()
	if e.accept("(") {
		any, ok := e.or()
		return any, ok && e.accept(")")
	}
	return e.term(e)
}

// selectors are the options that classes compare, by the names and numbers that configurations have
// for them.
var selectors = map[string]string{
	"vendor-class-identifier": "vendor", "dhcp6.vendor-class": "vendor", "60": "vendor", "user-class": "user", "dhcp6.user-class": "user", "77": "user",
	"user_class": "user", "user-class-id": "user", "arch": "arch", "architecture": "arch", "architecture-type": "arch", "client-arch": "arch",
	"client-arch-type": "arch", "client-architecture": "arch", "client-system": "arch", "pxe-system-type": "arch", "system-arch": "arch", "93": "arch",
	"dhcp6.client-arch-type": "arch", "hardware": "mac", "agent.circuit-id": "circuit",
}

// comparison is a term: part of what a client sends, and the value that it equals.
type comparison struct {
	by    string // value of selectors
	from  string // of a substring
	sub   bool
	value string
	bytes bool // the value is written in hexadecimal
}

// hexBytes matches bytes in hexadecimal with colons.
var hexBytes = regexp.MustCompile(`^[\da-fA-F]{1,2}(:[\da-fA-F]{1,2})+$`)

// condition returns the condition of a comparison; false = there is none.
func (x comparison) condition() (c condition, ok bool) {
	digits := strings.ReplaceAll(strings.TrimPrefix(padMAC(x.value), "0x"), ":", "")
	switch {
	case x.by == "vendor" && x.from == "0":
		c.vendor, c.loose = x.value, !x.sub
	case x.by == "user" && (!x.sub || x.from == "0"):
		// Many compare a substring of the name's own length, for the length byte of RFC 3004.
		c.user = x.value
	case x.by == "arch" && !x.sub:
		n, err := strconv.ParseUint(digits, 16, 16)
		if err != nil {
			return c, false
		}
		c.arch = []uint16{uint16(n)}
	case x.by == "mac" && x.sub && x.from == "1", x.by == "mac" && !x.sub && len(digits) == 12:
		c.mac = withColons(digits)
	case x.by == "mac" && (x.from == "0" || !x.sub) && strings.HasPrefix(digits, "01"):
		c.mac = withColons(digits[2:]) // 1 is Ethernet
	case x.by == "circuit" && !x.sub:
		c.circuit = x.value
	default:
		return c, false
	}
	return c, x.value != "" && (x.by != "mac" || c.mac != "")
}

// withColons writes hexadecimal digits as the bytes of a MAC address.
func withColons(digits string) string {
	var out []string
	for ; len(digits) > 1; digits = digits[2:] {
		out = append(out, digits[:2])
	}
	return strings.Join(out, ":")
}
