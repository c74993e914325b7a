package images_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gomaas/maas/pxe/images"
)

var zeroTime time.Time

func newFetcher(t testing.TB, o *origin, s signer) *images.Fetcher {
	t.Helper()
	store, err := images.OpenStore(t.TempDir())
	ok(t, err)
	return &images.Fetcher{
		Store: store, Client: o.Client(), Pause: time.Millisecond,
		Keys: func(string) ([]byte, error) { return s.keyring(t), nil },
	}
}

func (l layout) fetch(t testing.TB, f *images.Fetcher, o *origin) (images.Image, error) {
	t.Helper()
	q := l.request
	q.Mirror = o.URL + "/" + l.mirror
	return f.Fetch(t.Context(), sourceNamed(t, l.source), q)
}

// read returns a file of an image from its store.
func read(t testing.TB, s *images.Store, f images.File) []byte {
	t.Helper()
	r, err := s.Open(f.SHA256)
	ok(t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	ok(t, err)
	return data
}

func TestFetchOfEachSource(t *testing.T) {
	s := newSigner(t)
	for _, l := range layouts {
		t.Run(l.source, func(t *testing.T) {
			o := newOrigin(t, l.tree(t, s))
			f := newFetcher(t, o, s)
			var last images.Progress
			f.Progress = func(p images.Progress) { last = p }
			m, err := l.fetch(t, f, o)
			ok(t, err)
			m.Name = l.source + "/test"
			ok(t, m.Check())
			if len(m.Files) != len(l.files) || last.Done == 0 || last.Done != last.Total {
				t.Errorf("%d files, want %d; last progress %+v", len(m.Files), len(l.files), last)
			}
			for _, file := range m.Files {
				data := read(t, f.Store, file)
				if !bytes.Equal(data, content(l.files[file.Name], len(data))) || len(data) < 5000 || !file.Verify(0, data) {
					t.Errorf("%s has other content than %s", file.Name, l.files[file.Name])
				}
			}
			if signed := strings.Contains(m.Verified, "Release key"); signed != !slices.Contains([]string{"fedora", "almalinux", "talos"}, l.source) {
				t.Errorf("verified by %q", m.Verified)
			}
		})
	}
}

// Whatever file of a mirror is changed, cut off, longer or gone: the fetch fails and stores nothing
// of it under a name.
func TestNothingFromAMirrorIsBelieved(t *testing.T) {
	s := newSigner(t)
	for _, l := range layouts {
		for _, name := range slices.Sorted(maps.Keys(l.tree(t, s))) {
			if strings.HasSuffix(name, ".treeinfo") || strings.HasSuffix(name, "sha256sum.txt") {
				continue // TLS protects them
			}
			for what, spoil := range map[string]func([]byte) []byte{
				"one byte": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
				"cut off":  func(b []byte) []byte { return b[:len(b)/3] },
				"empty":    func(b []byte) []byte { return nil },
			} {
				t.Run(l.source+"/"+filepath.Base(name)+"/"+what, func(t *testing.T) {
					tree := l.tree(t, s)
					tree[name] = spoil(bytes.Clone(tree[name]))
					o := newOrigin(t, tree)
					f := newFetcher(t, o, s)
					f.Attempts = 1
					_, err := l.fetch(t, f, o)
					bad := (*images.VerifyError)(nil)
					if err == nil {
						t.Fatal("no error")
					}
					if what == "one byte" && !strings.HasSuffix(name, ".sig") && !strings.HasSuffix(name, ".asc") && (!errors.As(err, &bad) || bad.File != o.URL+"/"+name) {
						t.Errorf("error %v, want a VerifyError of %s", err, name)
					}
				})
			}
		}
	}
}

func TestAnotherKeyIsNoSignature(t *testing.T) {
	s, other := newSigner(t), newSigner(t)
	for _, l := range layouts {
		o := newOrigin(t, l.tree(t, other))
		_, err := l.fetch(t, newFetcher(t, o, s), o)
		if bad := (*images.VerifyError)(nil); !errors.As(err, &bad) && !slices.Contains([]string{"fedora", "almalinux", "talos"}, l.source) {
			t.Errorf("%s: error %v", l.source, err)
		}
	}
}

// What follows or precedes the signed text of a document does not count.
func TestTextOutsideOfTheSignatureDoesNotCount(t *testing.T) {
	s, l := newSigner(t), layouts[0]
	const name, victim = "debian/dists/bookworm/InRelease", "debian/dists/bookworm/main/installer-amd64/current/images/SHA256SUMS"
	for _, where := range []string{"before", "after"} {
		tree := l.tree(t, s)
		forged := append(bytes.Clone(tree[victim]), "# forged\n"...)
		line := []byte("SHA256:\n " + sum256(forged) + " " + "78509 main/installer-amd64/current/images/SHA256SUMS\n")
		tree[victim] = forged
		if where == "before" {
			tree[name] = append(line, tree[name]...)
		} else {
			tree[name] = append(tree[name], line...)
		}
		o := newOrigin(t, tree)
		if _, err := l.fetch(t, newFetcher(t, o, s), o); err == nil {
			t.Errorf("forged line %s the signed text was believed", where)
		}
	}
}

func TestUnsignedSourceNeedsEncryption(t *testing.T) {
	store, err := images.OpenStore(t.TempDir())
	ok(t, err)
	f := &images.Fetcher{Store: store}
	_, err = f.Fetch(t.Context(), sourceNamed(t, "fedora"), images.Request{Release: "41", Mirror: "http://mirror.example/fedora"})
	if err == nil || !strings.Contains(err.Error(), "use a mirror with https") {
		t.Errorf("error %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	store, err := images.OpenStore(t.TempDir())
	ok(t, err)
	f := &images.Fetcher{Store: store, Keys: func(string) ([]byte, error) { return nil, fs.ErrNotExist }}
	debian := sourceNamed(t, "debian")
	for name, q := range map[string]images.Request{
		"no keys": {Release: "12"}, "path in release": {Release: "../12"}, "path in arch": {Release: "12", Arch: "a/b"},
		"no URL": {Release: "12", Mirror: "mirror"}, "file URL": {Release: "12", Mirror: "file:///etc"},
	} {
		if _, err := f.Fetch(t.Context(), debian, q); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := f.Fetch(t.Context(), sourceNamed(t, "fedora"), images.Request{}); err == nil || !strings.Contains(err.Error(), "no release named") {
		t.Errorf("no release: error %v", err)
	}
}

// A mirror that sends the signed documents of another release under the names of this one is found
// out.
func TestAnotherReleaseIsRefused(t *testing.T) {
	s, l := newSigner(t), layouts[0]
	o := newOrigin(t, l.tree(t, s))
	for name, data := range l.tree(t, s) {
		o.set(strings.ReplaceAll(name, "bookworm", "trixie"), data)
	}
	_, err := newFetcher(t, o, s).Fetch(t.Context(), sourceNamed(t, "debian"), images.Request{Release: "13", Mirror: o.URL + "/debian"})
	if bad := (*images.VerifyError)(nil); !errors.As(err, &bad) || !strings.Contains(err.Error(), "Codename: trixie") {
		t.Errorf("error %v", err)
	}
}

// A mirror with TLS that leads to one without is not followed where TLS is all that protects.
func TestRedirectsStayEncrypted(t *testing.T) {
	s := newSigner(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for _, l := range layouts {
		if !slices.Contains([]string{"fedora", "almalinux", "talos"}, l.source) {
			continue
		}
		o := newOrigin(t, l.tree(t, s))
		o.wrap = func(http.Handler) http.Handler { return http.RedirectHandler(plain.URL, http.StatusFound) }
		if _, err := l.fetch(t, newFetcher(t, o, s), o); err == nil || !strings.Contains(err.Error(), "not encrypted") {
			t.Errorf("%s: error %v", l.source, err)
		}
	}
}

// A mirror that ends each connection early is asked for the rest, and for the version that the
// beginning is of.
func TestDownloadsGoOnWhereTheyEnded(t *testing.T) {
	s, l := newSigner(t), layouts[0]
	o := newOrigin(t, l.tree(t, s))
	const cut = 20_000
	var ranges []string
	o.wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if v := r.Header.Get("Range"); v != "" {
				if r.Header.Get("If-Range") == "" {
					t.Error("a range without If-Range")
				}
				ranges = append(ranges, v)
			}
			next.ServeHTTP(&cutWriter{ResponseWriter: w, left: cut}, r)
		})
	}
	f := newFetcher(t, o, s)
	f.Attempts = 1
	m, err := l.fetch(t, f, o)
	if err != nil || len(ranges) != 3 || ranges[0] != "bytes=20000-" {
		t.Fatalf("error %v, ranges %v", err, ranges)
	}
	if data := read(t, f.Store, m.Files[0]); !bytes.Equal(data, content(l.files["initrd"], 70_000)) {
		t.Error("content differs")
	}
}

// cutWriter ends the connection after some bytes.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b[:min(len(b), c.left)])
	if c.left -= n; c.left == 0 && n < len(b) {
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// A file that changes between two attempts is begun anew, by If-Range or at the latest by its
// checksum.
func TestAFileThatChangesIsBegunAnew(t *testing.T) {
	s, l := newSigner(t), layouts[6] // by signature: its remains do not depend on a checksum
	const name, size = "amd64-usr/current/flatcar_production_pxe_image.cpio.gz", 60_000
	tree := l.tree(t, s)
	tree[name] = content("old", size)
	o := newOrigin(t, tree)
	f := newFetcher(t, o, s)
	f.Attempts = 1
	o.wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&cutWriter{ResponseWriter: w, left: 20_000}, r)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	f.Progress = func(p images.Progress) {
		if p.Done >= 20_000 {
			cancel() // as if the process ended here
		}
	}
	q := images.Request{Mirror: o.URL + "/" + l.mirror}
	if _, err := f.Fetch(ctx, sourceNamed(t, l.source), q); err == nil {
		t.Fatal("no error")
	}
	o.wrap, f.Progress = nil, nil
	o.set(name, content("new", size))
	o.set(name+".sig", s.detached(t, content("new", size), false))
	m, err := l.fetch(t, f, o)
	ok(t, err)
	for _, file := range m.Files {
		if file.Name == "initrd" && !bytes.Equal(read(t, f.Store, file), content("new", size)) {
			t.Error("content of two versions")
		}
	}
}

// An image that has not changed costs its documents.
func TestWhatIsStoredIsNotFetchedAgain(t *testing.T) {
	s, l := newSigner(t), layouts[0]
	o := newOrigin(t, l.tree(t, s))
	f := newFetcher(t, o, s)
	first, err := l.fetch(t, f, o)
	ok(t, err)
	second, err := l.fetch(t, f, o)
	ok(t, err)
	for name, n := range o.hits {
		if strings.HasSuffix(name, "linux") && n != 1 {
			t.Errorf("%s fetched %d times", name, n)
		}
	}
	if first.Files[0].SHA256 != second.Files[0].SHA256 {
		t.Error("other files")
	}
}

func TestProxyIsUsed(t *testing.T) {
	s, l := newSigner(t), layouts[0]
	asked := 0
	tree := l.tree(t, s)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host != "mirror.invalid" {
			t.Errorf("proxy asked for %s", r.URL)
		}
		asked++
		w.Write(tree[strings.TrimPrefix(r.URL.Path, "/")])
	}))
	defer proxy.Close()
	at, err := url.Parse(proxy.URL)
	ok(t, err)
	store, err := images.OpenStore(t.TempDir())
	ok(t, err)
	f := &images.Fetcher{Store: store, Client: &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(at)}}, Keys: func(string) ([]byte, error) { return s.keyring(t), nil }}
	if _, err := f.Fetch(t.Context(), sourceNamed(t, "debian"), images.Request{Release: "12", Mirror: "http://mirror.invalid/debian"}); err != nil || asked != 4 {
		t.Errorf("error %v, %d requests", err, asked)
	}
}

func TestSHA512Alone(t *testing.T) {
	files := map[string][]byte{"kernel": content("k", 100), "initrd": content("i", 100)}
	tree := maps.Clone(files)
	tree["SHA512SUMS"] = sha512sums(files)
	o := newOrigin(t, tree)
	f := newFetcher(t, o, newSigner(t))
	src := images.Source{Name: "own", Base: o.URL, Documents: []images.Document{{Path: "SHA512SUMS"}}, Files: map[string]string{"kernel": "kernel", "initrd": "initrd"}}
	_, err := f.Fetch(t.Context(), src, images.Request{})
	ok(t, err)
	o.set("initrd", content("x", 100))
	if _, err := f.Fetch(t.Context(), src, images.Request{}); err == nil || !strings.Contains(err.Error(), "initrd") {
		t.Errorf("error %v", err)
	}
}

func TestDirectory(t *testing.T) {
	store, err := images.OpenStore(t.TempDir())
	ok(t, err)
	f := &images.Fetcher{Store: store}
	m, skipped, err := f.Directory(t.Context(), fstest.MapFS{
		"tools/memtest.bin": {Data: []byte("memtest")}, "with space": {Data: []byte("x")}, "big": {Data: make([]byte, images.PieceSize+1)},
	})
	ok(t, err)
	m.Name = "."
	x, err := images.NewIndex([]images.Image{m})
	ok(t, err)
	if data, err := fs.ReadFile(store.FS(x), "tools/memtest.bin"); err != nil || string(data) != "memtest" || len(skipped) != 1 {
		t.Errorf("content %q, error %v, skipped %q", data, err, skipped)
	}
	if big, _ := x.File("big"); len(big.Pieces) != 2 {
		t.Errorf("%d pieces", len(big.Pieces))
	}
}

func TestGC(t *testing.T) {
	dir := t.TempDir()
	store, err := images.OpenStore(dir)
	ok(t, err)
	kept, err := store.Write(t.Context(), "kept", strings.NewReader("kept"))
	ok(t, err)
	_, err = store.Write(t.Context(), "gone", strings.NewReader("gone!"))
	ok(t, err)
	m := images.Image{Name: "a", Files: []images.File{kept}}
	if freed, err := store.GC([]images.Image{m}, time.Hour); freed != 0 || err != nil {
		t.Errorf("young content: freed %d, error %v", freed, err)
	}
	if freed, err := store.GC([]images.Image{m}, 0); freed != 5 || err != nil || !store.Has(m) {
		t.Errorf("freed %d, error %v", freed, err)
	}
	ok(t, os.WriteFile(filepath.Join(dir, "sha256", kept.SHA256.String()), []byte("kepd"), 0o644))
	if _, err := store.Piece(kept, 0); err == nil {
		t.Error("a changed piece was read")
	}
}

// The archive lists of this host are real documents with real signatures.
func TestRealDebianSignature(t *testing.T) {
	const keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
	found, _ := filepath.Glob("/var/lib/apt/lists/*_debian_dists_*_InRelease")
	if _, err := os.Stat(keys); err != nil || len(found) == 0 {
		t.Skip("this host has no archive lists of Debian, or no keyring")
	}
	for _, file := range found {
		data, err := os.ReadFile(file)
		ok(t, err)
		tree := map[string][]byte{"dists/x/InRelease": data}
		o := newOrigin(t, tree)
		store, err := images.OpenStore(t.TempDir())
		ok(t, err)
		src := images.Source{Name: "real", Base: o.URL, Keys: []string{keys}, Documents: []images.Document{{Path: "dists/x/InRelease", Signed: true}}, Files: map[string]string{"p": "dists/x/none"}}
		f := &images.Fetcher{Store: store, Client: o.Client()}
		_, err = f.Fetch(t.Context(), src, images.Request{})
		if err == nil || !strings.Contains(err.Error(), "no document of its source has a checksum") {
			t.Errorf("%s: error %v", file, err)
		}
		tree["dists/x/InRelease"] = bytes.Replace(data, []byte("Origin: Debian"), []byte("Origin: debian"), 1)
		if _, err = f.Fetch(t.Context(), src, images.Request{}); err == nil || !strings.Contains(err.Error(), "no good signature") {
			t.Errorf("%s changed: error %v", file, err)
		}
	}
}
