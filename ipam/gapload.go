package ipam

import (
	"iter"
	"slices"
)

// runsWithout yields runs, which are in order, without the given addresses, which it sorts.
func runsWithout(runs []gap, used []u128) iter.Seq[gap] {
	sortAddrs(used)
	return func(yield func(gap) bool) {
		k := 0
		for _, r := range runs {
			for k < len(used) && used[k].less(r.from) {
				k++
			}
			open := true
			for ; k < len(used) && !r.to.less(used[k]); k++ {
				if k > 0 && used[k] == used[k-1] {
					continue
				}
				if r.from.less(used[k]) && !yield(gap{r.from, used[k].prev()}) {
					return
				}
				if open = used[k].less(r.to); open {
					r.from = used[k].next()
				}
			}
			if open && !yield(r) {
				return
			}
		}
	}
}

// sortAddrs sorts what is often in order already and lies, but for networks larger than a /64,
// within 64 bits: then by its digits, which takes a few passes whatever the order.
func sortAddrs(x []u128) {
	if slices.IsSortedFunc(x, u128.cmp) {
		return
	}
	low, span := x[0], u128{}
	for _, v := range x {
		if v.less(low) {
			low = v
		}
	}
	for _, v := range x {
		if d := v.sub(low); span.less(d) {
			span = d
		}
	}
	if span.hi != 0 || len(x) < 256 {
		slices.SortFunc(x, u128.cmp)
		return
	}
	offsets := make([]uint64, len(x))
	for i, v := range x {
		offsets[i] = v.sub(low).lo
	}
	for i, d := range radixSort(offsets, span.lo) {
		x[i] = low.add(u128{lo: d})
	}
}

// radixSort sorts x, none of which is above most, into x or a slice of its own. Digits have 11
// bits: their counters fit the innermost cache.
func radixSort(x []uint64, most uint64) []uint64 {
	const digit = 11
	other := make([]uint64, len(x))
	for shift := 0; shift < 64 && most>>shift != 0; shift += digit {
		var at [1 << digit]int
		for _, v := range x {
			at[v>>shift&(1<<digit-1)]++
		}
		sum := 0
		for i, n := range at {
			at[i] = sum
			sum += n
		}
		for _, v := range x {
			d := v >> shift & (1<<digit - 1)
			other[at[d]] = v
			at[d]++
		}
		x, other = other, x
	}
	return x
}
