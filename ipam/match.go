package ipam

import (
	"net/netip"
	"strconv"
	"strings"
)

// Networks are the networks of a site, as a Specifier is matched against them.
type Networks struct {
	Fabrics []Fabric
	VLANs   []VLAN
	Spaces  []Space
	Subnets []Subnet
}

// FindSubnets returns the subnets that s means, in their order in n.
func (n *Networks) FindSubnets(s Specifier) []Subnet {
	return find(s, n.Subnets, n.subnetIs)
}

// FindVLANs returns the VLANs that s means, in their order in n.
func (n *Networks) FindVLANs(s Specifier) []VLAN { return find(s, n.VLANs, n.vlanIs) }

// FindFabrics returns the fabrics that s means, in their order in n.
func (n *Networks) FindFabrics(s Specifier) []Fabric { return find(s, n.Fabrics, n.fabricIs) }

// FindSpaces returns the spaces that s means, in their order in n.
func (n *Networks) FindSpaces(s Specifier) []Space { return find(s, n.Spaces, n.spaceIs) }

// find joins what the terms of s mean. A value without a key that is the ID of one object and the
// name of another means the ID.
func find[T any](s Specifier, all []T, is func(T, *Term) bool) []T {
	meant := make([]bool, len(all))
	for i := range s.terms {
		hits := findTerm(&s.terms[i], all, is)
		for k := range meant {
			switch s.terms[i].Join {
			case And:
				meant[k] = meant[k] && hits[k]
			// A specifier that begins with a negation means all but.
			case AndNot:
				meant[k] = (i == 0 || meant[k]) && !hits[k]
			default:
				meant[k] = meant[k] || hits[k]
			}
		}
	}
	var out []T
	for k := range all {
		if meant[k] {
			out = append(out, all[k])
		}
	}
	return out
}

// findTerm tries the readings of a value without a key in turn; the first that finds something is
// meant.
func findTerm[T any](t *Term, all []T, is func(T, *Term) bool) []bool {
	hits := make([]bool, len(all))
	for _, reading := range t.readings() {
		any := false
		for k := range all {
			hits[k] = is(all[k], &reading)
			any = any || hits[k]
		}
		if any {
			return hits
		}
	}
	return hits
}

// readings returns what a term may mean, most likely first.
func (t *Term) readings() []Term {
	if t.Key != AnyKey {
		return []Term{*t}
	}
	var out []Term
	for _, k := range []Key{IDKey, CIDRKey, IPKey} {
		r := Term{Key: k, Value: t.Value}
		if r.check() == "" {
			out = append(out, r)
		}
	}
	// Last: a subnet named "5" is found only if no ID is 5.
	return append(out, Term{Key: NameKey, Value: t.Value})
}

func (n *Networks) subnetIs(s Subnet, t *Term) bool {
	switch t.Key {
	case IDKey:
		return isID(t.Value, s.ID)
	case NameKey:
		return s.String() == t.Value
	case CIDRKey:
		p, err := netip.ParsePrefix(t.Value)
		return err == nil && p.Masked() == s.Prefix
	case IPKey:
		a, err := netip.ParseAddr(t.Value)
		return err == nil && s.Prefix.Contains(a.Unmap())
	case SubnetKey:
		return matches(t.Sub, s, n.Subnets, n.subnetIs)
	case VIDKey, ClassKey, FabricKey, VLANKey, SpaceKey:
		for _, v := range n.VLANs {
			if v.ID == s.VLANID {
				return n.vlanIs(v, t)
			}
		}
	}
	return false
}

func (n *Networks) vlanIs(v VLAN, t *Term) bool {
	switch t.Key {
	case IDKey:
		return isID(t.Value, v.ID)
	case NameKey:
		return v.Name == t.Value || v.Name == "" && v.String() == t.Value
	case VIDKey:
		vid, ok := parseVID(t.Value)
		return ok && vid == v.VID
	case VLANKey:
		if vid, ok := parseVID(t.Sub.Value); ok && t.Sub.Key == AnyKey {
			return vid == v.VID // as MAAS has it: vlan:100 is a tag
		}
		return matches(t.Sub, v, n.VLANs, n.vlanIs)
	case ClassKey, FabricKey:
		for _, f := range n.Fabrics {
			if f.ID == v.FabricID {
				return n.fabricIs(f, t)
			}
		}
	case SpaceKey:
		// MAAS' name for the VLANs without a space.
		if v.SpaceID == 0 {
			return t.Sub.Value == "undefined"
		}
		for _, s := range n.Spaces {
			if s.ID == v.SpaceID {
				return n.spaceIs(s, t)
			}
		}
	case CIDRKey, IPKey, SubnetKey:
		for _, s := range n.Subnets {
			if s.VLANID == v.ID && n.subnetIs(s, t) {
				return true
			}
		}
	}
	return false
}

func (n *Networks) fabricIs(f Fabric, t *Term) bool {
	switch t.Key {
	case IDKey:
		return isID(t.Value, f.ID)
	case NameKey:
		return f.Name == t.Value
	case ClassKey:
		return f.ClassType == t.Value
	case FabricKey:
		return matches(t.Sub, f, n.Fabrics, n.fabricIs)
	case CIDRKey, IPKey, SubnetKey, VLANKey, VIDKey, SpaceKey:
		for _, v := range n.VLANs {
			if v.FabricID == f.ID && n.vlanIs(v, t) {
				return true
			}
		}
	}
	return false
}

func (n *Networks) spaceIs(s Space, t *Term) bool {
	switch t.Key {
	case IDKey:
		return isID(t.Value, s.ID)
	case NameKey:
		return s.Name == t.Value
	case SpaceKey:
		return matches(t.Sub, s, n.Spaces, n.spaceIs)
	case CIDRKey, IPKey, SubnetKey, VLANKey, VIDKey, FabricKey, ClassKey:
		for _, v := range n.VLANs {
			if v.SpaceID == s.ID && n.vlanIs(v, t) {
				return true
			}
		}
	}
	return false
}

// matches reports whether t, which may have no key, means v among all.
func matches[T any](t *Term, v T, all []T, is func(T, *Term) bool) bool {
	for _, reading := range t.readings() {
		if is(v, &reading) {
			return true
		}
		for _, other := range all {
			if is(other, &reading) {
				return false // this reading means another one
			}
		}
	}
	return false
}

func isID(text string, id int64) bool {
	return strings.TrimLeft(text, "0") == strings.TrimLeft(strconv.FormatInt(id, 10), "0") && id >= 0
}
