package siteimport

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// leaseLength is a statement about the length of leases in seconds; the zero value is none.
type leaseLength struct {
	seconds int64
	item    int
}

// leaseLengths are the statements of a scope: the length that clients get which ask for none, and
// the bounds of what others get.
type leaseLengths struct{ usual, most, least leaseLength }

// endless is the largest length of a lease with an end. Clients of a lease without one never renew,
// so that no server can take the address back.
const endless = 1<<32 - 2

// usualLeaseTimes are the lengths of leases of IPv4 and of IPv6 that servers give without a
// statement.
var usualLeaseTimes = map[string][2]int64{
	"dhcpd": {43200, 43200}, "kea": {7200, 7200}, "dnsmasq": {3600, 86400},
}

// longest returns the length that leases of a kind do not exceed without a statement: of dhcpd, a
// day in IPv4.
func longest(kind string, is6 bool) int64 {
	if kind == "dhcpd" && !is6 {
		return 86400
	}
	return endless
}

// family is the index of a family in pairs.
func family(is6 bool) int {
	if is6 {
		return 1
	}
	return 0
}

// addLeaseTime declares a length of leases in one of the places of a scope.
func (b *builder) addLeaseTime(p place, in *scope, to *leaseLength, text string) {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case in.host != nil || in.class != nil || in.pool != nil:
		b.put(p, LeftOut, "a subnet has one length of leases for all clients; set it there")
		return
	case text == "infinite" || n < 0 && err == nil:
		n = endless
	case err != nil || n == 0:
		b.put(p, LeftOut, "is not a length of leases; correct it")
		return
	}
	item := b.put(p, LeftOut, "applies to no subnet here")
	if to.seconds != 0 {
		b.settle(to.item, LeftOut, "a later statement of the block replaces it")
	}
	*to = leaseLength{min(n, endless), item}
}

// leaseLengths returns the statements that count for a subnet: the innermost of each sort.
func (s *subnetDecl) leaseLengths() (out leaseLengths) {
	first := func(to *leaseLength, from leaseLength) {
		if to.seconds == 0 {
			*to = from
		}
	}
	for in := s.at; in != nil; in = in.parent {
		have := in.leases[family(s.prefix.Addr().Is6())]
		first(&out.usual, have.usual)
		first(&out.most, have.most)
		first(&out.least, have.least)
	}
	return out
}

// finishLeaseTimes gives each subnet its length of leases, or the site if all have the same one.
func (b *builder) finishLeaseTimes() {
	usual, known := usualLeaseTimes[b.kind]
	if !known {
		return
	}
	var all []int64
	plain := true // racks give these lengths by themselves
	for _, s := range b.subnets {
		t := s.leaseLengths()
		is6 := s.prefix.Addr().Is6()
		s.lease = max(min(cmp.Or(t.usual.seconds, usual[family(is6)]), cmp.Or(t.most.seconds, longest(b.kind, is6))), t.least.seconds)
		all = append(all, s.lease)
		plain = plain && s.lease == ownLeaseTime(is6)
		b.explainLeaseTimes(t, s.lease)
	}
	all = slices.Compact(slices.Sorted(slices.Values(all)))
	if len(all) == 1 && !plain {
		b.lease = all[0]
	}
	for _, s := range b.subnets {
		if b.lease != 0 || s.lease == ownLeaseTime(s.prefix.Addr().Is6()) {
			s.lease = 0
		}
	}
}

// ownLeaseTime is the length of leases without a snippet for it, in seconds.
func ownLeaseTime(is6 bool) int64 { return int64(plan.LeaseTime(is6) / time.Second) }

// explainLeaseTimes settles the statements that count for a subnet whose leases have a length.
func (b *builder) explainLeaseTimes(t leaseLengths, seconds int64) {
	set := func(of leaseLength, o Outcome, format string, args ...any) {
		// What one subnet does otherwise stays said.
		if of.seconds != 0 && b.out.Report[of.item].Outcome != Changed {
			b.settle(of.item, o, format, args...)
		}
	}
	set(t.usual, Taken, "length of leases")
	switch {
	case t.usual.seconds >= endless:
		set(t.usual, Changed, "leases of 136 years: from those without an end clients never return")
	case t.usual.seconds != seconds:
		set(t.usual, Changed, "leases of %d s, the nearest length within the bounds", seconds)
	}
	if set(t.most, Taken, "racks give no longer lease than this"); t.most.seconds != seconds {
		set(t.most, Changed, "clients that ask for a longer lease get one of %d s, too", seconds)
	}
	if set(t.least, Taken, "racks give leases of %d s", seconds); t.least.seconds < seconds {
		set(t.least, Changed, "clients that ask for a shorter lease than %d s get one, of a minute at least", seconds)
	}
}

// leaseTimeLine is a length of leases as the value of a snippet.
func leaseTimeLine(seconds int64) string {
	if seconds == 0 {
		return ""
	}
	return fmt.Sprintf("default-lease-time %d;\n", seconds)
}

// siteSnippet is the snippet of the whole site.
func (b *builder) siteSnippet() sitedoc.Snippet {
	return sitedoc.Snippet{Name: b.kind, Value: leaseTimeLine(b.lease)}
}
