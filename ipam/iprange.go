package ipam

import (
	"fmt"
	"net/netip"
	"strings"

	"go4.org/netipx"
)

// RangeType says what a Range is for.
type RangeType uint8

const (
	// RangeReserved keeps addresses of a managed subnet for others. On an unmanaged subnet it is
	// the opposite: the addresses MAAS may give out.
	RangeReserved RangeType = iota
	// RangeDynamic is a pool of the DHCP server.
	RangeDynamic
)

// String returns "reserved" or "dynamic".
func (t RangeType) String() string {
	if t == RangeDynamic {
		return "dynamic"
	}
	return "reserved"
}

// ParseRangeType reads what RangeType.String writes.
func ParseRangeType(s string) (RangeType, error) {
	switch s {
	case "reserved":
		return RangeReserved, nil
	case "dynamic":
		return RangeDynamic, nil
	}
	return 0, fmt.Errorf("ipam: range type %q: must be reserved or dynamic", s)
}

// minDynamic6 is the smallest number of addresses in a dynamic IPv6 range.
const minDynamic6 = 256

// Range is a run of addresses of one subnet, both ends included.
type Range struct {
	ID       int64
	Version  int64 // counts changes; an update must carry the one that was read
	SubnetID int64
	Type     RangeType
	Start    netip.Addr
	End      netip.Addr
	Owner    string // user that holds a reserved range; "" = none
	Comment  string // up to 255 characters
	ClassID  int64  // DHCP class whose clients alone get addresses of a dynamic range; 0 = none
}

// IPRange returns the addresses of r.
func (r Range) IPRange() netipx.IPRange { return netipx.IPRangeFrom(r.Start, r.End) }

// Contains reports whether a lies in r.
func (r Range) Contains(a netip.Addr) bool { return r.IPRange().Contains(a) }

// Validate checks the range by itself: both ends are set, of one family and in order.
// Usage.CheckRange checks whether it fits on a subnet.
func (r Range) Validate() error { return r.validate(netip.Prefix{}) }

// validate is Validate whose errors name the subnet.
func (r Range) validate(subnet netip.Prefix) error {
	refuse := func(why Reason, subject string) error {
		return &RefusedError{Reason: why, Subject: subject, Subnet: subnet}
	}
	switch {
	case !r.Start.IsValid() || !r.End.IsValid():
		return refuse(Incomplete, r.Type.String()+" range")
	case len(r.Comment) > 255:
		return invalid("range", r.String(), "comment", "is longer than 255 characters")
	case r.Start.Is4() != r.End.Is4():
		return refuse(WrongFamily, r.String())
	case r.End.Less(r.Start):
		return refuse(Backwards, r.String())
	}
	return nil
}

// String writes such as "dynamic range 10.0.0.10-10.0.0.99".
func (r Range) String() string {
	return fmt.Sprintf("%s range %s-%s", r.Type, r.Start, r.End)
}

// ParseRange reads "FIRST-LAST", a prefix or one address, and returns the addresses that it means.
// Both ends must be of one family and in order; IPv6 zones are refused.
func ParseRange(s string) (netipx.IPRange, error) {
	bad := func(why string) (netipx.IPRange, error) {
		return netipx.IPRange{}, fmt.Errorf("ipam: range %q: %s; write FIRST-LAST", s, why)
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return netipx.RangeOfPrefix(p), nil
	}
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		last = first
	}
	from, err := netip.ParseAddr(strings.TrimSpace(first))
	if err != nil {
		return bad("its start is not an address")
	}
	to, err := netip.ParseAddr(strings.TrimSpace(last))
	if err != nil {
		return bad("its end is not an address")
	}
	// ::ffff:10.0.0.1 is an IPv4 address to everything else.
	from, to = from.Unmap(), to.Unmap()
	switch {
	case from.Zone() != "" || to.Zone() != "":
		return bad("it has an IPv6 zone")
	case from.Is4() != to.Is4():
		return bad("its ends are of different families")
	case to.Less(from):
		return bad("its end lies before its start")
	}
	return netipx.IPRangeFrom(from, to), nil
}
