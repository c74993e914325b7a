package ipam

// splice replaces del gaps at i of a leaf, which was reached by way, and brings the pages above up
// to date.
func (g *gapSet) splice(way *path, at int32, i, del int, with ...gap) {
	grown := int32(-1) // page that came to be beside the one below
	if l := &g.leaves[at]; l.n-del+len(with) > fan {
		grown = g.splitLeaf(at)
		if half := g.leaves[at].n; i >= half {
			g.leaves[grown].replace(i-half, del, with)
		} else {
			g.leaves[at].replace(i, del, with)
		}
	} else {
		l.replace(i, del, with)
	}
	for level := 1; level <= g.height; level++ {
		page, kid := way[level].page, way[level].kid
		grown = g.pull(page, kid, level-1, grown)
	}
	if grown >= 0 {
		g.growRoot(grown)
	}
	for g.height > 0 && g.inners[g.root].n == 1 {
		old := g.root
		g.root = g.inners[old].kid[0]
		g.height--
		g.spareInners = append(g.spareInners, old)
	}
}

// replace puts gaps in the place of del others; there is room.
func (l *leaf) replace(i, del int, with []gap) {
	copy(l.gaps[i+len(with):], l.gaps[i+del:l.n])
	copy(l.gaps[i:], with)
	l.n += len(with) - del
}

// pull brings what a page knows of its kid up to date, after that has changed and, if grown is a
// page, has given half of itself to that. It returns the page that this one came to be split into,
// or -1.
func (g *gapSet) pull(page int32, kid, level int, grown int32) int32 {
	p := &g.inners[page]
	if g.count(p.kid[kid], level) == 0 {
		g.drop(p, kid, level)
		return -1
	}
	low, best := g.edge(p.kid[kid], level)
	p.best[kid] = best
	if low.less(p.low[kid]) {
		p.low[kid] = low
	}
	if grown < 0 {
		g.joinKids(p, kid, level)
		return -1
	}
	if p.n < fan {
		g.insertKid(p, kid+1, grown, level)
		return -1
	}
	half := g.splitInner(page)
	if p = &g.inners[page]; kid+1 > p.n {
		g.insertKid(&g.inners[half], kid+1-p.n, grown, level)
	} else {
		g.insertKid(p, kid+1, grown, level)
	}
	return half
}

// count returns how many entries a page has.
func (g *gapSet) count(page int32, level int) int {
	if level == 0 {
		return g.leaves[page].n
	}
	return g.inners[page].n
}

// insertKid adds a page to p, which has room.
func (g *gapSet) insertKid(p *inner, i int, page int32, level int) {
	copy(p.low[i+1:], p.low[i:p.n])
	copy(p.best[i+1:], p.best[i:p.n])
	copy(p.kid[i+1:], p.kid[i:p.n])
	p.kid[i] = page
	p.low[i], p.best[i] = g.edge(page, level)
	p.n++
}

// drop frees kid i of p.
func (g *gapSet) drop(p *inner, i, level int) {
	if level == 0 {
		g.spareLeaves = append(g.spareLeaves, p.kid[i])
	} else {
		g.spareInners = append(g.spareInners, p.kid[i])
	}
	copy(p.low[i:], p.low[i+1:p.n])
	copy(p.best[i:], p.best[i+1:p.n])
	copy(p.kid[i:], p.kid[i+1:p.n])
	p.n--
}

// joinKids joins a kid that has become small with the one beside it, so that no filling and
// emptying leaves many pages that hold little.
func (g *gapSet) joinKids(p *inner, kid, level int) {
	n := g.count(p.kid[kid], level)
	if n > fan/4 || p.n == 1 {
		return
	}
	i := min(kid, p.n-2)
	a, b := p.kid[i], p.kid[i+1]
	if g.count(a, level)+g.count(b, level) > fan*3/4 {
		return
	}
	if level == 0 {
		x, y := &g.leaves[a], &g.leaves[b]
		copy(x.gaps[x.n:], y.gaps[:y.n])
		x.n += y.n
	} else {
		x, y := &g.inners[a], &g.inners[b]
		copy(x.low[x.n:], y.low[:y.n])
		copy(x.best[x.n:], y.best[:y.n])
		copy(x.kid[x.n:], y.kid[:y.n])
		x.n += y.n
	}
	g.drop(p, i+1, level)
	_, p.best[i] = g.edge(a, level)
}

// splitLeaf moves the upper half of a leaf to a new one.
func (g *gapSet) splitLeaf(at int32) (upper int32) {
	upper = alloc(&g.leaves, &g.spareLeaves)
	l, u := &g.leaves[at], &g.leaves[upper]
	half := l.n / 2
	u.n = copy(u.gaps[:], l.gaps[half:l.n])
	l.n = half
	return upper
}

// splitInner moves the upper half of an inner page to a new one.
func (g *gapSet) splitInner(at int32) (upper int32) {
	upper = alloc(&g.inners, &g.spareInners)
	p, u := &g.inners[at], &g.inners[upper]
	half := p.n / 2
	copy(u.low[:], p.low[half:p.n])
	copy(u.best[:], p.best[half:p.n])
	u.n = copy(u.kid[:], p.kid[half:p.n])
	p.n = half
	return upper
}

// growRoot puts a page over the root and the one that was split off it.
func (g *gapSet) growRoot(upper int32) {
	at := alloc(&g.inners, &g.spareInners)
	p := &g.inners[at]
	g.insertKid(p, 0, g.root, g.height)
	g.insertKid(p, 1, upper, g.height)
	g.root = at
	g.height++
}

// alloc returns an empty page.
func alloc[P any](pages *[]P, spare *[]int32) int32 {
	var empty P
	if n := len(*spare); n > 0 {
		at := (*spare)[n-1]
		*spare = (*spare)[:n-1]
		(*pages)[at] = empty
		return at
	}
	*pages = append(*pages, empty)
	return int32(len(*pages) - 1)
}
