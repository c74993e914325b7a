package loaders

import (
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
)

// Choose returns the path of the loader for a machine that boots by a method: what its firmware
// trusts, as far as that is known. refused holds the paths of chains that the machine fetched, and
// then nothing.
//
// What was refused comes last, and what no authority of want.Trust signed before it. Of the others,
// the loader that started before goes first, unless the profile asks for another language; then the
// language of the method, and the method's own loader. Without a chain for the processor the loader
// of the method is returned, also if it is missing, since its absence is reported with the package
// that has it; so is a loader that an embedder put into a method of its own.
func Choose(chains []Chain, m firmware.Method, arch firmware.Arch, want pxe.LoaderChoice, refused []string) string {
	candidates := slices.DeleteFunc(slices.Clone(chains), func(c Chain) bool {
		// Signed GRUBs know no HTTP, by which their kernels would have to be fetched.
		return !c.Usable(arch) || m.Proto == firmware.HTTP && c.Language != m.Config
	})
	if len(candidates) == 0 || !tabled()[m.Loader] {
		return m.Loader
	}
	slices.SortStableFunc(candidates, func(a, b Chain) int {
		for _, better := range []func(Chain) bool{
			func(c Chain) bool { return !slices.Contains(refused, c.Path) },
			func(c Chain) bool { return len(want.Trust) == 0 || c.SignedBy(want.Trust) },
			func(c Chain) bool { return want.Loader == "" || c.Language == m.Config },
			func(c Chain) bool { return c.Path == want.Started },
			func(c Chain) bool { return c.Language == m.Config },
			func(c Chain) bool { return c.Path == m.Loader },
			func(c Chain) bool { return path.Base(c.Path) == m.Loader },
		} {
			if x, y := better(a), better(b); x != y {
				if x {
					return -1
				}
				return 1
			}
		}
		return strings.Compare(a.Path, b.Path)
	})
	return candidates[0].Path
}

// tabled returns the loaders that the tables of package firmware name.
var tabled = sync.OnceValue(func() map[string]bool {
	known := make(map[string]bool)
	for _, m := range append(firmware.Methods(), firmware.Alternatives()...) {
		known[m.Loader] = true
	}
	return known
})
