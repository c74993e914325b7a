package ipam

import (
	"net"
	"net/netip"

	"go4.org/netipx"
)

// CheckRange returns nil if r may be on the subnet, else a *RefusedError. If r.ID is the ID of a
// range in u, r is a change of that range. A dynamic range in use may always shrink. It may grow
// where the added addresses are free, even though addresses inside it are held.
func (u *Usage) CheckRange(r Range) error {
	if err := u.checkEnds(r); err != nil {
		return err
	}
	rest, old, replaces := u.withoutRange(r)
	free := rest.FreeForReserved()
	if r.Type == RangeDynamic {
		free = rest.FreeForDynamic()
	}
	// The common case costs no search for the object in the way.
	if free.ContainsRange(r.IPRange()) {
		return nil
	}
	if replaces && old.Type == RangeDynamic && r.Type == RangeDynamic && grows(old.IPRange(), r.IPRange(), free) {
		return nil
	}
	return rest.rangeConflict(r, free)
}

// checkEnds checks what concerns start and end alone.
func (u *Usage) checkEnds(r Range) error {
	p := u.Subnet.Prefix
	refuse := func(why Reason, subject string) error {
		return &RefusedError{Reason: why, Subject: subject, Subnet: p}
	}
	if err := r.validate(p); err != nil {
		return err
	}
	switch {
	// The end that is outside is named, since one of them is usually a typo.
	case !p.Contains(r.Start):
		return refuse(OutsideSubnet, "start "+r.Start.String()+" of the "+r.Type.String()+" range")
	case !p.Contains(r.End):
		return refuse(OutsideSubnet, "end "+r.End.String()+" of the "+r.Type.String()+" range")
	}
	if why := edgeOf(p, r.IPRange()); why != 0 {
		return refuse(why, r.String())
	}
	// MAAS refuses smaller ones too.
	if r.Type == RangeDynamic && r.Start.Is6() && length(r.IPRange()).less(u128{0, minDynamic6}) {
		return refuse(TooSmall, r.String())
	}
	return nil
}

// edgeOf returns the reason if r touches an address that Universe leaves out, else 0.
func edgeOf(p netip.Prefix, r netipx.IPRange) Reason {
	all, universe := netipx.RangeOfPrefix(p), Universe(p)
	switch {
	case all.From() != universe.From() && r.Contains(all.From()):
		return NetworkAddress
	case all.To() != universe.To() && r.Contains(all.To()):
		return BroadcastAddress
	}
	return 0
}

// withoutRange returns u without the range that r replaces.
func (u *Usage) withoutRange(r Range) (rest *Usage, old Range, found bool) {
	for i, have := range u.Ranges {
		if r.ID != 0 && have.ID == r.ID {
			c := *u
			c.Ranges = append(append([]Range{}, u.Ranges[:i]...), u.Ranges[i+1:]...)
			return &c, have, true
		}
	}
	return u, Range{}, false
}

// grows reports whether every address of to that from lacks is free.
func grows(from, to netipx.IPRange, free *netipx.IPSet) bool {
	var b netipx.IPSetBuilder
	b.AddRange(to)
	b.RemoveRange(from)
	gained, err := b.IPSet()
	if err != nil {
		return false
	}
	for _, r := range gained.Ranges() {
		if !free.ContainsRange(r) {
			return false
		}
	}
	return true
}

// rangeConflict says why r does not fit in free.
func (u *Usage) rangeConflict(r Range, free *netipx.IPSet) error {
	e := &RefusedError{Reason: Overlap, Subject: r.String(), Subnet: u.Subnet.Prefix}
	blocked := anyRange
	if r.Type == RangeDynamic {
		blocked = dynamicBlocked
		if !u.Subnet.Unmanaged {
			blocked |= PurposeReserved
		}
	} else if u.Subnet.Unmanaged {
		blocked = PurposeReserved
	}
	hits := u.usesOf(r.IPRange(), blocked)
	switch {
	case len(free.Ranges()) == 0:
		e.Reason = NoRoom
	case len(hits) == 0: // unmanaged, and not inside a reserved range
		e.Reason = NotReserved
	}
	if len(hits) > 0 {
		e.With = hits[0].String()
		if e.Reason == Overlap && hits[0].Purpose&anyRange == 0 {
			e.With += " is inside it"
		}
	}
	return e
}

// CheckAddress returns nil if the holder of mac (nil if it has none) may take address a by name,
// else a *RefusedError. inReserved permits addresses of reserved ranges, as for the links of a
// machine. On an unmanaged subnet they are permitted anyway, because MAAS owns those ranges.
func (u *Usage) CheckAddress(a netip.Addr, mac net.HardwareAddr, inReserved bool) error {
	e := &RefusedError{Subject: "address " + a.String(), Subnet: u.Subnet.Prefix}
	if !u.Subnet.Prefix.Contains(a) {
		e.Reason = OutsideSubnet
		return e
	}
	if e.Reason = edgeOf(u.Subnet.Prefix, netipx.IPRangeFrom(a, a)); e.Reason != 0 {
		return e
	}
	for _, use := range u.usesOf(netipx.IPRangeFrom(a, a), anyRange|PurposeAssigned|PurposeReservedIP) {
		if e.Reason = closes(use, mac, inReserved || u.Subnet.Unmanaged); e.Reason != 0 {
			e.With = use.String()
			return e
		}
	}
	return nil
}

// closes says why use keeps the holder of mac from an address; 0 if it does not.
func closes(use Use, mac net.HardwareAddr, inReserved bool) Reason {
	switch use.Purpose {
	case PurposeDynamic:
		return InDynamicRange
	case PurposeReserved:
		if !inReserved {
			return InReservedRange
		}
	case PurposeAssigned:
		return InUse
	case PurposeReservedIP:
		if r, ok := use.Object.(*ReservedIP); !ok || !r.For(mac) {
			return ReservedForMAC
		}
	}
	return 0
}

// CheckReservedIP returns nil if r may be kept: it lies inside the subnet and outside every dynamic
// range, and has no holder. holds reports whether an allocation belongs to the machine that the
// reservation is for; if nil, none does.
func (u *Usage) CheckReservedIP(r ReservedIP, holds func(Allocation) bool) error {
	e := &RefusedError{Subject: r.String(), Subnet: u.Subnet.Prefix}
	if len(r.MAC) != 6 {
		return invalid("reserved IP", r.Addr.String(), "mac_address", "must be six octets")
	}
	if !u.Subnet.Prefix.Contains(r.Addr) {
		e.Reason = OutsideSubnet
		return e
	}
	at := netipx.IPRangeFrom(r.Addr, r.Addr)
	if e.Reason = edgeOf(u.Subnet.Prefix, at); e.Reason != 0 {
		return e
	}
	for _, use := range u.usesOf(at, PurposeDynamic|PurposeAssigned|PurposeReservedIP) {
		switch use.Purpose {
		case PurposeDynamic:
			e.Reason = InDynamicRange
		case PurposeAssigned:
			if a, ok := use.Object.(*Allocation); ok && holds != nil && holds(*a) {
				continue
			}
			e.Reason = InUse
		case PurposeReservedIP:
			e.Reason = InUse
		}
		e.With = use.String()
		return e
	}
	for i := range u.Reserved {
		if u.Reserved[i].For(r.MAC) {
			e.Reason, e.With = Overlap, u.Reserved[i].String()
			return e
		}
	}
	return nil
}
