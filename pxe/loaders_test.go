package pxe_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
)

func TestLoaders(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("undionly.kpxe", "by name")
	write("grubnetx64.efi.signed", "by the name in its package")
	write("usr/lib/shim/shimx64.efi.signed", "in a package tree")
	write("own/thing.efi", "own")
	fsys := pxe.Loaders(dir)
	for name, want := range map[string]string{
		"undionly.kpxe": "by name",
		"grubx64.efi":   "by the name in its package",
		"shimx64.efi":   "in a package tree",
		"SHIMX64.EFI":   "in a package tree",
		"own/thing.efi": "own",
	} {
		if got, err := fs.ReadFile(fsys, name); string(got) != want || err != nil {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	_, err := fsys.Open("pxelinux.0")
	want := "pxe: loader pxelinux.0: not found at " + filepath.Join(dir, "usr/lib/PXELINUX/pxelinux.0") + "; install pxelinux"
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"../x", "link", "/etc/passwd", "none"} {
		if f, err := fsys.Open(bad); err == nil {
			f.Close()
			t.Errorf("%s was opened", bad)
		}
	}
	if _, err := pxe.DebianLoaders().Open("etc/passwd"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the whole file system is served: %v", err)
	}
}

func TestEveryMethodHasItsLoader(t *testing.T) {
	names := strings.Join(pxe.LoaderNames(), " ")
	for _, m := range append(firmware.Methods(), firmware.Alternatives()...) {
		if m.Loader != "" && !strings.Contains(names, m.Loader) {
			t.Errorf("%s: loader %s is not in the table", m.Name, m.Loader)
		}
	}
	if _, ok := firmware.MethodNamed("none"); ok {
		t.Error("an unknown method was found")
	}
}

func TestFileMap(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := pxe.FileMap{"vmlinuz": name}
	if got, err := fs.ReadFile(m, "vmlinuz"); string(got) != "text" || err != nil || m.Check() != nil {
		t.Errorf("%q, %v, %v", got, err, m.Check())
	}
	if _, err := m.Open("other"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	m["gone"] = name + "x"
	if err := m.Check(); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
