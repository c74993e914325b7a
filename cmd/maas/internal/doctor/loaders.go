package doctor

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/loaders"
)

// lookAtLoaders reads every loader that firmware may ask for, and those in directories of the
// loaders. Modules of PXELINUX are no loaders of their own.
func lookAtLoaders(from fs.FS) (out []Loader) {
	if from == nil {
		from = pxe.DebianLoaders()
	}
	chains := map[string]loaders.Chain{}
	for _, c := range loaders.Chains(from) {
		chains[c.Path] = c
		if strings.Contains(c.Path, "/") {
			out = append(out, newLoader(c))
		}
	}
	for _, name := range pxe.LoaderNames() {
		if strings.HasSuffix(name, ".c32") {
			continue
		}
		if c, ok := chains[name]; ok {
			out = append(out, newLoader(c))
			continue
		}
		l := Loader{Name: name}
		if !strings.HasSuffix(name, ".efi") {
			_, l.Err = fs.Stat(from, name)
		} else if p, err := loaders.Read(from, name); err != nil {
			l.fail(err)
		} else {
			l.Signed = len(p.Signatures) > 0
			l.Secure = strings.HasPrefix(name, "grub") // shim starts no other
		}
		out = append(out, l)
	}
	return out
}

// newLoader describes the first loader of a chain. Shims exist for Secure Boot only.
func newLoader(c loaders.Chain) Loader {
	l := Loader{Name: c.Path, Secure: c.Next != "", Signed: len(c.Program.Signatures) > 0}
	for _, ca := range c.Program.CAs() {
		l.CAs = append(l.CAs, string(ca))
	}
	if c.Err != nil {
		l.fail(c.Err)
	}
	return l
}

// fail separates a loader that is absent from one that is no use.
func (l *Loader) fail(err error) {
	if errors.Is(err, fs.ErrNotExist) {
		l.Err = err
		return
	}
	l.Damage = err
}
