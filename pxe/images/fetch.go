package images

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Progress reports how far a fetch has got.
type Progress struct {
	File        string // URL, or path of a directory's file
	Done, Total int64  // bytes; Total is -1 if the source does not say
}

// A Fetcher brings images from sources into a store.
type Fetcher struct {
	// Store receives the content. Required.
	Store *Store
	// Client sends the requests. If nil, one is used that goes through the proxies that the
	// environment names (HTTPS_PROXY and the like).
	Client *http.Client
	// Keys reads a keyring by its name in Source.Keys. If nil, names are paths of files.
	Keys func(name string) ([]byte, error)
	// Progress is called as bytes arrive, from one goroutine at a time. If nil, nothing is called.
	Progress func(Progress)
	// Attempts bounds the attempts of a download that makes no progress; each goes on where the
	// last one ended. Zero means 5. Pause is the first pause between them, which doubles; zero
	// means a second.
	Attempts int
	Pause    time.Duration
}

// maxDocument bounds a document or signature; Debian's Release files have a few megabytes.
const maxDocument = 64 << 20

// Fetch brings a source's files into the store and returns the image, under no name. An image that
// the store has already costs its documents only. What cannot be verified is a *VerifyError, and
// nothing is named by it.
func (f *Fetcher) Fetch(ctx context.Context, s Source, q Request) (Image, error) {
	e, err := s.expand(q)
	if err != nil {
		return Image{}, err
	}
	var keys keyring
	if e.signed() {
		if err := f.readKeys(e, &keys); err != nil {
			return Image{}, err
		}
	}
	run := &run{Fetcher: f, expanded: e, keys: &keys, image: Image{Origin: e.base.Redacted(), Version: e.release, Verified: "checksums over TLS"}}
	// What operators are shown says which of the three they rely on.
	switch {
	case len(e.Sums) > 0:
		run.image.Verified = "checksums that were given"
	case e.base.Scheme != "https":
		run.image.Verified = "checksums without encryption"
	}
	wants, err := run.resolve(ctx)
	if err != nil {
		return Image{}, err
	}
	if err := run.all(ctx, wants); err != nil {
		return Image{}, err
	}
	run.image.Added = time.Now().UTC().Truncate(time.Second)
	slices.SortFunc(run.image.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return run.image, nil
}

func (f *Fetcher) readKeys(e expanded, keys *keyring) error {
	read := f.Keys
	if read == nil {
		read = os.ReadFile
	}
	// Hosts have one of several packages with the same keys, so that one keyring is enough.
	var errs []error
	if e.Armor != "" {
		if err := keys.add([]byte(e.Armor)); err != nil {
			return fmt.Errorf("images: %s: keys: %w", e.Name, err)
		}
	}
	for _, name := range e.Keys {
		data, err := read(name)
		if err == nil {
			if err = keys.add(data); err == nil {
				continue
			}
			return fmt.Errorf("images: %s: keyring %s: %w", e.Name, name, err)
		}
		errs = append(errs, err)
	}
	if len(keys.keys) == 0 {
		cure := ""
		if e.Cure != "" {
			cure = "; " + e.Cure
		}
		return fmt.Errorf("images: %s: no keys to check its signatures: %w%s", e.Name, errors.Join(errs...), cure)
	}
	return nil
}

// Directory stores the regular files of a directory under their paths. Names that cannot be served
// are left out and returned.
func (f *Fetcher) Directory(ctx context.Context, fsys fs.FS) (m Image, skipped []string, err error) {
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := fs.Stat(fsys, name) // a link counts as what it leads to, such as vmlinuz of Debian
		if err != nil || !info.Mode().IsRegular() || !ValidName(name) {
			skipped = append(skipped, name)
			return nil
		}
		r, err := fsys.Open(name)
		if err != nil {
			return err
		}
		defer r.Close()
		file, err := f.Store.Write(ctx, name, r)
		m.Files = append(m.Files, file)
		f.progress(Progress{name, file.Size, file.Size})
		return err
	})
	m.Added, m.Verified = time.Now().UTC().Truncate(time.Second), "copied from a directory"
	return m, skipped, err
}

func (f *Fetcher) progress(p Progress) {
	if f.Progress != nil {
		f.Progress(p)
	}
}

// run is one fetch.
type run struct {
	*Fetcher
	expanded
	keys  *keyring
	image Image
}

// want is a file to download.
type want struct {
	name string // of the file in the image
	url  string
	checksum
}

// resolve reads the documents of the source and returns the files with what verifies them.
func (r *run) resolve(ctx context.Context) ([]want, error) {
	if r.Index != "" {
		return r.resolveStreams(ctx)
	}
	sums, err := r.documents(ctx)
	if err != nil {
		return nil, err
	}
	for name, sum := range r.Sums {
		c := checksum{size: -1}
		if !c.set(sum) {
			return nil, fmt.Errorf("images: %s: %q is no SHA-256 of %s", r.Name, sum, name)
		}
		sums[path.Clean(r.fill(name))] = c
	}
	files := r.Files
	if r.Archive != "" { // the one file to download; what it holds is verified with it
		files = map[string]string{"": r.Archive}
	}
	var wants []want
	for _, name := range slices.Sorted(maps.Keys(files)) {
		at := r.fill(files[name])
		u, err := r.url(at)
		if err != nil {
			return nil, err
		}
		w := want{name, u, checksum{size: -1}}
		if c, ok := sums[path.Clean(at)]; ok {
			w.checksum = c
		} else if r.Signature == "" {
			return nil, &VerifyError{u, "no document of its source has a checksum of it"}
		}
		wants = append(wants, w)
	}
	return wants, nil
}

// documents verifies the chain of documents and returns the checksums of the last one, by paths
// below the base.
func (r *run) documents(ctx context.Context) (map[string]checksum, error) {
	sums := make(map[string]checksum)
	for i, d := range r.Documents {
		at := r.fill(d.Path)
		data, err := r.document(ctx, at)
		if err != nil {
			return nil, err
		}
		switch u, _ := r.url(at); {
		case d.Signed, d.Signature != "":
			if data, err = r.verified(ctx, u, d, data); err != nil {
				return nil, err
			}
		case i > 0:
			c, ok := sums[path.Clean(at)]
			if !ok {
				return nil, &VerifyError{u, "the document before it has no checksum of it"}
			}
			if err := c.verify(u, data); err != nil {
				return nil, err
			}
		}
		if line := r.fill(d.Line); line != "" && !hasLine(data, line) {
			u, _ := r.url(at)
			return nil, &VerifyError{u, fmt.Sprintf("is of something else: it has no line %q", line)}
		}
		found := parseChecksums(data)
		// Only the last document counts: one in between may list a file that a later one renamed.
		sums = make(map[string]checksum, len(found))
		for name, c := range found {
			sums[path.Join(path.Dir(at), name)] = c // entries are relative to their document
		}
	}
	return sums, nil
}

func hasLine(data []byte, want string) bool {
	for line := range bytes.Lines(data) {
		if string(bytes.TrimSpace(line)) == want {
			return true
		}
	}
	return false
}

func (c checksum) verify(u string, data []byte) error {
	h := newHashes()
	h.Write(data)
	return h.verify(u, c)
}

// verified returns the part of a document that its signature covers.
func (r *run) verified(ctx context.Context, u string, d Document, data []byte) ([]byte, error) {
	var signer string
	var err error
	if d.Signed {
		data, signer, err = r.keys.clearsigned(data)
	} else {
		signature, derr := r.document(ctx, r.fill(d.Signature))
		if derr != nil {
			return nil, derr
		}
		signer, err = r.keys.detached(func() io.Reader { return bytes.NewReader(data) }, signature)
	}
	if err != nil {
		return nil, &VerifyError{u, err.Error()}
	}
	r.image.Verified = "signed by " + signer
	return data, nil
}

func (r *run) resolveStreams(ctx context.Context) ([]want, error) {
	data, err := r.streams(ctx, r.fill(r.Index))
	if err != nil {
		return nil, err
	}
	paths, err := productPaths(data)
	if err != nil {
		return nil, fmt.Errorf("images: %s: %s %w", r.Name, r.Index, err)
	}
	for _, p := range paths {
		if data, err = r.streams(ctx, p); err != nil {
			return nil, err
		}
		items, version, err := streamFiles(data, r.release, r.arch, r.Match, r.Files)
		if err != nil {
			return nil, fmt.Errorf("images: %s: %s %w", r.Name, p, err)
		}
		if items == nil {
			continue
		}
		r.image.Version = version
		var wants []want
		for _, name := range slices.Sorted(maps.Keys(items)) {
			u, err := r.url(items[name].Path)
			if err != nil {
				return nil, err
			}
			w := want{name, u, checksum{size: items[name].Size}}
			if !w.set(items[name].SHA256) {
				return nil, &VerifyError{u, "its source has no SHA-256 of it"}
			}
			wants = append(wants, w)
		}
		return wants, nil
	}
	return nil, fmt.Errorf("images: %s: no release %s for %s with the files %s: %w", r.Name, r.release, r.arch,
		strings.Join(slices.Sorted(maps.Keys(r.Files)), ", "), fs.ErrNotExist)
}

// streams reads a document of simplestreams. The path of a signed one ends in .sjson; documents
// that an index names as .json are signed under that name, too.
func (r *run) streams(ctx context.Context, at string) ([]byte, error) {
	if r.signed() && strings.HasSuffix(at, ".json") {
		at = strings.TrimSuffix(at, ".json") + ".sjson"
	}
	data, err := r.document(ctx, at)
	if err != nil || !r.signed() {
		return data, err
	}
	u, _ := r.url(at)
	return r.verified(ctx, u, Document{Signed: true}, data)
}

// all downloads the files and stores them.
func (r *run) all(ctx context.Context, wants []want) error {
	for _, w := range wants {
		if w.sha256 != nil && r.Archive == "" && r.stored(w) {
			continue
		}
		unlock := r.Store.lock(w.remains())
		err := r.one(ctx, w)
		unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// stored takes a file over that the store has already. It is read once more: its pieces are needed,
// and its disk may have changed it.
func (r *run) stored(w want) bool {
	f, err := r.Store.Open(Hash(w.sha256))
	if err != nil {
		return false
	}
	defer f.Close()
	p := newPieces(PieceSize)
	if _, err := io.Copy(p, f); err != nil {
		return false
	}
	file := p.file(w.name)
	if file.SHA256 != Hash(w.sha256) {
		return false
	}
	r.image.Files = append(r.image.Files, file)
	return true
}

// one downloads a file, verifies it and gives it its name.
func (r *run) one(ctx context.Context, w want) error {
	f, h, err := r.download(ctx, w)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := r.signature(ctx, w, f); err != nil {
		r.forget(w) // the next attempt must not go on with it
		return err
	}
	if r.Archive != "" {
		if err := r.extract(ctx, w, f); err != nil {
			return err
		}
		r.forget(w)
		return nil
	}
	file := h.pieces.file(w.name)
	if err := file.check(); err != nil {
		return fmt.Errorf("images: %s: %w", w.url, err)
	}
	if err := r.Store.commit(f, file.SHA256); err != nil {
		return fmt.Errorf("images: store %s: %w", w.url, err)
	}
	r.forget(w)
	r.image.Files = append(r.image.Files, file)
	return nil
}

// signature checks the signature that a file has of its own.
func (r *run) signature(ctx context.Context, w want, f *os.File) error {
	if r.Signature == "" || w.known() {
		return nil
	}
	at := strings.TrimPrefix(w.url, strings.TrimSuffix(r.base.String(), "/")+"/") + r.Signature
	signature, err := r.document(ctx, at)
	if err != nil {
		return err
	}
	signer, err := r.keys.detached(func() io.Reader {
		info, err := f.Stat()
		if err != nil {
			return bytes.NewReader(nil)
		}
		return contextReader{ctx, io.NewSectionReader(f, 0, info.Size())}
	}, signature)
	if err != nil {
		return &VerifyError{w.url, err.Error()}
	}
	r.image.Verified = "signed by " + signer
	return nil
}

// verify compares what was hashed with what a document says.
func (h *hashes) verify(u string, c checksum) error {
	switch got := h.sums(); {
	case c.size >= 0 && c.size != h.pieces.total:
		return &VerifyError{u, fmt.Sprintf("has %d bytes, its source says %d", h.pieces.total, c.size)}
	case differ(c.sha256, got.sha256):
		return &VerifyError{u, fmt.Sprintf("has the SHA-256 %x, its source says %s", got.sha256, hex.EncodeToString(c.sha256))}
	case differ(c.sha512, got.sha512):
		return &VerifyError{u, "its SHA-512 is not the one of its source"}
	}
	return nil
}
