package ipam

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Specifier says which networks are meant, in the language that MAAS users write: terms separated
// by commas.
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
// object, such as vlan:name:pxe. The zero Specifier means nothing. Terms join from left to right.
type Specifier struct {
	terms []Term
}

// Term is one condition of a Specifier.
type Term struct {
	Join  Join
	Key   Key
	Value string // what follows the key; not empty
	// Sub refines Value where Key names another kind of object; nil else.
	Sub *Term
}

// Join says how a term and those before it go together.
type Join byte

const (
	Or     Join = '|' // the usual one, not written
	And    Join = '&'
	AndNot Join = '!'
)

// Key selects the field that a term compares.
type Key string

const (
	AnyKey    Key = ""       // ID, prefix, address or name, whatever fits first
	IDKey     Key = "id"     // the number of the object
	NameKey   Key = "name"   // its name, exactly
	CIDRKey   Key = "cidr"   // the prefix of a subnet
	IPKey     Key = "ip"     // an address in a subnet
	VIDKey    Key = "vid"    // VLAN tag: 100, 0x64, 0b1100100 or "untagged"
	ClassKey  Key = "class"  // class type of a fabric
	FabricKey Key = "fabric" // the fabric it belongs to
	VLANKey   Key = "vlan"   // the VLAN it is on
	SpaceKey  Key = "space"  // the space it is in; "undefined" = none
	SubnetKey Key = "subnet" // a subnet it has
)

var keys = [...]Key{IDKey, NameKey, CIDRKey, IPKey, VIDKey, ClassKey, FabricKey, VLANKey, SpaceKey, SubnetKey}

// maxTerms and maxDepth bound the work that one specifier can ask for.
const (
	maxTerms = 64
	maxDepth = 3 // keys in one term, as in fabric:vlan:vid:7
)

// SpecifierError says what is wrong with the text of a specifier.
type SpecifierError struct {
	Text string // the term
	Why  string
}

func (e *SpecifierError) Error() string { return fmt.Sprintf("ipam: specifier %q: %s", e.Text, e.Why) }

// ParseSpecifier reads a Specifier. Spaces around terms do not count. The error is *SpecifierError.
func ParseSpecifier(s string) (Specifier, error) {
	var out Specifier
	for _, text := range strings.Split(s, ",") {
		text = strings.TrimSpace(text)
		if len(out.terms) == maxTerms {
			return Specifier{}, &SpecifierError{text, fmt.Sprintf("is one of more than %d terms", maxTerms)}
		}
		join, text := cutJoin(text)
		if strings.ContainsAny(text[:min(1, len(text))], "&|!") {
			return Specifier{}, &SpecifierError{text, "begins with two signs; a name that begins with one is written name:" + text}
		}
		t, err := parseTerm(text, maxDepth)
		if err != nil {
			return Specifier{}, err
		}
		t.Join = join
		if len(out.terms) == 0 && join == And {
			t.Join = Or // no term precedes it
		}
		out.terms = append(out.terms, *t)
	}
	return out, nil
}

// cutJoin takes the sign off a term: &, | or !, or &!, which says the same as !.
func cutJoin(text string) (Join, string) {
	for _, sign := range []string{"&!", string(And), string(Or), string(AndNot)} {
		if rest, ok := strings.CutPrefix(text, sign); ok {
			return Join(sign[len(sign)-1]), strings.TrimSpace(rest)
		}
	}
	return Or, text
}

// MustParseSpecifier is ParseSpecifier for constants; it panics on errors.
func MustParseSpecifier(s string) Specifier {
	out, err := ParseSpecifier(s)
	if err != nil {
		// For specifiers in code, as regexp.MustCompile.
		panic(err)
	}
	return out
}

// Terms returns the terms in order.
func (s Specifier) Terms() []Term { return append([]Term(nil), s.terms...) }

// parseTerm reads "key:value" or a value alone. What looks like neither a known key nor an IPv6
// address or prefix is a name.
func parseTerm(text string, depth int) (*Term, error) {
	if text == "" {
		return nil, &SpecifierError{text, "is empty"}
	}
	key, value, found := strings.Cut(text, ":")
	k := Key(strings.ToLower(strings.TrimSpace(key)))
	if !found || !isKey(k) {
		return &Term{Join: Or, Value: text}, nil
	}
	t := &Term{Join: Or, Key: k, Value: strings.TrimSpace(value)}
	if depth == 0 {
		return nil, &SpecifierError{text, fmt.Sprintf("has more than %d keys before it", maxDepth)}
	}
	if t.Value == "" {
		return nil, &SpecifierError{text, "has nothing after " + string(k) + ":"}
	}
	if why := t.check(); why != "" {
		return nil, &SpecifierError{text, why}
	}
	if k == FabricKey || k == VLANKey || k == SpaceKey || k == SubnetKey {
		sub, err := parseTerm(t.Value, depth-1)
		if err != nil {
			return nil, err
		}
		t.Sub, t.Value = sub, sub.String() // its keys in lower case
	}
	return t, nil
}

func isKey(k Key) bool {
	for _, known := range keys {
		if k == known {
			return true
		}
	}
	return false
}

// check says what is wrong with the value for the key; "" = nothing.
func (t *Term) check() string {
	switch t.Key {
	case IDKey:
		if n, err := strconv.ParseInt(t.Value, 10, 64); err != nil || n < 0 {
			return "needs a number after id:"
		}
	case CIDRKey:
		if _, err := netip.ParsePrefix(t.Value); err != nil {
			return "needs a prefix such as 10.0.0.0/24 after cidr:"
		}
	case IPKey:
		if a, err := netip.ParseAddr(t.Value); err != nil || a.Zone() != "" {
			return "needs an address after ip:"
		}
	case VIDKey:
		if _, ok := parseVID(t.Value); !ok {
			return "needs 0 to 4094 after vid:, such as 100, 0x64 or untagged"
		}
	}
	return ""
}

// parseVID reads a VLAN tag as MAAS users write it.
func parseVID(s string) (int, bool) {
	if strings.EqualFold(s, UntaggedName) {
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
	return int(n), err == nil && n <= MaxVID
}

// String writes the specifier so that ParseSpecifier reads the same again.
func (s Specifier) String() string {
	var b strings.Builder
	for i, t := range s.terms {
		if i > 0 {
			b.WriteByte(',')
		}
		if t.Join != Or {
			b.WriteByte(byte(t.Join))
		}
		b.WriteString(t.String())
	}
	return b.String()
}

// String writes the term without its Join.
func (t Term) String() string {
	if t.Key == AnyKey {
		return t.Value
	}
	if t.Sub != nil {
		return string(t.Key) + ":" + t.Sub.String()
	}
	return string(t.Key) + ":" + t.Value
}
