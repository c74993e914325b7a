package bootiso_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe/bootiso"
	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/internal/iso9660"
)

func Example() {
	image, err := bootiso.New(bootiso.Content{
		Files: []bootiso.File{bootiso.Bytes("boot/grub/grub.cfg", []byte("halt\n"))},
		ESP:   []bootiso.File{bootiso.Bytes("EFI/BOOT/BOOTX64.EFI", []byte("MZ"))},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	head := make([]byte, 6)
	if _, err := image.ReadAt(head, 16*2048); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%q\n", head)
	// Output: "\x01CD001"
}

// content has files of all lengths around a sector, in directories of several depths.
func content() bootiso.Content {
	c := bootiso.Content{BIOS: "isolinux/isolinux.bin", ESP: []bootiso.File{
		bootiso.Bytes("EFI/BOOT/BOOTX64.EFI", bytes.Repeat([]byte("shim"), 300_000)),
		bootiso.Bytes("EFI/BOOT/GRUBX64.EFI", []byte("grub")), bootiso.Bytes("empty.txt", nil),
	}}
	for n, name := range []string{"isolinux/isolinux.bin", "a", ".disk/info", "boot/grub/x/y/z.cfg", "boot/vmlinuz", "boot/initrd-0.img"} {
		c.Files = append(c.Files, bootiso.Bytes(name, bytes.Repeat([]byte(name), 100*n*n+10)))
	}
	c.Files = append(c.Files, bootiso.Bytes("none", nil), bootiso.Bytes("whole", make([]byte, 2048)), bootiso.Bytes("more", make([]byte, 2049)))
	return c
}

func read(t *testing.T, f bootiso.File) []byte {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(f.From, 0, f.Size))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Each file is found by our reader and by xorriso, with its content.
func TestFilesAreFound(t *testing.T) {
	c := content()
	image, err := bootiso.New(c)
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := iso9660.Open(image, image.Size())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range c.Files {
		r, err := fsys.Open(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		want := read(t, f)
		if f.Name == c.BIOS { // has the table
			clear(got[8:64])
			clear(want[8:64])
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want %d", f.Name, len(got), err, f.Size)
		}
	}
	t.Run("xorriso", func(t *testing.T) {
		netlab.Require(t, netlab.Program("xorriso", "xorriso"))
		file, dir := filepath.Join(t.TempDir(), "a.iso"), t.TempDir()
		data, err := io.ReadAll(image.Reader())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "xorriso", "-osirrox", "on", "-indev", file, "-report_el_torito", "plain", "-extract", "/", dir).CombinedOutput()
		if err != nil {
			t.Fatalf("xorriso: %v\n%s", err, out)
		}
		for _, want := range []string{"El Torito boot img :   1  BIOS  y   none", "El Torito boot img :   2  UEFI  y   none"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("xorriso does not report %q:\n%s", want, out)
			}
		}
		for _, f := range c.Files {
			got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(strings.ToUpper(f.Name))))
			if err != nil {
				got, err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(strings.ToLower(f.Name))))
			}
			if err != nil || int64(len(got)) != f.Size {
				t.Errorf("xorriso finds %s with %d bytes, %v; want %d", f.Name, len(got), err, f.Size)
			}
		}
	})
}

// A read at any place and of any length gives the same bytes.
func TestReadAt(t *testing.T) {
	image, err := bootiso.New(content())
	if err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(image.Reader())
	if err != nil || int64(len(whole)) != image.Size() {
		t.Fatalf("%d bytes of %d, %v", len(whole), image.Size(), err)
	}
	for _, n := range []int{1, 511, 2048, 5000} {
		b := make([]byte, n)
		for at := int64(0); at < 150_000; at += 1021 {
			if _, err := image.ReadAt(b, at); err != nil || !bytes.Equal(b, whole[at:at+int64(n)]) {
				t.Fatalf("%d bytes at %d differ, %v", n, at, err)
			}
		}
	}
	if n, err := image.ReadAt(make([]byte, 10), image.Size()-4); n != 4 || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if _, err := image.ReadAt(make([]byte, 1), image.Size()); !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %v", err)
	}
}

// The table in ISOLINUX says where it lies, and the sum of what follows it.
func TestBootInformation(t *testing.T) {
	image, err := bootiso.New(content())
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(image.Reader())
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	entry := data[21*2048+32:]
	at := int(le.Uint32(entry[8:])) * 2048
	if entry[0] != 0x88 || le.Uint32(data[at+8:]) != 16 || int(le.Uint32(data[at+12:]))*2048 != at {
		t.Errorf("entry % x, table % x", entry[:12], data[at+8:at+24])
	}
	esp := data[21*2048+96:]
	part := data[int(le.Uint32(esp[8:]))*2048:]
	if count := int(le.Uint16(esp[6:])); string(part[54:62]) != "FAT16   " || int(le.Uint16(part[19:])) != count {
		t.Errorf("the EFI system partition has %q, %d sectors, its entry %d", part[54:62], le.Uint16(part[19:]), count)
	}
}

func TestRefusals(t *testing.T) {
	ok := []bootiso.File{bootiso.Bytes("EFI/BOOT/BOOTX64.EFI", []byte("MZ"))}
	huge := bootiso.File{Name: "x", Size: 4 << 30}
	var many []bootiso.File
	for i := range 100 {
		many = append(many, bootiso.Bytes(fmt.Sprintf("%022d", i), nil))
	}
	for want, c := range map[string]bootiso.Content{
		"no firmware would boot":    {Files: []bootiso.File{bootiso.Bytes("a", nil)}},
		"no file \"b\" for BIOS":    {BIOS: "b"},
		"want a program for BIOS":   {BIOS: "b", Files: []bootiso.File{bootiso.Bytes("b", nil)}},
		"no path below the image":   {ESP: ok, Files: []bootiso.File{bootiso.Bytes("./a", nil)}},
		"an element of a path":      {ESP: ok, Files: []bootiso.File{bootiso.Bytes("a b", nil)}},
		"two files are called A":    {ESP: ok, Files: []bootiso.File{bootiso.Bytes("a", nil), bootiso.Bytes("A", nil)}},
		"less than 4 GiB":           {ESP: ok, Files: []bootiso.File{huge}},
		"too many files":            {ESP: ok, Files: many},
		"up to 32 capitals":         {ESP: ok, Volume: "maas"},
		"up to eight letters":       {ESP: []bootiso.File{bootiso.Bytes("EFI/BOOT/GRUBLOONGARCH64.EFI", nil)}},
		"partition twice":           {ESP: append(ok, ok...)},
		"more than 31 MiB":          {ESP: []bootiso.File{{Name: "X", Size: 40 << 20}}},
		"a file and a directory":    {ESP: []bootiso.File{bootiso.Bytes("A/B", nil), bootiso.Bytes("A", nil)}},
		"bootiso: X: unexpected EO": {ESP: []bootiso.File{{Name: "X", Size: 10, From: strings.NewReader("short")}}},
	} {
		if _, err := bootiso.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	image, err := bootiso.New(bootiso.Content{ESP: ok, Files: []bootiso.File{{Name: "a", Size: 10, From: strings.NewReader("short")}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(image.Reader()); err == nil {
		t.Error("a file that shrank was read as zeros")
	}
}
