package ipam

import (
	"net/netip"
	"strings"

	"go4.org/netipx"
)

// Explanation says what an address of a subnet is and who may have it.
type Explanation struct {
	Addr    netip.Addr
	Subnet  netip.Prefix
	Purpose Purpose // all purposes at once; 0 = unused
	Uses    []Use   // the objects behind Purpose
	// Auto is nil if automatic allocation may give the address out, else why not.
	Auto error
	// Static is nil if an operator may assign the address by hand, else why not.
	Static error
	// DHCP reports whether the DHCP server hands the address out.
	DHCP bool
}

// Explain says what a is on this subnet.
func (u *Usage) Explain(a netip.Addr) Explanation {
	e := Explanation{Addr: a, Subnet: u.Subnet.Prefix, Static: u.CheckAddress(a, nil, false)}
	at := netipx.IPRangeFrom(a, a)
	if a.IsValid() {
		e.Uses = u.usesOf(at, ^Purpose(0))
	}
	for _, use := range e.Uses {
		e.Purpose |= use.Purpose
	}
	e.DHCP = e.Purpose&PurposeDynamic != 0 && !u.Subnet.Unmanaged
	e.Auto = u.whyNotAuto(e)
	return e
}

// whyNotAuto mirrors openAuto for one address, in words.
func (u *Usage) whyNotAuto(e Explanation) error {
	r := &RefusedError{Subject: "address " + e.Addr.String(), Subnet: u.Subnet.Prefix}
	if !u.Subnet.Prefix.Contains(e.Addr) {
		r.Reason = OutsideSubnet
		return r
	}
	if r.Reason = edgeOf(u.Subnet.Prefix, netipx.IPRangeFrom(e.Addr, e.Addr)); r.Reason != 0 {
		return r
	}
	blocked := autoBlocked
	if !u.Subnet.Unmanaged {
		blocked |= PurposeReserved | builtIn
	}
	for _, use := range e.Uses {
		if use.Purpose&blocked != 0 {
			r.Reason, r.With = reasonOf(use.Purpose), use.String()
			return r
		}
	}
	if u.Subnet.Unmanaged && e.Purpose&PurposeReserved == 0 {
		r.Reason = NotReserved
		return r
	}
	return nil
}

func reasonOf(p Purpose) Reason {
	switch p {
	case PurposeDynamic:
		return InDynamicRange
	case PurposeReserved, PurposeLowBlock, PurposeExcluded:
		return InReservedRange
	case PurposeReservedIP:
		return ReservedForMAC
	}
	return InUse
}

// String explains in a few lines for people.
func (e Explanation) String() string {
	var b strings.Builder
	b.WriteString(e.Addr.String() + " on " + e.Subnet.String() + ": " + e.Purpose.String() + "\n")
	for _, use := range e.Uses {
		b.WriteString("  it is in: " + use.String() + "\n")
	}
	answer(&b, "  automatic allocation: ", e.Auto)
	answer(&b, "  assigning it by hand: ", e.Static)
	if e.DHCP {
		b.WriteString("  DHCP: handed out from the dynamic range\n")
	}
	return b.String()
}

func answer(b *strings.Builder, what string, err error) {
	b.WriteString(what)
	if err == nil {
		b.WriteString("possible\n")
		return
	}
	b.WriteString("no, " + strings.TrimPrefix(err.Error(), "ipam: ") + "\n")
}
