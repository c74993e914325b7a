// Package netspec reads the specifiers of networks that MAAS users write, and finds what they mean:
//
//	spec, err := netspec.Parse("space:dmz,&vid:100")
//	subnets := networks.FindSubnets(spec) // networks is a Networks
package netspec

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gomaas/maas/ipam"
)

// Spec says which networks are meant, in the language that MAAS users write: terms separated by
// commas.
//
//	10.0.0.0/24              the subnet with that prefix
//	10.0.0.7                 the subnet that the address lies in
//	12                       the object with that ID, or else that name
//	storage                  the object of that name
//	space:dmz                what is in a space; fabric:, vlan:, vid: and subnet: alike
//	fabric:lab,&vid:0x64     both must hold
//	space:dmz,space:storage  one of them must
//	fabric:lab,!vid:7        not on that VLAN
//
// The value of fabric:, vlan:, space: and subnet: is a specifier of one term of that kind of
// object, such as vlan:name:pxe. The zero Spec means nothing. Terms join from left to right.
type Spec struct {
	terms []term
}

// term is one condition of a Spec.
type term struct {
	join  joining
	key   termKey
	value string // what follows the key; not empty
	// sub refines value where key names another kind of object; nil else.
	sub *term
}

// joining says how a term and those before it go together.
type joining byte

const (
	joinOr  joining = '|' // the usual one, not written
	joinAnd joining = '&'
	joinNot joining = '!'
)

// termKey selects the field that a term compares.
type termKey string

const (
	anyKey    termKey = ""       // ID, prefix, address or name, whatever fits first
	idKey     termKey = "id"     // the number of the object
	nameKey   termKey = "name"   // its name, exactly
	cidrKey   termKey = "cidr"   // the prefix of a subnet
	ipKey     termKey = "ip"     // an address in a subnet
	vidKey    termKey = "vid"    // VLAN tag: 100, 0x64, 0b1100100 or "untagged"
	classKey  termKey = "class"  // class type of a fabric
	fabricKey termKey = "fabric" // the fabric it belongs to
	vlanKey   termKey = "vlan"   // the VLAN it is on
	spaceKey  termKey = "space"  // the space it is in; "undefined" = none
	subnetKey termKey = "subnet" // a subnet it has
)

var keys = [...]termKey{idKey, nameKey, cidrKey, ipKey, vidKey, classKey, fabricKey, vlanKey, spaceKey, subnetKey}

// maxTerms and maxDepth bound the work that one specifier can ask for.
const (
	maxTerms = 64
	maxDepth = 3 // keys in one term, as in fabric:vlan:vid:7
)

// Error says what is wrong with the text of a specifier.
type Error struct {
	Text string // the term
	Why  string
}

func (e *Error) Error() string { return fmt.Sprintf("ipam: specifier %q: %s", e.Text, e.Why) }

// Parse reads a Spec. Spaces around terms do not count. The error is *Error.
func Parse(s string) (Spec, error) {
	var out Spec
	for _, text := range strings.Split(s, ",") {
		text = strings.TrimSpace(text)
		if len(out.terms) == maxTerms {
			return Spec{}, &Error{text, fmt.Sprintf("is one of more than %d terms", maxTerms)}
		}
		join, text := cutJoin(text)
		if strings.ContainsAny(text[:min(1, len(text))], "&|!") {
			return Spec{}, &Error{text, "begins with two signs; a name that begins with one is written name:" + text}
		}
		t, err := parseTerm(text, maxDepth)
		if err != nil {
			return Spec{}, err
		}
		t.join = join
		if len(out.terms) == 0 && join == joinAnd {
			t.join = joinOr // no term precedes it
		}
		out.terms = append(out.terms, *t)
	}
	return out, nil
}

// cutJoin takes the sign off a term: &, | or !, or &!, which says the same as !.
func cutJoin(text string) (joining, string) {
	for _, sign := range []string{"&!", string(joinAnd), string(joinOr), string(joinNot)} {
		if rest, ok := strings.CutPrefix(text, sign); ok {
			return joining(sign[len(sign)-1]), strings.TrimSpace(rest)
		}
	}
	return joinOr, text
}

// MustParse is Parse for constants; it panics on errors.
func MustParse(s string) Spec {
	out, err := Parse(s)
	if err != nil {
		// For specifiers in code, as regexp.MustCompile.
		panic(err)
	}
	return out
}

// parseTerm reads "key:value" or a value alone. What looks like neither a known key nor an IPv6
// address or prefix is a name.
func parseTerm(text string, depth int) (*term, error) {
	if text == "" {
		return nil, &Error{text, "is empty"}
	}
	key, value, found := strings.Cut(text, ":")
	k := termKey(strings.ToLower(strings.TrimSpace(key)))
	if !found || !isKey(k) {
		return &term{join: joinOr, value: text}, nil
	}
	t := &term{join: joinOr, key: k, value: strings.TrimSpace(value)}
	if depth == 0 {
		return nil, &Error{text, fmt.Sprintf("has more than %d keys before it", maxDepth)}
	}
	if t.value == "" {
		return nil, &Error{text, "has nothing after " + string(k) + ":"}
	}
	if why := t.check(); why != "" {
		return nil, &Error{text, why}
	}
	if k == fabricKey || k == vlanKey || k == spaceKey || k == subnetKey {
		sub, err := parseTerm(t.value, depth-1)
		if err != nil {
			return nil, err
		}
		t.sub, t.value = sub, sub.String() // its keys in lower case
	}
	return t, nil
}

func isKey(k termKey) bool {
	for _, known := range keys {
		if k == known {
			return true
		}
	}
	return false
}

// check says what is wrong with the value for the key; "" = nothing.
func (t *term) check() string {
	switch t.key {
	case idKey:
		if n, err := strconv.ParseInt(t.value, 10, 64); err != nil || n < 0 {
			return "needs a number after id:"
		}
	case cidrKey:
		if _, err := netip.ParsePrefix(t.value); err != nil {
			return "needs a prefix such as 10.0.0.0/24 after cidr:"
		}
	case ipKey:
		if a, err := netip.ParseAddr(t.value); err != nil || a.Zone() != "" {
			return "needs an address after ip:"
		}
	case vidKey:
		if _, ok := parseVID(t.value); !ok {
			return "needs 0 to 4094 after vid:, such as 100, 0x64 or untagged"
		}
	}
	return ""
}

// parseVID reads a VLAN tag as MAAS users write it.
func parseVID(s string) (int, bool) {
	if strings.EqualFold(s, ipam.UntaggedName) {
		return 0, true
	}
	base := 10
	switch low := strings.ToLower(s); {
	case strings.HasPrefix(low, "0x"):
		s, base = s[2:], 16
	case strings.HasPrefix(low, "0b"):
		s, base = s[2:], 2
	}
	n, err := strconv.ParseUint(s, base, 16)
	return int(n), err == nil && n <= ipam.MaxVID
}

// String writes the specifier so that Parse reads the same again.
func (s Spec) String() string {
	var b strings.Builder
	for i, t := range s.terms {
		if i > 0 {
			b.WriteByte(',')
		}
		if t.join != joinOr {
			b.WriteByte(byte(t.join))
		}
		b.WriteString(t.String())
	}
	return b.String()
}

// String writes the term without its sign.
func (t term) String() string {
	if t.key == anyKey {
		return t.value
	}
	if t.sub != nil {
		return string(t.key) + ":" + t.sub.String()
	}
	return string(t.key) + ":" + t.value
}
