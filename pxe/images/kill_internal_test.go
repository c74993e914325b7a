package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gomaas/maas/internal/smalldisk"
)

// killDir makes the test binary a cache that fills in that directory, see TestKilledWhileItFills.
const killDir = "MAAS_TEST_IMAGES_DIR"

// killMirror makes it fetch from there instead, see TestKilledWhileItFetches.
const killMirror = "MAAS_TEST_IMAGES_MIRROR"

const killSize = 64 * testPiece

func TestMain(m *testing.M) {
	dir := os.Getenv(killDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	if mirror := os.Getenv(killMirror); mirror != "" {
		fetchForever(dir, mirror)
	}
	f, data := makeFile("kernel", killSize)
	r := newRegion(data)
	c, err := OpenCache(CacheConfig{Dir: dir, Suppliers: func() []Supplier { return []Supplier{r.supply} }})
	if err != nil {
		os.Exit(1)
	}
	var pieces atomic.Int64
	r.before = func(_ File, _ int, b []byte) ([]byte, error) {
		os.Stdout.WriteString(strconv.FormatInt(pieces.Add(1), 10) + "\n")
		return b, nil
	}
	other, _ := makeFile("other", 3*testPiece)
	x, _ := NewIndex([]Image{{Name: "a", Files: []File{f}}, {Name: "b", Files: []File{other}}})
	if c.Use(x, nil) == nil {
		if o, err := c.Open("a/kernel"); err == nil {
			io.Copy(io.Discard, o)
			c.settle()
		}
	}
	os.Stdout.WriteString("done\n")
	io.Copy(io.Discard, os.Stdin) // until the test is gone
}

// A rack that is killed during a fill has lost nothing that it had before, and serves nothing
// wrong when it is started again; what had arrived is not fetched a second time.
func TestKilledWhileItFills(t *testing.T) {
	f, data := makeFile("kernel", killSize)
	other, kept := makeFile("other", 3*testPiece)
	x := index(t, Image{Name: "a", Files: []File{f}}, Image{Name: "b", Files: []File{other}})
	var saved int64
	for at := 1; at < len(f.Pieces); at += 9 {
		dir := t.TempDir()
		before := newCache(t, CacheConfig{Dir: dir}, newRegion(kept).supply)
		ok(t, before.Use(x, nil))
		readAll(t, before, "b/other")
		before.settle()
		ok(t, before.Close())
		killAfter(t, dir, at)
		entries, err := os.ReadDir(filepath.Join(dir, blobDir))
		ok(t, err)
		for _, e := range entries {
			content, err := os.ReadFile(filepath.Join(dir, blobDir, e.Name()))
			ok(t, err)
			p := newPieces(testPiece)
			p.Write(content)
			if p.file("").SHA256.String() != e.Name() {
				t.Errorf("killed after %d pieces: a name has other content", at)
			}
		}
		r := newRegion(data)
		c := newCache(t, CacheConfig{Dir: dir}, r.supply)
		ok(t, c.Use(x, nil))
		if !bytes.Equal(readAll(t, c, "a/kernel"), data) {
			t.Errorf("killed after %d pieces: content differs", at)
		}
		if !bytes.Equal(readAll(t, c, "b/other"), kept) {
			t.Errorf("killed after %d pieces: other content is lost", at)
		}
		saved += f.Size - r.bytes.Load()
		ok(t, c.Close())
	}
	if saved == 0 {
		t.Error("each fill began anew")
	}
	t.Logf("%d bytes not fetched again", saved)
}

// killAfter runs a cache in another process and kills it when a piece was asked for.
func killAfter(t *testing.T, dir string, piece int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), killDir+"="+dir)
	stdin, err := cmd.StdinPipe()
	ok(t, err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	buf := make([]byte, 1<<10)
	for seen := ""; !strings.Contains(seen, "\n"+strconv.Itoa(piece)+"\n") && !strings.HasPrefix(seen, strconv.Itoa(piece)+"\n") && !strings.Contains(seen, "done"); {
		n, err := stdout.Read(buf)
		ok(t, err)
		seen += string(buf[:n])
	}
	ok(t, cmd.Process.Kill())
	_ = cmd.Wait()
}

// fetchForever fetches until it is killed.
func fetchForever(dir, mirror string) {
	store, err := OpenStore(dir)
	if err != nil {
		os.Exit(1)
	}
	_, err = (&Fetcher{Store: store}).Fetch(context.Background(), killSource(mirror), Request{})
	os.Stdout.WriteString(fmt.Sprint(err))
	io.Copy(io.Discard, os.Stdin)
}

func killSource(mirror string) Source {
	f, _ := makeFile("kernel", killSize)
	return Source{Name: "own", Base: mirror, Files: map[string]string{"kernel": "kernel"}, Sums: map[string]string{"kernel": f.SHA256.String()}}
}

// A region that is killed during a download goes on with the rest after its start, and has nothing
// under a name that is not whole.
func TestKilledWhileItFetches(t *testing.T) {
	f, data := makeFile("kernel", killSize)
	half := make(chan struct{})
	var killed atomic.Bool
	var asked atomic.Value
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"one"`)
		if killed.Load() {
			asked.Store(r.Header.Get("Range") + " " + r.Header.Get("If-Range"))
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		w.Write(data[:killSize/2])
		w.(http.Flusher).Flush()
		close(half)
		<-r.Context().Done()
	}))
	defer mirror.Close()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), killDir+"="+dir, killMirror+"="+mirror.URL)
	ok(t, cmd.Start())
	<-half
	for stored := int64(0); stored < killSize/2; { // what was sent is on its way to the disk
		entries, err := os.ReadDir(filepath.Join(dir, partialDir))
		ok(t, err)
		for _, e := range entries {
			if info, err := e.Info(); err == nil {
				stored = max(stored, info.Size())
			}
		}
	}
	ok(t, cmd.Process.Kill())
	_ = cmd.Wait()
	killed.Store(true)
	if entries, err := os.ReadDir(filepath.Join(dir, blobDir)); err != nil || len(entries) > 0 {
		t.Errorf("%d names, error %v", len(entries), err)
	}
	store, err := OpenStore(dir)
	ok(t, err)
	m, err := (&Fetcher{Store: store}).Fetch(t.Context(), killSource(mirror.URL), Request{})
	ok(t, err)
	if want := fmt.Sprintf(`bytes=%d- "one"`, killSize/2); asked.Load() != want || m.Files[0].SHA256 != f.SHA256 {
		t.Errorf("asked for %q, want %q", asked.Load(), want)
	}
}

// A full disk serves what it has, makes room of what nothing needs, and goes on when it has room
// again.
func TestFullDisk(t *testing.T) {
	smalldisk.Run(t, 1<<20, func(disk smalldisk.Disk) {
		f, data := makeFile("kernel", 8*testPiece)
		g, other := makeFile("initrd", 8*testPiece)
		r := newRegion(data, other)
		c := newCache(t, CacheConfig{Dir: disk.Dir, Patience: 1}, r.supply)
		x := index(t, Image{Name: "a", Files: []File{f, g}})
		ok(t, c.Use(x, []string{"a/kernel"}))
		readAll(t, c, "a/kernel")
		c.settle()
		disk.Fill()
		if _, err := c.Open("a/initrd"); err == nil {
			if got, err := io.ReadAll(must(c.Open("a/initrd"))); err == nil {
				t.Errorf("%d bytes stored on a full disk", len(got))
			}
		}
		c.settle()
		if !bytes.Equal(readAll(t, c, "a/kernel"), data) {
			t.Error("a full disk does not serve what it has")
		}
		if err := c.Use(x, []string{"a/kernel"}); err == nil {
			t.Error("the list of images was stored on a full disk")
		}
		if !bytes.Equal(readAll(t, c, "a/kernel"), data) {
			t.Error("a full disk does not serve what it has after a change")
		}
		disk.Empty()
		clear(c.failed)
		if !bytes.Equal(readAll(t, c, "a/initrd"), other) {
			t.Error("content differs")
		}
	})
}

// A fetch that finds the disk full fails, leaves what was stored, and goes on when there is room.
func TestFetchOnAFullDisk(t *testing.T) {
	smalldisk.Run(t, 1<<20, func(disk smalldisk.Disk) {
		_, data := makeFile("kernel", 256<<10)
		mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(data) }))
		defer mirror.Close()
		store, err := OpenStore(disk.Dir)
		ok(t, err)
		old, err := store.Write(t.Context(), "kernel", strings.NewReader("old"))
		ok(t, err)
		sum := newPieces(PieceSize)
		sum.Write(data)
		src := Source{Name: "own", Base: mirror.URL, Files: map[string]string{"kernel": "kernel"}, Sums: map[string]string{"kernel": sum.file("").SHA256.String()}}
		f := &Fetcher{Store: store, Attempts: 1, Pause: 1}
		disk.Fill()
		if _, err := f.Fetch(t.Context(), src, Request{}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("error %v", err)
		}
		if _, err := store.Piece(old, 0); err != nil {
			t.Error(err)
		}
		disk.Empty()
		m, err := f.Fetch(t.Context(), src, Request{})
		ok(t, err)
		if got, err := store.Piece(m.Files[0], 0); err != nil || !bytes.Equal(got, data) {
			t.Errorf("content differs, error %v", err)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
