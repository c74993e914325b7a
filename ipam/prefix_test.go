package ipam_test

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/gomaas/maas/ipam"
)

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func TestFreePrefix(t *testing.T) {
	for _, c := range []struct {
		parent string
		bits   int
		taken  []netip.Prefix
		want   string // "" = none
	}{
		{"10.0.0.0/16", 26, nil, "10.0.0.0/26"},
		{"10.0.0.0/16", 16, nil, "10.0.0.0/16"},
		{"10.0.0.0/16", 16, prefixes("10.0.9.9/32"), ""},
		{"10.0.0.9/24", 25, prefixes("10.0.0.200/25"), "10.0.0.0/25"}, // host bits do not matter
		{"10.0.0.0/24", 26, prefixes("10.0.0.0/26", "10.0.0.128/27"), "10.0.0.64/26"},
		{"10.0.0.0/24", 27, prefixes("10.0.0.0/26", "10.0.0.128/27"), "10.0.0.160/27"}, // the smallest block that does
		{"10.0.0.0/24", 26, prefixes("10.0.0.0/8"), ""},
		{"10.0.0.0/24", 26, prefixes("10.0.1.0/24", "fd00::/8"), "10.0.0.0/26"},
		{"10.0.0.0/24", 26, prefixes("::ffff:10.0.0.0/121"), "10.0.0.128/26"},
		{"10.0.0.0/24", 26, append(prefixes("10.0.0.0/26"), netip.Prefix{}), "10.0.0.64/26"},
		{"10.0.0.0/24", 23, nil, ""},
		{"10.0.0.0/24", 33, nil, ""},
		{"10.0.0.0/24", -1, nil, ""},
		{"0.0.0.0/0", 0, nil, "0.0.0.0/0"},
		{"fd00::/48", 64, prefixes("fd00::/64", "fd00:0:0:1::/64"), "fd00:0:0:2::/64"},
		{"fd00::/48", 56, prefixes("fd00::/64"), "fd00:0:0:100::/56"},
		{"fd00::/48", 128, nil, "fd00::/128"},
		{"::ffff:10.0.0.0/120", 128, nil, ""},
	} {
		got, ok := ipam.FreePrefix(netip.MustParsePrefix(c.parent), c.bits, c.taken...)
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("FreePrefix(%s, %d, %v) = %v, %v; want %q", c.parent, c.bits, c.taken, got, ok, c.want)
		}
	}
	if got, ok := ipam.FreePrefix(netip.Prefix{}, 8); ok {
		t.Errorf("of no parent: %v", got)
	}
}

// All of an empty parent can be given out, the first and the last block too, and blocks never overlap.
func TestFreePrefixFillsItsParent(t *testing.T) {
	parent := netip.MustParsePrefix("10.0.0.0/20")
	var taken []netip.Prefix
	for {
		p, ok := ipam.FreePrefix(parent, 26, taken...)
		if !ok {
			break
		}
		taken = append(taken, p)
	}
	if len(taken) != 64 {
		t.Errorf("%d of 64 blocks", len(taken))
	}
	rapid.Check(t, func(rt *rapid.T) {
		var taken []netip.Prefix
		for _, bits := range rapid.SliceOfN(rapid.IntRange(21, 32), 1, 40).Draw(rt, "bits") {
			p, ok := ipam.FreePrefix(parent, bits, taken...)
			if !ok {
				continue
			}
			for _, other := range taken {
				if p.Overlaps(other) {
					rt.Fatalf("%s overlaps %s", p, other)
				}
			}
			if p.Bits() != bits || p != p.Masked() || !parent.Contains(p.Addr()) {
				rt.Fatalf("%s is not a /%d of %s", p, bits, parent)
			}
			taken = append(taken, p)
		}
	})
}

// Three networks are carved out of a larger one.
func ExampleFreePrefix() {
	parent := netip.MustParsePrefix("10.8.0.0/22")
	taken := []netip.Prefix{netip.MustParsePrefix("10.8.0.0/25")}
	for _, bits := range []int{26, 24, 25} {
		child, ok := ipam.FreePrefix(parent, bits, taken...)
		fmt.Println(child, ok)
		taken = append(taken, child)
	}
	// Output:
	// 10.8.0.128/26 true
	// 10.8.1.0/24 true
	// 10.8.2.0/25 true
}
