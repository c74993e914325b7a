package ipam

import "slices"

// gapSet is a set of addresses kept as its maximal runs, here called gaps. It
// is a randomized search tree ordered by address in which every node also
// knows the best gap (shortest, then lowest) of its subtree, so that picking,
// removing and adding an address are all O(log gaps). Nodes live in one slice
// without pointers, which costs the garbage collector nothing.
type gapSet struct {
	nodes []gapNode // [0] is the empty tree
	spare []int32   // nodes that can be used again
	root  int32
	free  u128 // addresses in the set
	seed  uint64
}

type gapNode struct {
	from, to    u128
	left, right int32
	best        int32 // node of the best gap in this subtree
	size        int32 // nodes in this subtree
}

// gap is one run, both ends included.
type gap struct{ from, to u128 }

// newGapSet builds the set in O(n) from runs in order that neither overlap nor touch.
func newGapSet(runs []gap) *gapSet {
	g := &gapSet{nodes: make([]gapNode, 1, len(runs)+1), seed: 0x9e3779b97f4a7c15}
	for _, r := range runs {
		g.free = g.free.add(r.to.sub(r.from).next())
		g.nodes = append(g.nodes, gapNode{from: r.from, to: r.to})
	}
	g.root = g.balance(1, int32(len(runs)))
	return g
}

// balance links nodes lo to hi, which are in order, into a tree.
func (g *gapSet) balance(lo, hi int32) int32 {
	if lo > hi {
		return 0
	}
	t := lo + (hi-lo)/2
	g.nodes[t].left = g.balance(lo, t-1)
	g.nodes[t].right = g.balance(t+1, hi)
	g.pull(t)
	return t
}

// pull brings what node t knows of its subtree up to date.
func (g *gapSet) pull(t int32) {
	n := &g.nodes[t]
	l, r := &g.nodes[n.left], &g.nodes[n.right]
	n.size = l.size + r.size + 1
	n.best = t
	if l.size > 0 && g.better(l.best, n.best) {
		n.best = l.best
	}
	if r.size > 0 && g.better(r.best, n.best) {
		n.best = r.best
	}
}

func (g *gapSet) better(a, b int32) bool {
	x, y := &g.nodes[a], &g.nodes[b]
	lx, ly := x.to.sub(x.from), y.to.sub(y.from)
	return lx.less(ly) || lx == ly && x.from.less(y.from)
}

// bestFit returns the lowest address of the shortest gap.
func (g *gapSet) bestFit() (u128, bool) {
	if g.root == 0 {
		return u128{}, false
	}
	return g.nodes[g.nodes[g.root].best].from, true
}

// next returns the lowest free address that is not less than x.
func (g *gapSet) next(x u128) (u128, bool) {
	found := int32(0)
	for t := g.root; t != 0; {
		n := &g.nodes[t]
		if n.to.less(x) {
			t = n.right
		} else {
			found, t = t, n.left
		}
	}
	if found == 0 {
		return u128{}, false
	}
	if from := g.nodes[found].from; x.less(from) {
		return from, true
	}
	return x, true
}

func (g *gapSet) contains(x u128) bool {
	y, ok := g.next(x)
	return ok && y == x
}

// remove takes x out and tells whether it was in.
func (g *gapSet) remove(x u128) bool {
	var rest gap
	if !g.cut(&g.root, x, &rest) {
		return false
	}
	g.free = g.free.prev()
	if rest != (gap{}) {
		g.insertGap(rest)
	}
	return true
}

// cut takes x out of the subtree at *at. If its gap falls in two, the upper
// part is left in rest for the caller to insert.
func (g *gapSet) cut(at *int32, x u128, rest *gap) bool {
	t := *at
	if t == 0 {
		return false
	}
	n := &g.nodes[t]
	switch {
	case x.less(n.from):
		if !g.cut(&n.left, x, rest) {
			return false
		}
	case n.to.less(x):
		if !g.cut(&n.right, x, rest) {
			return false
		}
	case n.from == n.to:
		*at = g.merge(n.left, n.right)
		g.spare = append(g.spare, t)
		return true
	case x == n.from:
		n.from = x.next()
	case x == n.to:
		n.to = x.prev()
	default:
		*rest = gap{x.next(), n.to}
		n.to = x.prev()
	}
	g.pull(t)
	return true
}

// add puts x in, joining the gaps beside it; false if it was in already.
func (g *gapSet) add(x u128) bool {
	if g.contains(x) {
		return false
	}
	g.free = g.free.next()
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
	g.insertGap(run)
	return true
}

// take removes the whole gap that holds x and returns it.
func (g *gapSet) take(x u128) (gap, bool) {
	var out gap
	ok := g.drop(&g.root, x, &out)
	return out, ok
}

func (g *gapSet) drop(at *int32, x u128, out *gap) bool {
	t := *at
	if t == 0 {
		return false
	}
	n := &g.nodes[t]
	switch {
	case x.less(n.from):
		if !g.drop(&n.left, x, out) {
			return false
		}
	case n.to.less(x):
		if !g.drop(&n.right, x, out) {
			return false
		}
	default:
		*out = gap{n.from, n.to}
		*at = g.merge(n.left, n.right)
		g.spare = append(g.spare, t)
		return true
	}
	g.pull(t)
	return true
}

// insertGap adds a run that touches no other.
func (g *gapSet) insertGap(r gap) {
	var t int32
	if n := len(g.spare); n > 0 {
		t, g.spare = g.spare[n-1], g.spare[:n-1]
		g.nodes[t] = gapNode{from: r.from, to: r.to}
	} else {
		t = int32(len(g.nodes))
		g.nodes = append(g.nodes, gapNode{from: r.from, to: r.to})
	}
	g.pull(t)
	low, high := g.split(g.root, r.from)
	g.root = g.merge(g.merge(low, t), high)
}

// split divides tree t into the gaps below x and those above.
func (g *gapSet) split(t int32, x u128) (low, high int32) {
	if t == 0 {
		return 0, 0
	}
	n := &g.nodes[t]
	if n.from.less(x) {
		n.right, high = g.split(n.right, x)
		g.pull(t)
		return t, high
	}
	low, n.left = g.split(n.left, x)
	g.pull(t)
	return low, t
}

// merge joins two trees of which a lies wholly below b. The root is drawn by
// size, which keeps the expected depth logarithmic whatever the operations.
func (g *gapSet) merge(a, b int32) int32 {
	if a == 0 {
		return b
	}
	if b == 0 {
		return a
	}
	sa, sb := uint64(g.nodes[a].size), uint64(g.nodes[b].size)
	if g.random()%(sa+sb) < sa {
		g.nodes[a].right = g.merge(g.nodes[a].right, b)
		g.pull(a)
		return a
	}
	g.nodes[b].left = g.merge(a, g.nodes[b].left)
	g.pull(b)
	return b
}

// random is xorshift64: balance needs no better.
func (g *gapSet) random() uint64 {
	g.seed ^= g.seed << 13
	g.seed ^= g.seed >> 7
	g.seed ^= g.seed << 17
	return g.seed
}

// runsWithout returns runs, which are in order, without the given addresses,
// which it sorts.
func runsWithout(runs []gap, used []u128) []gap {
	slices.SortFunc(used, u128.cmp)
	used = slices.Compact(used)
	out := make([]gap, 0, len(runs))
	for _, r := range runs {
		for len(used) > 0 && used[0].less(r.from) {
			used = used[1:]
		}
		open := true
		for ; len(used) > 0 && !r.to.less(used[0]); used = used[1:] {
			if r.from.less(used[0]) {
				out = append(out, gap{r.from, used[0].prev()})
			}
			if open = used[0].less(r.to); open {
				r.from = used[0].next()
			}
		}
		if open {
			out = append(out, r)
		}
	}
	return out
}
