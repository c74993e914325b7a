package ipam_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/gomaas/maas/ipam"
	"go4.org/netipx"
	"pgregory.net/rapid"
)

// The oracle states the rules address by address, with no ranges and no
// sweep, so that it is slow and obvious.

func addrsOf(p netip.Prefix) []netip.Addr {
	var out []netip.Addr
	for a := p.Addr(); p.Contains(a); a = a.Next() {
		out = append(out, a)
	}
	return out
}

func usable(p netip.Prefix, a netip.Addr) bool {
	all := addrsOf(p)
	if len(all) <= 2 {
		return true
	}
	if a == all[0] {
		return false
	}
	return p.Addr().Is6() || a != all[len(all)-1]
}

type facts struct{ reserved, dynamic, fixed, assigned, discovered, transient bool }

func factsOf(u *ipam.Usage, a netip.Addr) facts {
	var f facts
	for _, r := range u.Ranges {
		if !a.Less(r.Start) && !r.End.Less(a) {
			f.reserved = f.reserved || r.Type == ipam.RangeReserved
			f.dynamic = f.dynamic || r.Type == ipam.RangeDynamic
		}
	}
	f.fixed = a == u.Subnet.Gateway || slices.Contains(u.Subnet.DNSServers, a)
	for _, r := range u.Routes {
		f.fixed = f.fixed || r.Gateway == a
	}
	for _, r := range u.Reserved {
		f.fixed = f.fixed || r.Addr == a
	}
	for _, al := range u.Allocations {
		if al.Addr == a {
			f.discovered = f.discovered || al.Type == ipam.AllocDiscovered
			f.assigned = f.assigned || al.Type != ipam.AllocDiscovered
		}
	}
	for _, n := range u.Neighbours {
		f.transient = f.transient || n.Addr == a
	}
	f.transient = f.transient || slices.Contains(u.Exclude, a)
	return f
}

func mayReserve(u *ipam.Usage, f facts) bool {
	return !f.reserved && (u.Subnet.Unmanaged || !f.dynamic)
}

func mayDynamic(u *ipam.Usage, f facts) bool {
	return f.reserved == u.Subnet.Unmanaged && !f.dynamic && !f.fixed && !f.assigned
}

func isFree(u *ipam.Usage, f facts) bool  { return mayDynamic(u, f) && !f.discovered }
func mayAuto(u *ipam.Usage, f facts) bool { return isFree(u, f) && !f.transient }

// prefixes are small enough to enumerate.
func genPrefix(t *rapid.T) netip.Prefix {
	return netip.MustParsePrefix(rapid.SampledFrom([]string{
		"10.0.0.0/27", "10.0.0.0/28", "192.168.7.4/30", "10.9.9.0/31", "10.9.9.9/32", "255.255.255.240/28", "0.0.0.0/27",
		"fd00::/123", "fd00::10/124", "fd00::/127", "fd00::1/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124",
	}).Draw(t, "prefix"))
}

func genUsage(t *rapid.T) *ipam.Usage {
	p := genPrefix(t)
	addr := rapid.SampledFrom(addrsOf(p))
	u := &ipam.Usage{Subnet: ipam.Subnet{Prefix: p, Unmanaged: rapid.Bool().Draw(t, "unmanaged")}}
	if rapid.Bool().Draw(t, "gateway?") {
		u.Subnet.Gateway = addr.Draw(t, "gateway")
	}
	u.Subnet.DNSServers = rapid.SliceOfN(addr, 0, 2).Draw(t, "dns")
	for i := range rapid.IntRange(0, 4).Draw(t, "ranges") {
		from, to := addr.Draw(t, "from"), addr.Draw(t, "to")
		if to.Less(from) {
			from, to = to, from
		}
		u.Ranges = append(u.Ranges, ipam.Range{ID: int64(i + 1), Start: from, End: to, Type: ipam.RangeType(rapid.IntRange(0, 1).Draw(t, "type"))})
	}
	for _, a := range rapid.SliceOfN(addr, 0, 2).Draw(t, "routes") {
		u.Routes = append(u.Routes, ipam.StaticRoute{Gateway: a})
	}
	types := rapid.SampledFrom([]ipam.AllocType{ipam.AllocAuto, ipam.AllocSticky, ipam.AllocUserReserved, ipam.AllocDiscovered})
	for _, a := range rapid.SliceOfNDistinct(addr, 0, 6, rapid.ID).Draw(t, "allocations") {
		u.Allocations = append(u.Allocations, ipam.Allocation{Addr: a, Type: types.Draw(t, "alloc type")})
	}
	for _, a := range rapid.SliceOfN(addr, 0, 2).Draw(t, "reserved") {
		u.Reserved = append(u.Reserved, ipam.ReservedIP{Addr: a})
	}
	for _, a := range rapid.SliceOfN(addr, 0, 3).Draw(t, "neighbours") {
		u.Neighbours = append(u.Neighbours, ipam.Neighbour{Addr: a})
	}
	u.Exclude = rapid.SliceOfN(addr, 0, 2).Draw(t, "exclude")
	return u
}

func TestUsageMatchesOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := genUsage(t)
		reserved, dynamic, auto, free := u.FreeForReserved(), u.FreeForDynamic(), u.FreeForAuto(), u.Free()
		used := 0
		all := addrsOf(u.Subnet.Prefix)
		for _, a := range all {
			ok, f := usable(u.Subnet.Prefix, a), factsOf(u, a)
			check := func(what string, got *netipx.IPSet, want bool) {
				if got.Contains(a) != want {
					t.Fatalf("%s: %s contains = %v, want %v (%+v)", a, what, got.Contains(a), want, f)
				}
			}
			check("reserved", reserved, ok && mayReserve(u, f))
			check("dynamic", dynamic, ok && mayDynamic(u, f))
			check("auto", auto, ok && mayAuto(u, f))
			check("free", free, ok && isFree(u, f))
			if e := u.Explain(a); (e.Auto == nil) != (ok && mayAuto(u, f)) {
				t.Fatalf("%s: Explain.Auto = %v, oracle %v", a, e.Auto, ok && mayAuto(u, f))
			}
			if ok && (f.reserved || f.dynamic || f.fixed || f.assigned || f.discovered) {
				used++
			}
		}
		st := u.Statistics()
		if st.Used.Int64() != int64(used) {
			t.Fatalf("used = %s, want %d", st.Used, used)
		}
	})
}

// A range is accepted exactly where each of its addresses may go.
func TestCheckRangeMatchesOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := genUsage(t)
		addr := rapid.SampledFrom(addrsOf(u.Subnet.Prefix))
		r := ipam.Range{Start: addr.Draw(t, "start"), End: addr.Draw(t, "end"), Type: ipam.RangeType(rapid.IntRange(0, 1).Draw(t, "type"))}
		want := !r.End.Less(r.Start) && (r.Type == ipam.RangeReserved || r.Start.Is4())
		for a := r.Start; want && !r.End.Less(a); a = a.Next() {
			f := factsOf(u, a)
			may := mayReserve(u, f)
			if r.Type == ipam.RangeDynamic {
				may = mayDynamic(u, f)
			}
			want = usable(u.Subnet.Prefix, a) && may
			if a == r.End {
				break
			}
		}
		if err := u.CheckRange(r); (err == nil) != want {
			t.Fatalf("CheckRange(%s) = %v, oracle says %v", r, err, want)
		}
	})
}

func TestSuggestionsAreFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := genUsage(t)
		u.Subnet.Unmanaged = false
		if r := u.SuggestedDynamicRange(); r.IsValid() {
			if err := u.CheckRange(ipam.Range{Type: ipam.RangeDynamic, Start: r.From(), End: r.To()}); err != nil {
				t.Fatalf("suggested %s: %v", r, err)
			}
			if g := u.SuggestedGateway(); g.IsValid() && r.Contains(g) {
				t.Fatalf("suggested range %s covers the suggested gateway %s", r, g)
			}
		}
	})
}

// suggestions holds the suggestions of MAAS, made address by address; zero = nothing.
func suggestions(u *ipam.Usage) (gateway, first, last netip.Addr) {
	type block struct{ from, n int }
	var all []netip.Addr
	for _, a := range addrsOf(u.Subnet.Prefix) {
		if usable(u.Subnet.Prefix, a) {
			all = append(all, a)
		}
	}
	is6 := u.Subnet.Prefix.Addr().Is6()
	used := func(a netip.Addr) bool {
		f := factsOf(u, a)
		return f.reserved || f.dynamic || f.fixed || f.assigned || f.discovered
	}
	free, best, run, dynamic := 0, block{}, block{}, false
	for i, a := range all {
		f := factsOf(u, a)
		dynamic = dynamic || f.dynamic
		switch {
		case used(a):
			run = block{}
			continue
		case !gateway.IsValid() && !is6:
			gateway = a // the first that is unused
		}
		if free++; f.transient { // counts as free, and is no place to begin
			run = block{}
			continue
		}
		if run.n == 0 {
			run.from = i
		}
		if run.n++; run.n >= best.n {
			best = run
		}
	}
	switch {
	case u.Subnet.Gateway.IsValid():
		gateway = netip.Addr{}
	case is6 && len(addrsOf(u.Subnet.Prefix)) > 2:
		gateway = u.Subnet.Prefix.Addr()
	case !is6 && used(all[0]) && !used(all[len(all)-1]):
		gateway = all[len(all)-1]
	}
	if best.n > 0 && all[best.from] == gateway {
		best.from, best.n = best.from+1, best.n-1
	} else if best.n > 0 && all[best.from+best.n-1] == gateway {
		best.n--
	}
	if dynamic || best.n == 0 || is6 { // the oracle's IPv6 networks are too small for a dynamic range
		return gateway, netip.Addr{}, netip.Addr{}
	}
	end, take := best.from+best.n-1, best.n
	if quarter := len(all) / 4; best.n > quarter {
		take = quarter + 1
	} else if best.n >= free/2 {
		take = free / 2
	}
	if take == 0 {
		return gateway, netip.Addr{}, netip.Addr{}
	}
	return gateway, all[end-take+1], all[end]
}

func TestSuggestionsMatchOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := genUsage(t)
		gateway, first, last := suggestions(u)
		if got := u.SuggestedGateway(); got != gateway {
			t.Fatalf("gateway %s, the oracle says %s", got, gateway)
		}
		got := u.SuggestedDynamicRange()
		if got.From() != first || got.To() != last {
			t.Fatalf("dynamic range %s-%s, the oracle says %s-%s", got.From(), got.To(), first, last)
		}
	})
}

// A subnet runs out when few addresses are left of many.
func TestExhaustionMatchesOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := genUsage(t)
		total, free := 0, 0
		for _, a := range addrsOf(u.Subnet.Prefix) {
			f := factsOf(u, a)
			if !usable(u.Subnet.Prefix, a) {
				continue
			}
			if total++; !f.reserved && !f.dynamic && !f.fixed && !f.assigned && !f.discovered {
				free++
			}
		}
		for _, threshold := range []int{0, 1, 4, 8, 16} {
			want := free <= threshold && 3*threshold <= total
			if got := u.Statistics().Exhausting(threshold); got != want {
				t.Fatalf("threshold %d, %d of %d free: %v, want %v", threshold, free, total, got, want)
			}
		}
	})
}

func ExampleUsage_SuggestedDynamicRange() {
	u := ipam.Usage{Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/24")}}
	fmt.Println(u.SuggestedGateway(), u.SuggestedDynamicRange())
	// Output: 10.0.0.1 10.0.0.191-10.0.0.254
}
