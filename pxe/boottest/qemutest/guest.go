//go:build linux

package qemutest

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// CacheEnv names the environment variable that holds the cache directory.
const CacheEnv = "MAAS_TEST_CACHE"

// CacheDir returns the directory of downloaded kernels: $MAAS_TEST_CACHE, else gomaas-test in the
// user's cache directory.
func CacheDir() (string, error) {
	if dir := os.Getenv(CacheEnv); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("qemutest: %w; set %s", err, CacheEnv)
	}
	return filepath.Join(dir, "gomaas-test"), nil
}

// Guest is the system that test machines run.
type Guest struct {
	Kernel string // path of the kernel image
	Initrd string // path of the initrd
}

// Cmdline is the command line the guest needs; add " maas.done=URL" to have it report.
const Cmdline = "console=ttyS0 quiet panic=-1"

// Marker begins the line that the guest prints on its console when it runs and has an address: this
// word, its host name and its address.
const Marker = "GUEST-IS-UP"

// NewGuest makes the guest in a directory of the test, or skips the test when the kernel can
// neither be found in the cache nor downloaded.
func NewGuest(t testing.TB) Guest {
	t.Helper()
	cache, err := CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	g, err := BuildGuest(t.Context(), cache, t.TempDir())
	if err != nil {
		cannot(t, err)
	}
	return g
}

// cannot ends a test for the lack of something that could not be downloaded.
func cannot(t testing.TB, err error) {
	t.Helper()
	netlab.Require(t, func() error { return err })
}

// GuestFrom makes the guest, in a directory of the test, from unpacked packages of any processor:
// root holds boot/vmlinuz-VERSION, a static busybox, and the modules below lib/modules, as far
// as they are not in the kernel.
func GuestFrom(t testing.TB, root string) Guest {
	t.Helper()
	kernels, _ := filepath.Glob(filepath.Join(root, "boot", "vmlinu[xz]-*"))
	busybox, err := firstFile(filepath.Join(root, "bin", "busybox"), filepath.Join(root, "usr", "bin", "busybox"))
	if err == nil && len(kernels) == 0 {
		err = fmt.Errorf("qemutest: no kernel in %s", filepath.Join(root, "boot"))
	}
	if err != nil {
		t.Fatal(err)
	}
	store, g := t.TempDir(), Guest{Kernel: kernels[0], Initrd: filepath.Join(t.TempDir(), "initrd.gz")}
	for _, m := range modules {
		for _, lib := range []string{"lib", "usr/lib"} {
			found, _ := filepath.Glob(filepath.Join(root, lib, "modules/*/kernel/*/*", m+".ko*"))
			for _, f := range found {
				err = errors.Join(err, copyModule(t, filepath.Join(store, m+".ko"), f))
			}
		}
	}
	if err = errors.Join(err, writeInitrd(g.Initrd, busybox, store)); err != nil {
		t.Fatal(err)
	}
	return g
}

// copyModule copies a module of a kernel, which busybox loads only uncompressed.
func copyModule(t testing.TB, to, from string) error {
	t.Helper()
	if !strings.HasSuffix(from, ".xz") {
		return copyFile(to, from)
	}
	netlab.Require(t, netlab.Program("xz", "xz-utils"))
	data, err := exec.Command("xz", "-dc", from).Output()
	if err != nil {
		return fmt.Errorf("qemutest: xz -dc %s: %w", from, err)
	}
	return os.WriteFile(to, data, 0o600)
}

// firstFile reads the first of the files that exists.
func firstFile(names ...string) (data []byte, err error) {
	for _, name := range names {
		if data, err = os.ReadFile(name); err == nil {
			break
		}
	}
	return data, err
}

// kernelPackage depends on the current kernel for virtual machines.
const kernelPackage = "linux-image-cloud-amd64"

// modules are loaded by the guest in this order.
var modules = []string{"virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci",
	"failover", "net_failover", "virtio_net"}

// BuildGuest writes an initrd to dir, with a kernel from cache, which is downloaded there first
// when it is absent.
func BuildGuest(ctx context.Context, cache, dir string) (Guest, error) {
	store := filepath.Join(cache, kernelPackage)
	g := Guest{Kernel: filepath.Join(store, "vmlinuz"), Initrd: filepath.Join(dir, "initrd.gz")}
	if _, err := os.Stat(g.Kernel); err != nil {
		if err := download(ctx, store); err != nil {
			return g, fmt.Errorf("qemutest: kernel for the guest: %w", err)
		}
	}
	busybox, err := staticBusybox()
	if err != nil {
		return g, err
	}
	return g, writeInitrd(g.Initrd, busybox, store)
}

// download fetches the kernel package and keeps what the guest needs of it. The directory appears
// complete or not at all.
func download(ctx context.Context, store string) error {
	tmp, err := os.MkdirTemp("", "qemutest")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	debs, err := apt{}.download(ctx, tmp, kernelPackage)
	if err != nil {
		return err
	}
	kept := filepath.Join(tmp, "kept")
	if err := unpack(ctx, debs[0], kept); err != nil {
		return err
	}
	return install(kept, store)
}

// install copies beside the store and renames, as the temporary directory may be on another file
// system.
func install(from, store string) error {
	if err := os.MkdirAll(filepath.Dir(store), 0o755); err != nil {
		return err
	}
	stage, err := os.MkdirTemp(filepath.Dir(store), "new")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	if err := os.CopyFS(filepath.Join(stage, "x"), os.DirFS(from)); err != nil {
		return err
	}
	err = os.Rename(filepath.Join(stage, "x"), store)
	if errors.Is(err, os.ErrExist) { // another test was faster
		return nil
	}
	return err
}

// unpack takes the kernel and the modules out of a package.
func unpack(ctx context.Context, deb, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb).Output()
	if err != nil {
		return fmt.Errorf("dpkg-deb %s: %w", deb, err)
	}
	wanted := map[string]bool{}
	for _, m := range modules {
		wanted[m+".ko"] = true
	}
	for r := tar.NewReader(bytes.NewReader(out)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		base := path.Base(h.Name)
		if strings.HasPrefix(base, "vmlinuz-") {
			base = "vmlinuz"
		} else if !wanted[base] {
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, base), data, 0o644); err != nil {
			return err
		}
	}
}

// staticBusybox reads a busybox that needs no libraries.
func staticBusybox() ([]byte, error) {
	for _, p := range []string{"/bin/busybox", "/usr/bin/busybox", "/usr/lib/initramfs-tools/bin/busybox"} {
		if data, err := os.ReadFile(p); err == nil && isStatic(data) {
			return data, nil
		}
	}
	return nil, errors.New("qemutest: no static busybox in /bin; install busybox-static")
}

// isStatic reports whether the program asks for no dynamic linker.
func isStatic(program []byte) bool {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}
