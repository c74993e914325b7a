package ipam

import (
	"fmt"
	"math/big"
	"net/netip"

	"go4.org/netipx"
)

// Statistics counts the addresses of a subnet. Counts are of Universe: the IPv4 network and
// broadcast address are in none of them.
type Statistics struct {
	Total     *big.Int
	Used      *big.Int // with any purpose, reserved ranges included
	Available *big.Int // Total - Used
	Largest   *big.Int // length of the longest run of available addresses
	First     netip.Addr
	Last      netip.Addr
}

// Statistics counts what is used. Neighbours and excluded addresses count as available.
func (u *Usage) Statistics() Statistics {
	return statistics(u.Spans(), Universe(u.Subnet.Prefix))
}

func statistics(spans []Span, universe netipx.IPRange) Statistics {
	var used, free, largest, run u128
	for _, s := range spans {
		n := length(s.Range)
		// A run of available addresses ends at the first used one.
		if s.Purpose&^notUsed != 0 {
			used, run = used.add(n), u128{}
			continue
		}
		free, run = free.add(n), run.add(n)
		if largest.less(run) {
			largest = run
		}
	}
	return Statistics{
		Total: used.add(free).big(), Used: used.big(), Available: free.big(), Largest: largest.big(),
		First: universe.From(), Last: universe.To(),
	}
}

// Usage is the used share, from 0 to 1.
func (s Statistics) Usage() float64 {
	if s.Total.Sign() == 0 {
		return 0
	}
	// Exact division first: an IPv6 subnet has more addresses than a float64 counts exactly.
	f, _ := new(big.Rat).SetFrac(s.Used, s.Total).Float64()
	return f
}

// Exhausting reports whether a subnet is about to run full: at most threshold addresses are
// available, and the subnet has at least three times as many, since a smaller one is always close
// to it. MAAS' default threshold is 16.
func (s Statistics) Exhausting(threshold int) bool {
	t := big.NewInt(int64(threshold))
	return s.Available.Cmp(t) <= 0 && s.Total.Cmp(new(big.Int).Mul(t, big.NewInt(3))) >= 0
}

// String writes such as "17 of 254 addresses used (6.7 %)".
func (s Statistics) String() string {
	return fmt.Sprintf("%s of %s addresses used (%.1f %%)", s.Used, s.Total, 100*s.Usage())
}

func length(r netipx.IPRange) u128 { return toU128(r.To()).sub(toU128(r.From())).next() }
