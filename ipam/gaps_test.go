package ipam

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// flat is a set of small addresses, obvious and slow.
type flat []bool

func (f flat) runs() []gap {
	var out []gap
	for i, in := range f {
		switch x := (u128{lo: uint64(i)}); {
		case !in:
		case i > 0 && f[i-1]:
			out[len(out)-1].to = x
		default:
			out = append(out, gap{x, x})
		}
	}
	return out
}

// walk returns the gaps of g, checking what its pages say of each other.
func walk(t *testing.T, g *gapSet) []gap {
	t.Helper()
	var out []gap
	pages := [2]int{}
	var visit func(page int32, level int) gap
	visit = func(page int32, level int) gap {
		if level == 0 {
			l := &g.leaves[page]
			pages[0]++
			out = append(out, l.gaps[:l.n]...)
			if l.n == 0 {
				return gap{}
			}
			return bestOf(l.gaps[:l.n])
		}
		p := &g.inners[page]
		pages[1]++
		if p.n == 0 {
			t.Fatalf("inner page %d at level %d is empty", page, level)
		}
		for i := range p.n {
			begin := len(out)
			if best := visit(p.kid[i], level-1); best != p.best[i] {
				t.Fatalf("best of kid %d is %v, page %d says %v", i, best, page, p.best[i])
			}
			if i > 0 && out[begin].from.less(p.low[i]) || i+1 < p.n && !out[len(out)-1].to.less(p.low[i+1]) {
				t.Fatalf("kid %d of page %d leaves its bounds", i, page)
			}
		}
		return bestOf(p.best[:p.n])
	}
	visit(g.root, g.height)
	if pages[0]+len(g.spareLeaves) != len(g.leaves) || pages[1]+len(g.spareInners) != len(g.inners) {
		t.Fatalf("pages are lost: %v used, %d and %d spare of %d and %d", pages, len(g.spareLeaves), len(g.spareInners), len(g.leaves), len(g.inners))
	}
	if most := len(out)/(fan/4) + 4; pages[0] > most {
		t.Fatalf("%d gaps take %d leaves", len(out), pages[0])
	}
	return out
}

func checkSame(t *testing.T, g *gapSet, f flat) {
	t.Helper()
	want := f.runs()
	if got := walk(t, g); !slices.Equal(got, want) {
		t.Fatalf("%d gaps, want %d", len(got), len(want))
	}
	free := 0
	for _, in := range f {
		if in {
			free++
		}
	}
	if g.free.clamp() != free {
		t.Fatalf("%d free, want %d", g.free.clamp(), free)
	}
	x, ok := g.bestFit()
	if ok != (free > 0) || ok && x != bestOf(want).from {
		t.Fatalf("best fit %v, %v", x, ok)
	}
}

// Random work on a tree of three levels, swinging between full and empty.
func TestGapSetMatchesFlatSet(t *testing.T) {
	const size = 1 << 14
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 1))
		f := make(flat, size)
		for i := range f {
			f[i] = seed%2 == 0 || i%3 == 0
		}
		g := newGapSet(slices.Values(f.runs()), 0)
		checkSame(t, g, f)
		for op := range 120_000 {
			i := r.IntN(size)
			x := u128{lo: uint64(i)}
			if r.IntN(100) < [...]int{80, 20, 50, 5, 95}[op/24_000] {
				if got := g.remove(x); got != f[i] {
					t.Fatalf("remove %d: %v", i, got)
				}
				f[i] = false
			} else {
				if got := g.add(x); got == f[i] {
					t.Fatalf("add %d: %v", i, got)
				}
				f[i] = true
			}
			if i = r.IntN(size); g.contains(u128{lo: uint64(i)}) != f[i] {
				t.Fatalf("contains %d: %v", i, !f[i])
			}
			if op%64 == 0 {
				want := slices.Index(f[i:], true)
				if x, ok := g.next(u128{lo: uint64(i)}); ok != (want >= 0) || ok && x.clamp() != i+want {
					t.Fatalf("next %d: %v, %v; want %d", i, x, ok, i+want)
				}
			}
			if op%6000 == 0 {
				checkSame(t, g, f)
			}
		}
		for i := range f { // to nothing, and back to one gap
			g.remove(u128{lo: uint64(i)})
			f[i] = false
		}
		checkSame(t, g, f)
		for _, i := range r.Perm(size) {
			g.add(u128{lo: uint64(i)})
			f[i] = true
		}
		checkSame(t, g, f)
	}
}

func TestSortAddrs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, span := range []uint64{1, 7, 1 << 12, 1 << 20, 1 << 40, ^uint64(0)} {
		for _, hi := range []uint64{0, 1} {
			x := make([]u128, 3000)
			for i := range x {
				x[i] = u128{0xfd00 + hi*r.Uint64N(3), r.Uint64N(span)}
			}
			want := slices.Clone(x)
			slices.SortFunc(want, u128.cmp)
			if sortAddrs(x); !slices.Equal(x, want) {
				t.Errorf("span %d, %d: not in order", hi, span)
			}
		}
	}
	sortAddrs(nil)
}
