package iso9660

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// builder makes small images.
type builder struct {
	data   []byte
	joliet bool
	ridge  bool
}

func (b *builder) put(data []byte) (at uint32) {
	at = uint32(len(b.data) / sector)
	b.data = append(b.data, data...)
	b.data = append(b.data, make([]byte, (sector-len(data)%sector)%sector)...)
	return at
}

func (b *builder) record(name string, at, size uint32, dir, wide bool) []byte {
	raw, use := []byte(name), []byte(nil)
	switch {
	case name == "\x00" || name == "\x01":
		if b.ridge && name == "\x00" {
			use = []byte{'S', 'P', 7, 1, 0xbe, 0xef, 0}
		}
	case wide:
		raw = nil
		for _, u := range utf16.Encode([]rune(name)) {
			raw = binary.BigEndian.AppendUint16(raw, u)
		}
	default:
		if b.ridge {
			half := len(name) / 2
			for _, part := range []string{name[:half], name[half:]} {
				use = append(use, 'N', 'M', byte(5+len(part)), 1, 0)
				use = append(use, part...)
			}
		}
		raw = []byte(strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(name)) + ";1")
		if dir {
			raw = raw[:len(raw)-2]
		}
	}
	r := make([]byte, 33, 255)
	binary.LittleEndian.PutUint32(r[2:], at)
	binary.LittleEndian.PutUint32(r[10:], size)
	if dir {
		r[25] = 2
	}
	r[32] = byte(len(raw))
	r = append(r, raw...)
	if len(r)%2 == 1 {
		r = append(r, 0)
	}
	r = append(r, use...)
	if len(r)%2 == 1 {
		r = append(r, 0)
	}
	r[0] = byte(len(r))
	return r
}

// tree writes casper/vmlinuz and a long name, and returns the record of the root.
func (b *builder) tree(wide bool, file uint32, size int) []byte {
	sub := append(b.record("\x00", 0, sector, true, wide), b.record("\x01", 0, sector, true, wide)...)
	sub = append(sub, b.record("vmlinuz-6.1.0.generic", file, uint32(size), false, wide)...)
	at := b.put(sub)
	rootAt := uint32(len(b.data) / sector)
	root := append(b.record("\x00", rootAt, sector, true, wide), b.record("\x01", rootAt, sector, true, wide)...)
	root = append(root, b.record("casper", at, sector, true, wide)...)
	b.put(root)
	return b.record("\x00", rootAt, sector, true, wide)
}

func (b *builder) image(content string) []byte {
	b.data = make([]byte, 19*sector)
	file := b.put([]byte(content))
	descriptor := func(i int, kind byte, root []byte) {
		d := b.data[(16+i)*sector:]
		d[0] = kind
		copy(d[1:], "CD001")
		if root != nil {
			copy(d[156:190], root[:34])
			d[156] = 34
		}
	}
	descriptor(0, 1, b.tree(false, file, len(content)))
	next := 1
	if b.joliet {
		descriptor(1, 2, b.tree(true, file, len(content)))
		copy(b.data[17*sector+88:], "%/E")
		next = 2
	}
	descriptor(next, 255, nil)
	return b.data
}

func open(t testing.TB, data []byte, name string) (string, error) {
	t.Helper()
	im, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return "", err
	}
	r, err := im.Open(name)
	if err != nil {
		return "", err
	}
	out, err := io.ReadAll(r)
	return string(out), err
}

func TestOpen(t *testing.T) {
	for name, b := range map[string]*builder{"plain": {}, "rock ridge": {ridge: true}, "joliet": {joliet: true}, "both": {ridge: true, joliet: true}} {
		data := b.image("the kernel")
		file := "casper/vmlinuz-6.1.0.generic"
		if name == "plain" {
			file = "casper/vmlinuz_6_1_0_generic"
		}
		if got, err := open(t, data, file); err != nil || got != "the kernel" {
			t.Errorf("%s: content %q, error %v", name, got, err)
		}
		if _, err := open(t, data, "casper/none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: absent file: error %v", name, err)
		}
		for _, bad := range []string{"casper", file + "/x", "../x", "/casper", strings.Repeat("a/", 40) + "a"} {
			if _, err := open(t, data, bad); err == nil {
				t.Errorf("%s: %s was opened", name, bad)
			}
		}
		for _, n := range []int{0, 100, 16 * sector, 17 * sector, 19 * sector} {
			if _, err := open(t, data[:n], file); err == nil {
				t.Errorf("%s: an image of %d bytes was read", name, n)
			}
		}
	}
}

// Images of the tool that distributions use.
func TestImageOfAForeignTool(t *testing.T) {
	netlab.Require(t, netlab.Program("xorriso", "xorriso"))
	dir := t.TempDir()
	deep := filepath.Join(dir, "tree", "install.amd")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 200 { // a directory of several sectors
		name := filepath.Join(deep, strings.Repeat("n", 30)+string(rune('a'+i%26))+strings.Repeat("x", i/26))
		if err := os.WriteFile(name, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(deep, "vmlinuz"), []byte("kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, options := range [][]string{{"-R"}, {"-J", "-joliet-long"}, {"-R", "-J"}, {"-iso-level", "3"}} {
		iso := filepath.Join(dir, "out.iso")
		args := append([]string{"-as", "mkisofs", "-o", iso}, options...)
		if out, err := exec.CommandContext(t.Context(), "xorriso", append(args, filepath.Join(dir, "tree"))...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", options, err, out)
		}
		data, err := os.ReadFile(iso)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := open(t, data, "install.amd/vmlinuz"); err != nil || got != "kernel" {
			t.Errorf("%v: content %q, error %v", options, got, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	for _, b := range []*builder{{}, {ridge: true}, {joliet: true}, {ridge: true, joliet: true}} {
		f.Add(b.image("kernel")[16*sector:], "casper/vmlinuz_6_1_0_generic")
	}
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		whole := append(make([]byte, 16*sector), data...)
		im, err := Open(bytes.NewReader(whole), int64(len(whole)))
		if err != nil {
			return
		}
		r, err := im.Open(name)
		if err != nil {
			return
		}
		n, err := io.Copy(io.Discard, r)
		if err != nil || n != r.Size() || n > int64(len(whole)) {
			t.Errorf("%d of %d bytes read, error %v", n, r.Size(), err)
		}
	})
}
