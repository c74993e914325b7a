package images

import (
	"encoding/json"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

func FuzzChecksums(f *testing.F) {
	sum := strings.Repeat("0f", 32)
	for _, text := range []string{
		sum + "  ./netboot/linux\n", sum + " *vmlinuz\n", "SHA256 (a b.iso) = " + sum + "\n", " " + sum + "    78509 main/x/SHA256SUMS\n",
		"[checksums]\nimages/pxeboot/vmlinuz = sha256:" + sum + "\n", strings.Repeat("ab", 64) + "  f\n" + sum + "  ../../etc/passwd\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, c := range parseChecksums(data) {
			if !c.known() || path.Clean(name) != name || path.IsAbs(name) || strings.HasPrefix(name, "../") {
				t.Errorf("%q has the sums %x %x", name, c.sha256, c.sha512)
			}
		}
	})
}

func TestChecksumsThatContradict(t *testing.T) {
	a, b := strings.Repeat("0a", 32), strings.Repeat("0b", 32)
	got := parseChecksums([]byte(a + "  one\n" + b + "  ./one\n" + a + "  two\n" + a + "  two\n"))
	if len(got) != 1 || got["two"].sha256 == nil {
		t.Errorf("got %v", got)
	}
}

func FuzzStreams(f *testing.F) {
	f.Add([]byte(`{"index":{"a":{"datatype":"image-downloads","path":"streams/v1/a.json"}}}`))
	f.Add([]byte(`{"products":{"p":{"arch":"amd64","release":"noble","version":"24.04 LTS","versions":{"1":{"items":{"k":{"ftype":"boot-kernel","path":"a/b","sha256":"00","size":1}}}}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		paths, _ := productPaths(data)
		items, _, _ := streamFiles(data, "noble", "amd64", nil, map[string]string{"kernel": "boot-kernel"})
		for _, i := range items {
			paths = append(paths, i.Path)
		}
		if slices.ContainsFunc(paths, func(p string) bool { return !inside(p) }) {
			t.Errorf("paths %q", paths)
		}
	})
}

// An index that is accepted is the same after it was written and read again, and each piece of its
// files lies in the file.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`[{"name":"debian/12","files":[{"name":"kernel","size":5,"sha256":"` + strings.Repeat("0a", 32) + `","piece":4,"pieces":["` + strings.Repeat("0a", 32) + `","` + strings.Repeat("0b", 32) + `"]}]}]`))
	f.Add([]byte(`[{"name":".","files":[]}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var all []Image
		if json.Unmarshal(data, &all) != nil {
			return
		}
		x, err := NewIndex(all)
		if err != nil {
			return
		}
		for name, e := range x.files {
			var sum int64
			for i := range e.file.Pieces {
				at, size := e.file.Extent(i)
				if sum += size; at < 0 || size < 1 || at+size > e.file.Size {
					t.Errorf("%s: piece %d has %d bytes at %d", name, i, size, at)
				}
			}
			if sum != e.file.Size {
				t.Errorf("%s: pieces have %d bytes of %d", name, sum, e.file.Size)
			}
		}
		out, err := json.Marshal(x.Images())
		if err != nil {
			t.Fatal(err)
		}
		var again []Image
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatal(err)
		}
		y, err := NewIndex(again)
		if err != nil || !slices.Equal(slices.Sorted(maps.Keys(x.files)), slices.Sorted(maps.Keys(y.files))) {
			t.Errorf("second reading: %v", err)
		}
	})
}

func FuzzClearsigned(f *testing.F) {
	f.Add([]byte("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\ntext\n-----BEGIN PGP SIGNATURE-----\n\niQ==\n=abcd\n-----END PGP SIGNATURE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, signer, err := new(keyring).clearsigned(data); err == nil {
			t.Errorf("no key, and signed by %s", signer)
		}
		if _, err := new(keyring).detached(func() io.Reader { return strings.NewReader("text") }, data); err == nil {
			t.Error("no key, and a good signature")
		}
	})
}
