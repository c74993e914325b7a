package ipam

import "iter"

// gapSet is a set of addresses kept as its maximal runs, here called gaps: a B+ tree ordered by
// address in which every inner page knows the best gap (shortest, then lowest) below each of its
// kids. Picking, removing and adding an address touch one page per level, of which a million gaps
// need four, so that they cost a handful of cache misses where a binary tree has one or more at
// each of twenty levels. Pages live in slices without pointers, which costs the garbage collector
// nothing.
type gapSet struct {
	leaves      []leaf
	inners      []inner
	spareLeaves []int32
	spareInners []int32
	root        int32 // a leaf if height is 0
	height      int
	free        u128 // addresses in the set
}

// fan is the largest number of entries in a page. At half a million gaps half as many are a tenth
// faster and twice as many a tenth slower; sets with few gaps do not differ.
const fan = 32

// packed is the number of entries in a page when it is built. The room left keeps the first
// insertion from splitting it.
const packed = fan - 4

// gap is one run, both ends included.
type gap struct{ from, to u128 }

// leaf has gaps in order.
type leaf struct {
	n    int
	gaps [fan]gap
}

// inner has kids in order of their addresses. Those of kid i are not less than low[i], and less
// than low[i+1]; what is less than low[0] belongs to kid 0.
type inner struct {
	n    int
	low  [fan]u128
	best [fan]gap
	kid  [fan]int32
}

// bestOf returns the best of gaps, of which there is at least one.
func bestOf(gaps []gap) gap {
	best := gaps[0]
	size := best.to.sub(best.from)
	for _, g := range gaps[1:] {
		if s := g.to.sub(g.from); s.less(size) { // in order, so the lowest of equals came first
			best, size = g, s
		}
	}
	return best
}

// newGapSet builds the set in O(n) from about as many runs as count says, in order, which neither
// overlap nor touch.
func newGapSet(runs iter.Seq[gap], count int) *gapSet {
	g := &gapSet{leaves: make([]leaf, 1, count/packed+2)}
	l := &g.leaves[0]
	for r := range runs {
		if l.n == packed {
			g.leaves = append(g.leaves, leaf{})
			l = &g.leaves[len(g.leaves)-1]
		}
		l.gaps[l.n] = r
		l.n++
		g.free = g.free.add(r.to.sub(r.from).next())
	}
	g.buildInner()
	return g
}

// buildInner puts levels over the leaves until one page is the root.
func (g *gapSet) buildInner() {
	first, count := 0, len(g.leaves)
	for ; count > 1; g.height++ {
		next := len(g.inners)
		for k := 0; k < count; k += packed {
			p := inner{n: min(packed, count-k)}
			for i := range p.n {
				p.kid[i] = int32(first + k + i)
				p.low[i], p.best[i] = g.edge(p.kid[i], g.height)
			}
			g.inners = append(g.inners, p)
		}
		first, count = next, len(g.inners)-next
	}
	g.root = int32(first)
}

// edge returns the lower bound and the best gap of a page at a level, which is not empty.
func (g *gapSet) edge(page int32, level int) (low u128, best gap) {
	if level == 0 {
		l := &g.leaves[page]
		return l.gaps[0].from, bestOf(l.gaps[:l.n])
	}
	p := &g.inners[page]
	return p.low[0], bestOf(p.best[:p.n])
}

// bestFit returns the lowest address of the shortest gap.
func (g *gapSet) bestFit() (u128, bool) {
	if g.free == (u128{}) {
		return u128{}, false
	}
	_, best := g.edge(g.root, g.height)
	return best.from, true
}

// path holds the way to a leaf: the page and the kid at each level above it. Six levels hold more
// gaps than an int32 counts.
type path [8]struct {
	page int32
	kid  int
}

// descend finds the leaf that x belongs to and the last gap in it that does not begin after x; -1
// if all do.
func (g *gapSet) descend(x u128, way *path) (at int32, i int) {
	at = g.root
	for level := g.height; level > 0; level-- {
		p := &g.inners[at]
		lo, hi := 0, p.n // low[lo] is not above x, or lo is 0
		for hi-lo > 1 {
			if mid := int(uint(lo+hi) >> 1); x.less(p.low[mid]) {
				hi = mid
			} else {
				lo = mid
			}
		}
		way[level].page, way[level].kid = at, lo
		at = p.kid[lo]
	}
	l := &g.leaves[at]
	lo, hi := -1, l.n
	for hi-lo > 1 {
		if mid := int(uint(lo+hi) >> 1); x.less(l.gaps[mid].from) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return at, lo
}

// next returns the lowest free address that is not less than x.
func (g *gapSet) next(x u128) (u128, bool) {
	var way path
	at, i := g.descend(x, &way)
	l := &g.leaves[at]
	if i >= 0 && !l.gaps[i].to.less(x) {
		return x, true
	}
	if i+1 < l.n {
		return l.gaps[i+1].from, true
	}
	for level := 1; level <= g.height; level++ { // the first gap of the page after
		p := &g.inners[way[level].page]
		if k := way[level].kid + 1; k < p.n {
			at = p.kid[k]
			for ; level > 1; level-- {
				at = g.inners[at].kid[0]
			}
			return g.leaves[at].gaps[0].from, true
		}
	}
	return u128{}, false
}

// without yields the parts of run that are not in the set, in order.
func (g *gapSet) without(run gap, yield func(gap)) {
	for at := run.from; ; {
		var way path
		page, i := g.descend(at, &way)
		if i >= 0 && !g.leaves[page].gaps[i].to.less(at) { // at is in a gap, which is passed over
			to := g.leaves[page].gaps[i].to
			if !to.less(run.to) {
				return
			}
			at = to.next()
		}
		next, ok := g.next(at)
		if !ok || run.to.less(next) {
			yield(gap{at, run.to})
			return
		}
		yield(gap{at, next.prev()})
		at = next
	}
}

func (g *gapSet) contains(x u128) bool {
	var way path
	at, i := g.descend(x, &way)
	return i >= 0 && !g.leaves[at].gaps[i].to.less(x)
}

// remove takes x out and reports whether it was in the set.
func (g *gapSet) remove(x u128) bool {
	var way path
	at, i := g.descend(x, &way)
	if i < 0 || g.leaves[at].gaps[i].to.less(x) {
		return false
	}
	g.free = g.free.prev()
	switch have := g.leaves[at].gaps[i]; {
	case have.from == have.to:
		g.splice(&way, at, i, 1)
	case x == have.from:
		g.splice(&way, at, i, 1, gap{x.next(), have.to})
	case x == have.to:
		g.splice(&way, at, i, 1, gap{have.from, x.prev()})
	default:
		g.splice(&way, at, i, 1, gap{have.from, x.prev()}, gap{x.next(), have.to})
	}
	return true
}

// add puts x in, joining the gaps beside it; false if it was in already.
func (g *gapSet) add(x u128) bool {
	var way path
	at, i := g.descend(x, &way)
	l := &g.leaves[at]
	if i >= 0 && !l.gaps[i].to.less(x) {
		return false
	}
	g.free = g.free.next()
	if i < 0 || i+1 == l.n { // a neighbour may be in another leaf
		g.addAtEdge(x)
		return true
	}
	below, above := l.gaps[i], l.gaps[i+1]
	joinsBelow, joinsAbove := below.to.next() == x, x.next() == above.from
	switch {
	case joinsBelow && joinsAbove:
		g.splice(&way, at, i, 2, gap{below.from, above.to})
	case joinsBelow:
		g.splice(&way, at, i, 1, gap{below.from, x})
	case joinsAbove:
		g.splice(&way, at, i+1, 1, gap{x, above.to})
	default:
		g.splice(&way, at, i+1, 0, gap{x, x})
	}
	return true
}

// addAtEdge adds x, which is not in, wherever its neighbours are.
func (g *gapSet) addAtEdge(x u128) {
	run := gap{x, x}
	if x != (u128{}) {
		if below, ok := g.take(x.prev()); ok {
			run.from = below.from
		}
	}
	if above := x.next(); above != (u128{}) {
		if above, ok := g.take(above); ok {
			run.to = above.to
		}
	}
	// Where its end belongs, for no gap may reach into the bounds of a page after its own; the
	// beginning may move a bound down.
	var way path
	at, i := g.descend(run.to, &way)
	g.splice(&way, at, i+1, 0, run)
}

// take removes the whole gap that holds x and returns it. The count of free addresses stays: the
// caller puts the gap back as part of another.
func (g *gapSet) take(x u128) (gap, bool) {
	var way path
	at, i := g.descend(x, &way)
	if i < 0 || g.leaves[at].gaps[i].to.less(x) {
		return gap{}, false
	}
	out := g.leaves[at].gaps[i]
	g.splice(&way, at, i, 1)
	return out, true
}
