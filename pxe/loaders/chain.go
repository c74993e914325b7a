package loaders

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/gomaas/maas/pxe/firmware"
)

// Chain is a loader that firmware can be handed, with the loader that it starts.
type Chain struct {
	Path     string            // of the first loader, such as "2023/shimx64.efi"
	Language firmware.Language // of the configuration that the last loader reads
	Program  Program
	// Next is the path of the loader that a shim starts; empty for other loaders. NextProgram is
	// zero if the file is missing.
	Next        string
	NextProgram Program
	// Err reports why the chain cannot be used: a loader is missing, is no program, or shim does
	// not start the next one.
	Err error
}

// first are the names of loaders that firmware starts, and what these start themselves. Shim of
// iPXE replaces "-shimx64" in its own name; firmware that does not show it that name has it load
// ipxe.efi.
var first = []struct {
	name     string
	language firmware.Language
	next     string
}{
	{"shimx64.efi", firmware.GRUB, "grubx64.efi"},
	{"shimaa64.efi", firmware.GRUB, "grubaa64.efi"},
	{"shimia32.efi", firmware.GRUB, "grubia32.efi"},
	{"grubriscv64.efi", firmware.GRUB, ""},
	{"grubloongarch64.efi", firmware.GRUB, ""},
	{"snponly-shimx64.efi", firmware.IPXE, "snponly.efi"},
	{"ipxe-shimx64.efi", firmware.IPXE, "ipxe.efi"},
	{"snponly-shimaa64.efi", firmware.IPXE, "snponly.efi"},
	{"ipxe-shimaa64.efi", firmware.IPXE, "ipxe.efi"},
	{"snponly.efi", firmware.IPXE, ""},
	{"ipxe.efi", firmware.IPXE, ""},
	{"snponly-arm64.efi", firmware.IPXE, ""},
	{"snponly-riscv64.efi", firmware.IPXE, ""},
	{"snponly-loong64.efi", firmware.IPXE, ""},
}

// maxLoader bounds what is read of a loader: the largest GRUB has some megabytes.
const maxLoader = 64 << 20

// Chains lists the chains of a file system of loaders: those at its top, and those in each of its
// directories. Chains that cannot be used have an error; what is absent is left out.
func Chains(from fs.FS) (all []Chain) {
	read := cached(from)
	for _, dir := range directories(from) {
		for _, f := range first {
			if c, ok := newChain(read, path.Join(dir, f.name), f.language, path.Join(dir, f.next), f.next != ""); ok {
				all = append(all, c)
			}
		}
	}
	return all
}

// directories returns the directories that may hold chains.
func directories(from fs.FS) []string {
	dirs := []string{"."}
	entries, _ := fs.ReadDir(from, ".") // packages' loaders have no directories
	for _, e := range entries {
		if e.IsDir() {
			dirs = append(dirs, e.Name())
		}
	}
	return dirs
}

// Mark returns a text that changes when a file that Chains reads does.
func Mark(from fs.FS) string {
	var b strings.Builder
	for _, dir := range directories(from) {
		for _, f := range first {
			for _, name := range []string{f.name, f.next} {
				if name = path.Join(dir, name); name == dir {
					continue
				}
				if info, err := fs.Stat(from, name); err == nil {
					fmt.Fprintln(&b, name, info.Size(), info.ModTime().UnixNano())
				}
			}
		}
	}
	return b.String()
}

// reader reads and parses a loader.
type reader func(name string) (Program, error)

// cached returns a reader that reads each file once.
func cached(from fs.FS) reader {
	type result struct {
		program Program
		err     error
	}
	known := map[string]result{}
	return func(name string) (Program, error) {
		r, ok := known[name]
		if !ok {
			r.program, r.err = Read(from, name)
			known[name] = r
		}
		return r.program, r.err
	}
}

// Read parses a loader of a file system. The error names it.
func Read(from fs.FS, name string) (Program, error) {
	f, err := from.Open(name)
	if err != nil {
		return Program{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLoader))
	if err != nil {
		return Program{}, fmt.Errorf("loaders: %s: %w", name, err)
	}
	p, err := Parse(data)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return p, err
}

func newChain(read reader, name string, language firmware.Language, next string, shim bool) (c Chain, ok bool) {
	c = Chain{Path: name, Language: language}
	if c.Program, c.Err = read(name); errors.Is(c.Err, fs.ErrNotExist) {
		return Chain{}, false
	}
	if shim {
		c.Next = next
	}
	if !shim || c.Err != nil {
		return c, true
	}
	p, err := read(next)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.Err = fmt.Errorf("%s starts %s, which is missing; put it beside the shim", name, next)
	case err != nil:
		c.Err = err
	case p.Arch != c.Program.Arch:
		c.Err = fmt.Errorf("%s is for %s and starts %s, which is for %s; put loaders of each processor into a directory of their own", name, c.Program.Arch, next, p.Arch)
	case len(c.Program.Vendor) > 0 && !c.Program.Trusts(p):
		c.Err = fmt.Errorf("%s starts what %s signed, and %s is signed by %s; take both from one distribution", name, strings.Join(c.Program.Vendor, ", "), next, signers(p))
	}
	c.NextProgram = p
	return c, true
}

// signers lists who signed a program, for errors.
func signers(p Program) string {
	var names []string
	for _, s := range p.Signatures {
		names = append(names, s.Issuer)
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

// Usable reports whether firmware of an architecture can be handed the chain. BIOS runs no UEFI
// program, whatever processor it is of.
func (c Chain) Usable(arch firmware.Arch) bool {
	return c.Err == nil && arch.UEFI() && c.Program.Arch == arch.String()
}

// SignedBy reports whether one of some authorities signed the first loader. They are named as CAs
// are printed, or by their common names.
func (c Chain) SignedBy(authorities []string) bool {
	return slices.ContainsFunc(c.Program.Signatures, func(s Signature) bool {
		return slices.Contains(authorities, string(s.CA())) || slices.Contains(authorities, s.Issuer)
	})
}
