package doctor

import (
	"bytes"
	"debug/pe"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/gomaas/maas/pxe"
)

// secure are the loaders that firmware with Secure Boot checks, or that shim does.
var secure = []string{"shimx64.efi", "grubx64.efi", "shimaa64.efi", "grubaa64.efi", "shimia32.efi", "grubia32.efi"}

// lookAtLoaders reads every loader that firmware may ask for. Modules of PXELINUX are no loaders of
// their own.
func lookAtLoaders(from fs.FS) (out []Loader) {
	if from == nil {
		from = pxe.DebianLoaders()
	}
	for _, name := range pxe.LoaderNames() {
		if strings.HasSuffix(name, ".c32") {
			continue
		}
		l := Loader{Name: name, Secure: slices.Contains(secure, name)}
		var data []byte
		if data, l.Err = readLoader(from, name); l.Err == nil && l.Secure {
			l.Signed = signed(data)
		}
		out = append(out, l)
	}
	return out
}

// maxLoader bounds what is read: the largest GRUB has some megabytes.
const maxLoader = 64 << 20

// readLoader reads a loader, at most maxLoader bytes.
func readLoader(from fs.FS, name string) ([]byte, error) {
	f, err := from.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxLoader))
}

// certificates is the entry of a program's table that leads to its signatures (PE format, attribute
// certificate table).
const certificates = 4

// signed reports whether a UEFI program has a signature. Whose, is the firmware's to judge.
func signed(program []byte) bool {
	f, err := pe.NewFile(bytes.NewReader(program))
	if err != nil {
		return false
	}
	defer f.Close()
	switch h := f.OptionalHeader.(type) {
	case *pe.OptionalHeader64:
		return h.NumberOfRvaAndSizes > certificates && h.DataDirectory[certificates].Size > 0
	case *pe.OptionalHeader32:
		return h.NumberOfRvaAndSizes > certificates && h.DataDirectory[certificates].Size > 0
	}
	return false
}
