package inventory

import (
	"net/netip"
	"strings"
)

// UpdateGrant lets the holder of a TSIG key change records of a domain by dynamic updates. Its text is KEY, KEY:NAME or
// KEY:NAME:TYPE+TYPE. For reverse records the domain is one with the name of a subnet's reverse zone, such as
// "2.0.192.in-addr.arpa".
type UpdateGrant struct {
	Key   string
	Name  string   // relative to the domain, at and below which records may be changed; "@" = the domain itself
	Types []string // none = all
}

// MarshalText writes the shortest form.
func (g UpdateGrant) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

func (g UpdateGrant) String() string {
	switch {
	case len(g.Types) > 0:
		return g.Key + ":" + g.Name + ":" + strings.Join(g.Types, "+")
	case g.Name != "@":
		return g.Key + ":" + g.Name
	}
	return g.Key
}

// UnmarshalText reads any form. What the parts say is not checked.
func (g *UpdateGrant) UnmarshalText(text []byte) error {
	key, rest, _ := strings.Cut(string(text), ":")
	name, types, _ := strings.Cut(rest, ":")
	*g = UpdateGrant{Key: canonicalKey(key), Name: strings.ToLower(strings.TrimSuffix(name, "."))}
	if g.Name == "" {
		g.Name = "@"
	}
	if types != "" {
		g.Types = strings.Split(strings.ToUpper(types), "+")
	}
	return nil
}

func canonicalKey(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// SplitTransfer are the networks and the names of keys of a list that has both.
func SplitTransfer(list []string) (networks []netip.Prefix, keys []string) {
	for _, text := range list {
		if p, ok := parseNetwork(text); ok {
			networks = append(networks, p)
		} else {
			keys = append(keys, canonicalKey(text))
		}
	}
	return networks, keys
}

// CanonicalTransfer is a list of who may transfer a domain in the form in which it is stored: first the names of keys, then the
// networks.
func CanonicalTransfer(list []string) []string {
	networks, out := SplitTransfer(list)
	for _, p := range networks {
		out = append(out, p.String())
	}
	return out
}

// AbsoluteName is a name relative to a domain with that behind it.
func AbsoluteName(name, domain string) string {
	if name == "@" {
		return domain
	}
	return name + "." + domain
}
