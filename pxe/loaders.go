package pxe

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// loader says where Debian and Ubuntu put a boot loader.
type loader struct {
	name  string   // as served
	pkg   string   // package that has it
	paths []string // below the root of the file system, in order of preference
}

const (
	syslinuxBIOS = "usr/lib/syslinux/modules/bios/"
	signedIPXE   = "no Debian 12 package has it; put the shim of iPXE's releases and the signed iPXE that it starts into a loaders directory"
	noPackage    = "no Debian 12 package has it; put the file into a loaders directory"
)

func loaders() []loader {
	list := []loader{
		{"shimx64.efi", "shim-signed", []string{"usr/lib/shim/shimx64.efi.signed", "usr/lib/shim/shimx64.efi.signed.latest"}},
		{"grubx64.efi", "grub-efi-amd64-signed", []string{"usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"}},
		{"mmx64.efi", "shim-helpers-amd64-signed", []string{"usr/lib/shim/mmx64.efi.signed", "usr/lib/shim/mmx64.efi"}},
		{"fbx64.efi", "shim-helpers-amd64-signed", []string{"usr/lib/shim/fbx64.efi.signed", "usr/lib/shim/fbx64.efi"}},
		{"shimaa64.efi", "shim-signed:arm64", []string{"usr/lib/shim/shimaa64.efi.signed", "usr/lib/shim/shimaa64.efi.signed.latest"}},
		{"grubaa64.efi", "grub-efi-arm64-signed", []string{"usr/lib/grub/arm64-efi-signed/grubnetaa64.efi.signed"}},
		{"mmaa64.efi", "shim-helpers-arm64-signed", []string{"usr/lib/shim/mmaa64.efi.signed", "usr/lib/shim/mmaa64.efi"}},
		{"shimia32.efi", "shim-signed:i386", []string{"usr/lib/shim/shimia32.efi.signed"}},
		{"grubia32.efi", "grub-efi-ia32-signed", []string{"usr/lib/grub/i386-efi-signed/grubnetia32.efi.signed"}},
		// For media alone: they read CD drives, and the others the network.
		{"gcdx64.efi", "grub-efi-amd64-signed", []string{"usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed"}},
		{"gcdaa64.efi", "grub-efi-arm64-signed", []string{"usr/lib/grub/arm64-efi-signed/gcdaa64.efi.signed"}},
		{"isolinux.bin", "isolinux", []string{"usr/lib/ISOLINUX/isolinux.bin"}},
		{"ipxe.iso", "ipxe", []string{"usr/lib/ipxe/ipxe.iso"}},
		{"undionly.kpxe", "ipxe", []string{"usr/lib/ipxe/undionly.kpxe"}},
		{"snponly-shimx64.efi", signedIPXE, nil},
		{"ipxe-shimx64.efi", signedIPXE, nil},
		{"snponly-shimaa64.efi", signedIPXE, nil},
		{"ipxe-shimaa64.efi", signedIPXE, nil},
		{"ipxe.efi", "ipxe", []string{"usr/lib/ipxe/ipxe.efi", "boot/ipxe.efi"}},
		{"snponly.efi", "ipxe", []string{"usr/lib/ipxe/snponly.efi"}},
		{"snponly-arm64.efi", noPackage, []string{"usr/lib/ipxe/snponly-arm64.efi", "usr/lib/ipxe/ipxe-arm64.efi"}},
		{"snponly-riscv64.efi", noPackage, []string{"usr/lib/ipxe/snponly-riscv64.efi", "usr/lib/ipxe/ipxe-riscv64.efi"}},
		{"grubriscv64.efi", "grub-efi-riscv64-unsigned:riscv64", []string{"usr/lib/grub/riscv64-efi/monolithic/grubnetriscv64.efi",
			"usr/lib/grub/riscv64-efi/grubnetriscv64.efi"}}, // Debian's since 13, or made by grub-mkimage
		{"snponly-loong64.efi", noPackage, []string{"usr/lib/ipxe/snponly-loong64.efi", "usr/lib/ipxe/ipxe-loong64.efi"}},
		{"grubloongarch64.efi", noPackage, []string{"usr/lib/grub/loongarch64-efi/monolithic/grubnetloongarch64.efi",
			"usr/lib/grub/loongarch64-efi/grubnetloongarch64.efi"}},
		{"pxelinux.0", "pxelinux", []string{"usr/lib/PXELINUX/pxelinux.0"}},
		{"lpxelinux.0", "pxelinux", []string{"usr/lib/PXELINUX/lpxelinux.0"}},
	}
	list = append(list, loader{"memdisk", "syslinux-common", []string{"usr/lib/syslinux/memdisk"}})
	for _, m := range []string{"ldlinux", "libcom32", "libutil", "chain", "poweroff", "reboot"} {
		list = append(list, loader{m + ".c32", "syslinux-common", []string{syslinuxBIOS + m + ".c32"}})
	}
	return list
}

// LoaderNames lists the names that Loaders can serve, sorted.
func LoaderNames() []string {
	var names []string
	for _, l := range loaders() {
		names = append(names, l.name)
	}
	slices.Sort(names)
	return names
}

// DebianLoaders serves the boot loaders of the packages installed on this machine. Opening one that
// is missing fails with the path and the package to install; the error wraps fs.ErrNotExist.
func DebianLoaders() fs.FS { return Loaders("/") }

// Loaders serves boot loaders from dir, which holds them by the names of LoaderNames, by the names
// they have in their packages, or in an unpacked package tree (dpkg -x). Other files of dir are
// served by their own names.
func Loaders(dir string) fs.FS { return loaderFS{dir} }

type loaderFS struct{ dir string }

// Open opens a loader by its name, in any case.
func (l loaderFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	for _, known := range loaders() {
		if strings.EqualFold(known.name, name) {
			return l.open(known)
		}
	}
	if l.dir == "/" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	// os.Root keeps links from leading out of the directory.
	return os.OpenInRoot(l.dir, filepath.FromSlash(name))
}

func (l loaderFS) open(known loader) (fs.File, error) {
	var candidates []string
	if l.dir != "/" {
		candidates = append(candidates, known.name)
		for _, p := range known.paths {
			candidates = append(candidates, path.Base(p))
		}
	}
	candidates = append(candidates, known.paths...)
	for _, c := range candidates {
		f, err := os.Open(filepath.Join(l.dir, filepath.FromSlash(c)))
		if err == nil {
			return f, nil
		}
		if !os.IsNotExist(err) {
			return nil, fmt.Errorf("pxe: loader %s: %w", known.name, err)
		}
	}
	return nil, &missingLoaderError{known, filepath.Join(l.dir, append(known.paths, known.name)[0])}
}

// missingLoaderError names the cure.
type missingLoaderError struct {
	loader
	at string
}

// Error names what is missing, where it was looked for and the package.
func (e *missingLoaderError) Error() string {
	cure := "install " + e.pkg
	if e.pkg == noPackage || e.pkg == signedIPXE {
		cure = e.pkg
	}
	return fmt.Sprintf("pxe: loader %s: not found at %s; %s", e.name, e.at, cure)
}

// Unwrap makes it fs.ErrNotExist.
func (e *missingLoaderError) Unwrap() error { return fs.ErrNotExist }
