package images_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"

	"github.com/gomaas/maas/pxe/images"
)

// signer is a key of a distribution.
type signer struct{ *openpgp.Entity }

func newSigner(t testing.TB) signer {
	t.Helper()
	e, err := openpgp.NewEntity("Release key", "", "release@example.org", nil)
	ok(t, err)
	return signer{e}
}

func (s signer) keyring(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	ok(t, s.Serialize(&b))
	return b.Bytes()
}

func (s signer) clear(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := clearsign.Encode(&b, s.PrivateKey, nil)
	ok(t, err)
	_, err = w.Write(text)
	ok(t, err)
	ok(t, w.Close())
	return b.Bytes()
}

func (s signer) detached(t testing.TB, data []byte, armored bool) []byte {
	t.Helper()
	var b bytes.Buffer
	sign := openpgp.DetachSign
	if armored {
		sign = openpgp.ArmoredDetachSign
	}
	ok(t, sign(&b, s.Entity, bytes.NewReader(data), nil))
	return b.Bytes()
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sum256(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

// content is repeatable data that differs by name.
func content(name string, size int) []byte {
	seed := sha256.Sum256([]byte(name))
	out := make([]byte, 0, size+32)
	for len(out) < size {
		seed = sha256.Sum256(seed[:])
		out = append(out, seed[:]...)
	}
	return out[:size]
}

// origin is a mirror with the layout of one distribution.
type origin struct {
	*httptest.Server
	mu   sync.Mutex
	tree map[string][]byte
	hits map[string]int
	wrap func(http.Handler) http.Handler
}

func newOrigin(t testing.TB, tree map[string][]byte) *origin {
	t.Helper()
	o := &origin{tree: tree, hits: make(map[string]int)}
	o.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		o.mu.Lock()
		data, there := o.tree[name]
		o.hits[name]++
		wrap := o.wrap
		o.mu.Unlock()
		if !there {
			http.NotFound(w, r)
			return
		}
		var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"`+sum256(data)[:16]+`"`)
			http.ServeContent(w, r, "", zeroTime, bytes.NewReader(data))
		})
		if wrap != nil {
			h = wrap(h)
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *origin) set(name string, data []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tree[name] = data
}

// layout describes the mirror of one source.
type layout struct {
	source  string
	request images.Request
	mirror  string // below the server
	tree    func(t testing.TB, s signer) map[string][]byte
	files   map[string]string // name in the image: path whose content it has
}

var layouts = []layout{
	{
		source: "debian", request: images.Request{Release: "12"}, mirror: "debian",
		files: map[string]string{"kernel": "netboot/debian-installer/amd64/linux", "initrd": "netboot/debian-installer/amd64/initrd.gz"},
		tree: func(t testing.TB, s signer) map[string][]byte {
			const at, kernel, initrd = "main/installer-amd64/current/images/", "netboot/debian-installer/amd64/linux", "netboot/debian-installer/amd64/initrd.gz"
			sums := fmt.Appendf(nil, "%s  ./%s\n%s  ./%s\n", sum256(content(kernel, 5000)), kernel, sum256(content(initrd, 70_000)), initrd)
			release := fmt.Appendf(nil, "Origin: Debian\nCodename: bookworm\nMD5Sum:\n 0123456789abcdef0123456789abcdef %d %sSHA256SUMS\nSHA256:\n %s %8d %sSHA256SUMS\n", len(sums), at, sum256(sums), len(sums), at)
			d := "debian/dists/bookworm/"
			return map[string][]byte{d + "InRelease": s.clear(t, release), d + at + "SHA256SUMS": sums, d + at + kernel: content(kernel, 5000), d + at + initrd: content(initrd, 70_000)}
		},
	},
	{
		source: "ubuntu", request: images.Request{Release: "24.04"}, mirror: "ephemeral-v3/stable",
		files: map[string]string{"kernel": "noble/boot-kernel", "initrd": "noble/boot-initrd", "filesystem.squashfs": "noble/squashfs"},
		tree:  streamsTree,
	},
	{
		source: "fedora", request: images.Request{Release: "41", Arch: "arm64"}, mirror: "releases/41/Everything/aarch64/os",
		files: map[string]string{"kernel": "images/pxeboot/vmlinuz", "initrd": "images/pxeboot/initrd.img"},
		tree:  treeinfo("releases/41/Everything/aarch64/os"),
	},
	{
		source: "almalinux", request: images.Request{Release: "9"}, mirror: "9/BaseOS/x86_64/os",
		files: map[string]string{"kernel": "images/pxeboot/vmlinuz", "initrd": "images/pxeboot/initrd.img"},
		tree:  treeinfo("9/BaseOS/x86_64/os"),
	},
	{
		source: "opensuse", request: images.Request{Release: "15.6"}, mirror: "leap/15.6/repo/oss",
		files: map[string]string{"kernel": "boot/x86_64/loader/linux", "initrd": "boot/x86_64/loader/initrd"},
		tree: func(t testing.TB, s signer) map[string][]byte {
			const k, i, d = "boot/x86_64/loader/linux", "boot/x86_64/loader/initrd", "leap/15.6/repo/oss/"
			sums := fmt.Appendf(nil, "%s  %s\n%s  %s\n", sum256(content(k, 5000)), k, sum256(content(i, 5000)), i)
			return map[string][]byte{d + "CHECKSUMS": sums, d + "CHECKSUMS.asc": s.detached(t, sums, true), d + k: content(k, 5000), d + i: content(i, 5000)}
		},
	},
	{
		source: "alpine", request: images.Request{Release: "3.20.3"}, mirror: "alpine",
		files: map[string]string{"kernel": "boot/vmlinuz-lts", "initrd": "boot/initramfs-lts", "modloop": "boot/modloop-lts"},
		tree: func(t testing.TB, s signer) map[string][]byte {
			archive := tarball(t, "boot/vmlinuz-lts", "boot/initramfs-lts", "boot/modloop-lts", "boot/config-lts")
			at := "alpine/v3.20/releases/x86_64/alpine-netboot-3.20.3-x86_64.tar.gz"
			return map[string][]byte{at: archive, at + ".asc": s.detached(t, archive, true)}
		},
	},
	{
		source: "flatcar", mirror: "amd64-usr/current",
		files: map[string]string{"kernel": "flatcar_production_pxe.vmlinuz", "initrd": "flatcar_production_pxe_image.cpio.gz"},
		tree: func(t testing.TB, s signer) map[string][]byte {
			const k, i, d = "flatcar_production_pxe.vmlinuz", "flatcar_production_pxe_image.cpio.gz", "amd64-usr/current/"
			return map[string][]byte{
				d + k: content(k, 5000), d + k + ".sig": s.detached(t, content(k, 5000), false),
				d + i: content(i, 5000), d + i + ".sig": s.detached(t, content(i, 5000), false),
			}
		},
	},
	{
		source: "talos", request: images.Request{Release: "v1.8.0"}, mirror: "v1.8.0",
		files: map[string]string{"kernel": "vmlinuz-amd64", "initrd": "initramfs-amd64.xz"},
		tree: func(t testing.TB, s signer) map[string][]byte {
			const k, i = "vmlinuz-amd64", "initramfs-amd64.xz"
			sums := fmt.Appendf(nil, "%s  %s\n%s  %s\n", sum256(content(k, 5000)), k, sum256(content(i, 5000)), i)
			return map[string][]byte{"v1.8.0/sha256sum.txt": sums, "v1.8.0/" + k: content(k, 5000), "v1.8.0/" + i: content(i, 5000)}
		},
	},
}

func treeinfo(at string) func(testing.TB, signer) map[string][]byte {
	return func(t testing.TB, s signer) map[string][]byte {
		const k, i = "images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"
		info := fmt.Appendf(nil, "[checksums]\n%s = sha256:%s\n%s = sha256:%s\n\n[general]\nname = Linux\n", i, sum256(content(i, 5000)), k, sum256(content(k, 5000)))
		return map[string][]byte{path.Join(at, ".treeinfo"): info, path.Join(at, k): content(k, 5000), path.Join(at, i): content(i, 5000)}
	}
}

func streamsTree(t testing.TB, s signer) map[string][]byte {
	const products = "streams/v1/com.ubuntu.maas:stable:v3:download.sjson"
	item := func(kind string) map[string]any {
		p := "noble/" + kind
		return map[string]any{"ftype": kind, "path": p, "sha256": sum256(content(p, 5000)), "size": 5000}
	}
	items := map[string]any{"boot-kernel": item("boot-kernel"), "boot-initrd": item("boot-initrd"), "squashfs": item("squashfs")}
	product := func(subarch string, versions map[string]any) map[string]any {
		return map[string]any{"os": "ubuntu", "release": "noble", "version": "24.04 LTS", "arch": "amd64", "kflavor": "generic", "subarch": subarch, "versions": versions}
	}
	index, err := json.Marshal(map[string]any{"format": "index:1.0", "index": map[string]any{
		"a": map[string]any{"datatype": "image-downloads", "path": products}, "b": map[string]any{"datatype": "image-ids", "path": "streams/v1/none.json"},
	}})
	ok(t, err)
	download, err := json.Marshal(map[string]any{"format": "products:1.0", "products": map[string]any{
		"com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04": product("ga-24.04", map[string]any{
			"20240101": map[string]any{"items": map[string]any{"boot-kernel": item("old")}}, "20240502": map[string]any{"items": items},
			"20240601": map[string]any{"items": map[string]any{"boot-kernel": item("boot-kernel")}}, // not complete yet
		}),
		"com.ubuntu.maas.stable:v3:boot:24.04:amd64:hwe-24.04": product("hwe-24.04", map[string]any{"20240901": map[string]any{"items": items}}),
	}})
	ok(t, err)
	tree := map[string][]byte{"streams/v1/index.sjson": s.clear(t, index), products: s.clear(t, download)}
	for _, kind := range []string{"boot-kernel", "boot-initrd", "squashfs"} {
		tree["noble/"+kind] = content("noble/"+kind, 5000)
	}
	out := make(map[string][]byte)
	for name, data := range tree {
		out["ephemeral-v3/stable/"+name] = data
	}
	return out
}

func tarball(t testing.TB, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range names {
		ok(t, w.WriteHeader(&tar.Header{Name: "./" + name, Typeflag: tar.TypeReg, Size: 5000, Mode: 0o644}))
		_, err := w.Write(content(name, 5000))
		ok(t, err)
	}
	ok(t, w.Close())
	ok(t, z.Close())
	return b.Bytes()
}

func sourceNamed(t testing.TB, name string) images.Source {
	t.Helper()
	for _, s := range images.Sources() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no source %s", name)
	return images.Source{}
}

// sha512sums is a source with SHA-512 alone, which none of the distributions is.
func sha512sums(data map[string][]byte) []byte {
	var b bytes.Buffer
	for name, d := range maps.All(data) {
		fmt.Fprintf(&b, "SHA512 (%s) = %x\n", name, sha512.Sum512(d))
	}
	return b.Bytes()
}
