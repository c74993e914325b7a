package objects

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func noNote(*Meta) any { return nil }

func open(t testing.TB, dir string, limit int64) *Store {
	t.Helper()
	s, err := Open(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s *Store, url string, body string, vary ...Field) *Object {
	t.Helper()
	f, err := s.Create(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(body), 0); err != nil {
		t.Fatal(err)
	}
	m := &Meta{URL: url, Status: 200, Header: http.Header{"Etag": {`"` + url + `"`}}, Vary: vary, Received: time.Now()}
	if err := f.Commit(m, int64(len(body)), func() bool { return false }); err != nil {
		t.Fatal(err)
	}
	return s.Lookup(url)[0]
}

// body reads an object as a client would get it.
func body(t testing.TB, s *Store, url string) (string, bool) {
	t.Helper()
	found := s.Lookup(url)
	if len(found) == 0 {
		return "", false
	}
	c, err := s.Load(found[0], noNote)
	if err != nil {
		return "", false
	}
	if c.Body != nil {
		return string(c.Body), true
	}
	f, err := s.Open(found[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), true
}

func files(t *testing.T, dir string) (n int) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != "lock" {
			n++
		}
		return err
	})
	return n
}

func TestObjectsOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<30)
	large := strings.Repeat("large ", 10_000)
	put(t, s, "http://a/small", "small")
	put(t, s, "http://a/large", large)
	put(t, s, "http://a/empty", "")
	s.Close()
	s = open(t, dir, 1<<30)
	for url, want := range map[string]string{"http://a/small": "small", "http://a/large": large, "http://a/empty": ""} {
		if got, ok := body(t, s, url); !ok || got != want {
			t.Errorf("%s: %t, %d bytes", url, ok, len(got))
		}
	}
	if n, used := s.Usage(); n != 3 || used <= int64(len(large)) {
		t.Errorf("%d objects, %d bytes", n, used)
	}
}

func TestWhatAnInterruptionLeavesIsRemoved(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<30)
	put(t, s, "http://a/whole", "whole")
	cut := put(t, s, "http://a/cut", "to be cut")
	damaged := put(t, s, "http://a/damaged", "damaged")
	f, err := s.Create(0) // never ends
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte("half a bo"), 0)
	s.Close()
	if err := os.Truncate(s.path(cut.id, bodySuffix), 3); err != nil {
		t.Fatal(err)
	}
	sidecar, _ := os.ReadFile(s.path(damaged.id, sidecarSuffix))
	sidecar[len(sidecar)/2] ^= 1
	os.WriteFile(s.path(damaged.id, sidecarSuffix), sidecar, 0o600)
	os.WriteFile(s.path(damaged.id, sidecarSuffix+newSuffix), sidecar, 0o600)

	s = open(t, dir, 1<<30)
	if n, _ := s.Usage(); n != 1 || files(t, dir) != 2 {
		t.Errorf("%d objects in %d files remain", n, files(t, dir))
	}
	if got, ok := body(t, s, "http://a/whole"); !ok || got != "whole" {
		t.Errorf("%t %q", ok, got)
	}
}

// After a crash of the machine a body may have its length and not its bytes.
func TestBodiesOfAnotherBootAreChecked(t *testing.T) {
	for _, size := range []int{100, smallBody + 1} {
		dir := t.TempDir()
		s := open(t, dir, 1<<30)
		s.boot = "another"
		text := strings.Repeat("x", size)
		put(t, s, "http://a/good", text)
		bad := put(t, s, "http://a/bad", text)
		s.Close()
		os.WriteFile(s.path(bad.id, bodySuffix), make([]byte, size), 0o600)
		s = open(t, dir, 1<<30)
		if got, ok := body(t, s, "http://a/good"); !ok || got != text {
			t.Errorf("%d bytes: the good one is gone", size)
		}
		if _, ok := body(t, s, "http://a/bad"); ok || files(t, dir) != 2 {
			t.Errorf("%d bytes: the damaged one is there", size)
		}
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, 1<<20)
	if _, err := Open(dir, 1<<20); err == nil || !strings.Contains(err.Error(), "used by another process") {
		t.Error(err)
	}
}

func TestLimitAndWhoStays(t *testing.T) {
	const each, room = 2 << 10, 30 // bytes of a body, objects that fit
	dir := t.TempDir()
	s := open(t, dir, room*(each+overhead))
	text := strings.Repeat("x", each)
	put(t, s, "http://a/used", text)
	for i := range 10 * room {
		put(t, s, fmt.Sprintf("http://a/once/%d", i), text)
		if _, ok := body(t, s, "http://a/used"); !ok {
			t.Fatalf("the object that is used left after %d others", i)
		}
	}
	if n, used := s.Usage(); n > room || used > s.Limit() || files(t, dir) != 2*n {
		t.Errorf("%d objects, %d bytes, %d files", n, used, files(t, dir))
	}
}

func TestAnObjectThatLeftIsWelcomeBack(t *testing.T) {
	s := open(t, t.TempDir(), 10*(1+overhead))
	for i := range 12 {
		put(t, s, fmt.Sprint("http://a/", i), "x")
	}
	back := put(t, s, "http://a/0", "x")
	if back.queue != &s.queues.main {
		t.Error("it began in the small queue again")
	}
}

func TestVariantsAndReplacement(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<30)
	for i := range 20 {
		put(t, s, "http://a/", fmt.Sprint(i), Field{"Accept", fmt.Sprint(i)})
	}
	if n := len(s.Lookup("http://a/")); n != maxVariants || files(t, dir) != 2*maxVariants {
		t.Errorf("%d variants", n)
	}
	put(t, s, "http://a/", "new", Field{"Accept", "19"})
	if got, _ := body(t, s, "http://a/"); got != "new" || len(s.Lookup("http://a/")) != maxVariants {
		t.Errorf("%q", got)
	}
	if n := s.RemoveIf(func(url string) bool { return strings.HasPrefix(url, "http://a/") }); n != maxVariants || files(t, dir) != 0 {
		t.Errorf("%d removed, %d files remain", n, files(t, dir))
	}
}

func TestUpdateOfARemovedObject(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<30)
	o := put(t, s, "http://a/", "x")
	c, _ := s.Load(o, noNote)
	s.Remove(o)
	if err := s.Update(o, c.Meta); err == nil || files(t, dir) != 0 {
		t.Errorf("%v, %d files", err, files(t, dir))
	}
}

func FuzzDecode(f *testing.F) {
	m := &Meta{URL: "http://a/", Status: 200, Vary: []Field{{"Accept", "x"}}, Header: http.Header{"A": {"1", "\xff"}}, Targeted: true, Size: 9, Boot: "b", Parts: Extents{{0, 2}, {5, 9}}}
	f.Add(m.encode()[8:])
	f.Add((&Meta{}).encode()[8:])
	f.Fuzz(func(t *testing.T, payload []byte) {
		b := append([]byte(sidecarMagic+"\x00\x00\x00\x00"), payload...)
		sum(b)
		m, err := decode(b)
		if err != nil {
			return
		}
		again, err := decode(m.encode())
		if err != nil || again.URL != m.URL || len(again.Header) != len(m.Header) || again.Size != m.Size || len(again.Parts) != len(m.Parts) {
			t.Errorf("%v: %+v became %+v", err, m, again)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := open(b, dir, 1<<40)
	for i := range 2000 {
		put(b, s, fmt.Sprintf("http://archive.example/pool/main/x/package%d_1.0_amd64.deb", i), "x")
	}
	s.Close()
	b.ReportAllocs()
	for b.Loop() {
		s, err := Open(dir, 1<<40)
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/2000, "us/object")
}

func BenchmarkFill(b *testing.B) {
	s := open(b, b.TempDir(), 1<<40)
	piece := bytes.Repeat([]byte("x"), 1<<20)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		f, err := s.Create(0)
		if err != nil {
			b.Fatal(err)
		}
		f.WriteAt(piece, 0)
		f.Abort()
	}
}

// The index of a full disk of 40 GB leaves room for the rest of a rack.
func TestMemoryOfTheIndex(t *testing.T) {
	const objects, most = 100_000, 60 << 20
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	s := open(t, t.TempDir(), 50<<30)
	for i := range objects {
		url := fmt.Sprintf("http://archive.ubuntu.example/ubuntu/pool/main/p/package-%d/package-%d_1.0-1ubuntu1_amd64.deb", i, i)
		s.mu.Lock()
		s.insert(newObject(uint64(i), &Meta{URL: url, Size: 400 << 10, Received: time.Now()}))
		s.mu.Unlock()
	}
	used := heap() - before
	n, bytes := s.Usage()
	t.Logf("%d objects of %d GB: %d MB", n, bytes>>30, used>>20)
	if n != objects || used > most {
		t.Errorf("%d objects take %d bytes of memory", n, used)
	}
}
