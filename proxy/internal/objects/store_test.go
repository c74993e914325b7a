package objects

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Extents behave as a set of bytes does.
func TestExtentsAgreeWithASetOfBytes(t *testing.T) {
	const size = 60
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 500 {
		var x Extents
		var set [size]bool
		for range 1 + rnd.IntN(12) {
			start := rnd.Int64N(size)
			e := Extent{start, start + rnd.Int64N(size-start+1)}
			x.Add(e)
			for i := e.Start; i < e.End; i++ {
				set[i] = true
			}
		}
		if !x.valid(size) {
			t.Fatalf("round %d: %v is not in order", round, x)
		}
		n := int64(0)
		for at := range int64(size) {
			end := at
			for end < size && set[end] {
				end++
			}
			if got := x.Run(at); got != end {
				t.Fatalf("round %d: from %d %v runs to %d, want %d", round, at, x, got, end)
			}
			if set[at] {
				n++
			}
		}
		if x.Bytes() != n {
			t.Fatalf("round %d: %v has %d bytes, want %d", round, x, x.Bytes(), n)
		}
		from := rnd.Int64N(size)
		gap, missing := x.Gap(from, size)
		first := slices.Index(set[from:], false)
		if missing != (first >= 0) || missing && gap.Start != from+int64(first) {
			t.Fatalf("round %d: the gap of %v from %d is %v, %t", round, x, from, gap, missing)
		}
		for i := gap.Start; i < gap.End; i++ {
			if set[i] {
				t.Fatalf("round %d: byte %d of the gap %v is there", round, i, gap)
			}
		}
	}
}

// A body may arrive in any order; its checksum is that of the whole.
func TestBodiesInAnyOrder(t *testing.T) {
	const piece, pieces = 1000, 40
	text := strings.Repeat("0123456789", piece*pieces/10)
	for name, order := range map[string]func(i int) int{
		"forward":  func(i int) int { return i },
		"backward": func(i int) int { return pieces - 1 - i },
		"leaping":  func(i int) int { return i * 7 % pieces },
		"twice":    func(i int) int { return i / 2 * 2 % pieces },
	} {
		dir := t.TempDir()
		s := open(t, dir, 1<<30)
		w, err := s.Create(0)
		if err != nil {
			t.Fatal(err)
		}
		for i := range pieces {
			at := order(i) * piece
			if _, err := w.WriteAt([]byte(text[at:at+piece]), int64(at)); err != nil {
				t.Fatal(err)
			}
		}
		if name == "twice" { // the odd ones are missing until now
			for at := piece; at < len(text); at += 2 * piece {
				w.WriteAt([]byte(text[at:at+piece]), int64(at))
			}
		}
		reader, err := w.Open()
		if err != nil {
			t.Fatal(err)
		}
		m := &Meta{URL: "http://a/", Status: 200, Header: http.Header{}, Received: time.Now()}
		if err := w.Commit(m, int64(len(text)), never); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b, err := io.ReadAll(reader); err != nil || string(b) != text {
			t.Errorf("%s: a reader from before got %d bytes, %v", name, len(b), err)
		}
		reader.Close()
		s.boot = "another" // so that the checksum counts
		s.Lookup("http://a/")[0].trusted.Store(false)
		if got, ok := body(t, s, "http://a/"); !ok || got != text {
			t.Errorf("%s: %t, %d bytes", name, ok, len(got))
		}
	}
}

func TestCommitsThatDoNotHappen(t *testing.T) {
	m := func() *Meta { return &Meta{URL: "http://a/", Status: 200, Header: http.Header{}, Received: time.Now()} }
	for name, end := range map[string]func(w *Writer) error{
		"aborted":            func(w *Writer) error { w.Abort(); return nil },
		"outdated":           func(w *Writer) error { return w.Commit(m(), 4, func() bool { return true }) },
		"parts outdated":     func(w *Writer) error { return w.KeepPartial(m(), Extents{{0, 4}}, func() bool { return true }) },
		"no parts":           func(w *Writer) error { return w.KeepPartial(m(), nil, never) },
		"longer than it is":  func(w *Writer) error { return expect(w.Commit(m(), 9, never)) },
		"aborted after note": func(w *Writer) error { err := w.SaveParts(m(), Extents{{0, 2}}); w.Abort(); return err },
	} {
		dir := t.TempDir()
		s := open(t, dir, 1<<30)
		w, err := s.Create(0)
		if err != nil {
			t.Fatal(err)
		}
		w.WriteAt([]byte("body"), 0)
		if err := end(w); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n, used := s.Usage(); n != 0 || used != 0 || files(t, dir) != 0 || s.Lookup("http://a/") != nil || s.Partial("http://a/") != nil {
			t.Errorf("%s: %d objects, %d bytes, %d files remain", name, n, used, files(t, dir))
		}
	}
}

// expect turns an error into none, and none into one.
func expect(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return nil
}

// An object that is removed stays readable to the clients that have it open.
func TestRemovedObjectsStayReadable(t *testing.T) {
	s := open(t, t.TempDir(), 1<<30)
	text := strings.Repeat("x", smallBody+1)
	o := put(t, s, "http://a/", text)
	f, err := s.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s.Remove(o)
	s.Remove(o) // again does no harm
	if b, err := io.ReadAll(f); err != nil || string(b) != text {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if _, err := s.Open(o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opened again: %v", err)
	}
	if _, err := s.Load(o, noNote); err == nil {
		t.Error("loaded after its removal")
	}
}

// What the store's user computes of a description is computed once, and again after a validation.
func TestNotesAreComputedOnce(t *testing.T) {
	s := open(t, t.TempDir(), 1<<30)
	o := put(t, s, "http://a/", "x")
	computed := 0
	note := func(m *Meta) any { computed++; return m.Header.Get("Etag") }
	for range 3 {
		c, err := s.Load(o, note)
		if err != nil || c.Note != `"http://a/"` {
			t.Fatal(c, err)
		}
	}
	c, _ := s.Load(o, note)
	m := *c.Meta
	m.Header = http.Header{"Etag": {`"new"`}}
	if err := s.Update(o, &m); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Load(o, note); err != nil || c.Note != `"new"` || string(c.Body) != "x" || computed != 2 {
		t.Errorf("%v, %v, computed %d times", c, err, computed)
	}
}

// Memory for contents is bounded: what was used last stays.
func TestHotContentsAreBounded(t *testing.T) {
	var h hot
	c := &Content{Body: make([]byte, smallBody)}
	most := hotBytes / (hotMeta + smallBody)
	objects := make([]*Object, most+10)
	for i := range objects {
		objects[i] = &Object{}
		h.put(objects[i], c)
		if h.get(objects[0]) == nil {
			t.Fatalf("what is used left after %d others", i)
		}
	}
	if h.bytes > hotBytes || h.order.Len() != most || len(h.at) != most {
		t.Errorf("%d bytes of %d contents, %d in the index", h.bytes, h.order.Len(), len(h.at))
	}
	h.put(objects[0], &Content{}) // in the place of the larger one
	h.drop(objects[len(objects)-1])
	h.drop(objects[len(objects)-1])
	if want := (most-2)*(hotMeta+smallBody) + hotMeta; h.bytes != want {
		t.Errorf("%d bytes, want %d", h.bytes, want)
	}
}

// A lower limit evicts at once, and none is exceeded by many writers.
func TestLimits(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir, 0); err == nil {
		t.Error("opened without room")
	}
	const room = 50
	s := open(t, dir, room*(100+overhead))
	text := strings.Repeat("x", 100)
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 40 {
				f, err := s.Create(0)
				if err != nil {
					t.Error(err)
					return
				}
				f.WriteAt([]byte(text), 0)
				m := &Meta{URL: fmt.Sprintf("http://a/%d/%d", w, i), Status: 200, Header: http.Header{}, Received: time.Now()}
				if err := f.Commit(m, int64(len(text)), never); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if n, used := s.Usage(); n != room || used > s.Limit() || files(t, dir) != 2*room {
		t.Errorf("%d objects, %d bytes, %d files", n, used, files(t, dir))
	}
	s.SetLimit(10 * (100 + overhead))
	if n, used := s.Usage(); n != 10 || used > s.Limit() || files(t, dir) != 20 {
		t.Errorf("lowered: %d objects, %d bytes, %d files", n, used, files(t, dir))
	}
	s.Close()
	s = open(t, dir, 4*(100+overhead)) // and so does a restart
	if n, _ := s.Usage(); n != 4 || files(t, dir) != 8 {
		t.Errorf("restarted: %d objects, %d files", n, files(t, dir))
	}
}

// Files that are no objects, whatever they are called, do not stop a start.
func TestForeignFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<30)
	o := put(t, s, "http://a/", "x")
	shard := filepath.Dir(s.path(o.id, bodySuffix))
	for name, content := range map[string]string{"zz.meta": "", "zz.body": "x", "ff.meta": strings.Repeat("x", maxSidecar+1), "notes.txt": "x"} {
		if err := os.WriteFile(filepath.Join(shard, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(shard, "folder", "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, dir, 1<<30)
	if n, _ := s.Usage(); n != 1 || files(t, dir) != 2 {
		t.Errorf("%d objects, %d files", n, files(t, dir))
	}
}

func TestRemoveIfTakesPartsToo(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<30)
	put(t, s, "http://a/whole", "x")
	for _, url := range []string{"http://a/part", "http://b/part"} {
		w, err := s.Create(0)
		if err != nil {
			t.Fatal(err)
		}
		w.WriteAt([]byte("part"), 2)
		m := &Meta{URL: url, Status: 200, Header: http.Header{}, Received: time.Now(), Size: 10}
		if err := w.KeepPartial(m, Extents{{2, 6}}, never); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.RemoveIf(func(url string) bool { return strings.HasPrefix(url, "http://a/") }); n != 2 {
		t.Errorf("%d removed", n)
	}
	if s.Partial("http://b/part") == nil || s.Partial("http://a/part") != nil || files(t, dir) != 2 {
		t.Errorf("the wrong ones are gone: %d files", files(t, dir))
	}
	if n := s.RemoveURL("http://b/part"); n != 1 || files(t, dir) != 0 {
		t.Errorf("%d removed, %d files remain", n, files(t, dir))
	}
}
