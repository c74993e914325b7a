package netspec

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/gomaas/maas/ipam"
)

// Networks are the networks of a site, as a Spec is matched against them.
type Networks struct {
	Fabrics []ipam.Fabric
	VLANs   []ipam.VLAN
	Spaces  []ipam.Space
	Subnets []ipam.Subnet
}

// FindSubnets returns the subnets that s means, in their order in n.
func (n *Networks) FindSubnets(s Spec) []ipam.Subnet {
	return find(s, n.Subnets, n.subnetIs)
}

// FindVLANs returns the VLANs that s means, in their order in n.
func (n *Networks) FindVLANs(s Spec) []ipam.VLAN { return find(s, n.VLANs, n.vlanIs) }

// FindFabrics returns the fabrics that s means, in their order in n.
func (n *Networks) FindFabrics(s Spec) []ipam.Fabric { return find(s, n.Fabrics, n.fabricIs) }

// FindSpaces returns the spaces that s means, in their order in n.
func (n *Networks) FindSpaces(s Spec) []ipam.Space { return find(s, n.Spaces, n.spaceIs) }

// find joins what the terms of s mean. A value without a key that is the ID of one object and the
// name of another means the ID.
func find[T any](s Spec, all []T, is func(T, *term) bool) []T {
	meant := make([]bool, len(all))
	for i := range s.terms {
		hits := findTerm(&s.terms[i], all, is)
		for k := range meant {
			switch s.terms[i].join {
			case joinAnd:
				meant[k] = meant[k] && hits[k]
			// A specifier that begins with a negation means all but.
			case joinNot:
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
func findTerm[T any](t *term, all []T, is func(T, *term) bool) []bool {
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
func (t *term) readings() []term {
	if t.key != anyKey {
		return []term{*t}
	}
	var out []term
	for _, k := range []termKey{idKey, cidrKey, ipKey} {
		r := term{key: k, value: t.value}
		if r.check() == "" {
			out = append(out, r)
		}
	}
	// Last: a subnet named "5" is found only if no ID is 5.
	return append(out, term{key: nameKey, value: t.value})
}

func (n *Networks) subnetIs(s ipam.Subnet, t *term) bool {
	switch t.key {
	case idKey:
		return isID(t.value, s.ID)
	case nameKey:
		return s.String() == t.value
	case cidrKey:
		p, err := netip.ParsePrefix(t.value)
		return err == nil && p.Masked() == s.Prefix
	case ipKey:
		a, err := netip.ParseAddr(t.value)
		return err == nil && s.Prefix.Contains(a.Unmap())
	case subnetKey:
		return matches(t.sub, s, n.Subnets, n.subnetIs)
	case vidKey, classKey, fabricKey, vlanKey, spaceKey:
		for _, v := range n.VLANs {
			if v.ID == s.VLANID {
				return n.vlanIs(v, t)
			}
		}
	}
	return false
}

func (n *Networks) vlanIs(v ipam.VLAN, t *term) bool {
	switch t.key {
	case idKey:
		return isID(t.value, v.ID)
	case nameKey:
		return v.Name == t.value || v.Name == "" && v.String() == t.value
	case vidKey:
		vid, ok := parseVID(t.value)
		return ok && vid == v.VID
	case vlanKey:
		if vid, ok := parseVID(t.sub.value); ok && t.sub.key == anyKey {
			return vid == v.VID // as MAAS has it: vlan:100 is a tag
		}
		return matches(t.sub, v, n.VLANs, n.vlanIs)
	case classKey, fabricKey:
		for _, f := range n.Fabrics {
			if f.ID == v.FabricID {
				return n.fabricIs(f, t)
			}
		}
	case spaceKey:
		// MAAS' name for the VLANs without a space.
		if v.SpaceID == 0 {
			return t.sub.value == "undefined"
		}
		for _, s := range n.Spaces {
			if s.ID == v.SpaceID {
				return n.spaceIs(s, t)
			}
		}
	case cidrKey, ipKey, subnetKey:
		for _, s := range n.Subnets {
			if s.VLANID == v.ID && n.subnetIs(s, t) {
				return true
			}
		}
	}
	return false
}

func (n *Networks) fabricIs(f ipam.Fabric, t *term) bool {
	switch t.key {
	case idKey:
		return isID(t.value, f.ID)
	case nameKey:
		return f.Name == t.value
	case classKey:
		return f.ClassType == t.value
	case fabricKey:
		return matches(t.sub, f, n.Fabrics, n.fabricIs)
	case cidrKey, ipKey, subnetKey, vlanKey, vidKey, spaceKey:
		for _, v := range n.VLANs {
			if v.FabricID == f.ID && n.vlanIs(v, t) {
				return true
			}
		}
	}
	return false
}

func (n *Networks) spaceIs(s ipam.Space, t *term) bool {
	switch t.key {
	case idKey:
		return isID(t.value, s.ID)
	case nameKey:
		return s.Name == t.value
	case spaceKey:
		return matches(t.sub, s, n.Spaces, n.spaceIs)
	case cidrKey, ipKey, subnetKey, vlanKey, vidKey, fabricKey, classKey:
		for _, v := range n.VLANs {
			if v.SpaceID == s.ID && n.vlanIs(v, t) {
				return true
			}
		}
	}
	return false
}

// matches reports whether t, which may have no key, means v among all.
func matches[T any](t *term, v T, all []T, is func(T, *term) bool) bool {
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

// Missing returns the first term of a specifier that names an object that does not exist; "" =
// there is none. A space without subnets exists, and so does space:undefined.
func (n *Networks) Missing(s Spec) string {
	for _, t := range s.terms {
		one := Spec{terms: []term{t}}
		one.terms[0].join = joinOr
		exists := false
		switch t.key {
		case spaceKey:
			exists = t.sub.value == "undefined" || len(n.FindSpaces(one)) > 0
		case fabricKey, classKey:
			exists = len(n.FindFabrics(one)) > 0
		case vlanKey, vidKey:
			exists = len(n.FindVLANs(one)) > 0
		default:
			exists = len(n.FindSubnets(one)) > 0 || len(n.FindVLANs(one)) > 0
		}
		if !exists {
			return t.String()
		}
	}
	return ""
}
