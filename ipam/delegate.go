package ipam

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// PrefixPool is a range of prefixes of one length that DHCPv6 delegates to the routers among the
// clients of a subnet. Its text is such as 2001:db8:f000::/48-60, whose prefixes are /60.
type PrefixPool struct {
	Prefix netip.Prefix
	Length int // of the delegated prefixes
}

// String returns the text of the pool.
func (p PrefixPool) String() string { return p.Prefix.String() + "-" + strconv.Itoa(p.Length) }

// MarshalText returns the text of the pool.
func (p PrefixPool) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the text of a pool.
func (p *PrefixPool) UnmarshalText(text []byte) (err error) {
	prefix, length, ok := strings.Cut(string(text), "-")
	var out PrefixPool
	if out.Prefix, err = netip.ParsePrefix(prefix); ok && err == nil {
		out.Length, err = strconv.Atoi(length)
	}
	if !ok || err != nil {
		return fmt.Errorf("%q is not a pool of prefixes; write prefix and length of the delegated ones, such as 2001:db8:f000::/48-60", text)
	}
	*p = out
	return nil
}

// maxDelegated bounds by how many bits the delegated prefixes are longer than their pool, so that
// they can be counted.
const maxDelegated = 62

func (s Subnet) validateDelegated() error {
	for i, p := range s.Delegated {
		wrong := func(why string) error {
			return invalid("subnet", s.String(), "delegated_prefixes", p.String()+" "+why)
		}
		switch {
		case !s.Prefix.Addr().Is6():
			return wrong("cannot be delegated on an IPv4 subnet; set it on the IPv6 subnet of the routers")
		case !p.Prefix.IsValid() || !p.Prefix.Addr().Is6() || p.Prefix.Addr().Is4In6() || p.Prefix.Bits() < 8:
			return wrong("is not an IPv6 prefix of /8 or longer")
		case p.Prefix != p.Prefix.Masked():
			return wrong("has host bits set; write " + PrefixPool{p.Prefix.Masked(), p.Length}.String())
		case p.Length < p.Prefix.Bits() || p.Length > 128 || p.Length > p.Prefix.Bits()+maxDelegated:
			return wrong(fmt.Sprintf("has no prefixes of that length; write a length from %d to %d", p.Prefix.Bits(), min(128, p.Prefix.Bits()+maxDelegated)))
		case p.Prefix.Overlaps(s.Prefix):
			return wrong("overlaps the subnet itself")
		}
		for _, other := range s.Delegated[:i] {
			if p.Prefix.Overlaps(other.Prefix) {
				return wrong("overlaps " + other.String())
			}
		}
	}
	return nil
}

// Delegates reports whether an address lies in a prefix that routers of the subnet may be
// delegated.
func (s Subnet) Delegates(a netip.Addr) bool {
	for _, p := range s.Delegated {
		if p.Prefix.Contains(a) {
			return true
		}
	}
	return false
}

// checkDelegated refuses pools of prefixes that overlap another subnet or its pools: an address
// there would belong to two networks.
func checkDelegated(s, o Subnet) error {
	refuse := func(what, with string) error {
		return &RefusedError{Reason: Overlap, Subject: what, Subnet: s.Prefix, With: with}
	}
	for _, p := range o.Delegated {
		if s.Prefix.Overlaps(p.Prefix) {
			return refuse("subnet "+s.Prefix.String(), "delegated prefixes "+p.String()+" of subnet "+label(o.Name, o.Prefix))
		}
	}
	for _, p := range s.Delegated {
		if p.Prefix.Overlaps(o.Prefix) {
			return refuse("delegated prefixes "+p.String(), "subnet "+label(o.Name, o.Prefix))
		}
		for _, q := range o.Delegated {
			if p.Prefix.Overlaps(q.Prefix) {
				return refuse("delegated prefixes "+p.String(), "delegated prefixes "+q.String()+" of subnet "+label(o.Name, o.Prefix))
			}
		}
	}
	return nil
}
