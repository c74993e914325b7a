package images

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Fifty racks with forty machines each boot one image at the same time. MAAS_CROWD_BYTES is the
// size of the image, MAAS_CROWD_RACKS the number of racks, an even one: each keeps the image.
func TestCrowd(t *testing.T) {
	const machines = 40
	size, racks := 1<<20, 50
	if n, err := strconv.Atoi(os.Getenv("MAAS_CROWD_BYTES")); err == nil {
		size = n
	}
	if n, err := strconv.Atoi(os.Getenv("MAAS_CROWD_RACKS")); err == nil {
		racks = n
	}
	origin, data := crowdOrigin(t, size)
	store, err := OpenStore(t.TempDir())
	ok(t, err)
	sum := newPieces(PieceSize)
	sum.Write(data)
	src := Source{Name: "own", Base: origin.URL, Files: map[string]string{"kernel": "kernel"}, Sums: map[string]string{"kernel": sum.file("").SHA256.String()}}
	m, err := (&Fetcher{Store: store}).Fetch(t.Context(), src, Request{})
	ok(t, err)
	m.Name, m.Files[0] = "own/1", cut(t, store, m.Files[0], size/16)
	x := index(t, m)
	fromRegion, fromNeighbors := make([]atomic.Int64, racks), make([]atomic.Int64, racks)
	caches := make([]*Cache, racks)
	for i := range racks {
		region := func(_ context.Context, f File, n int) ([]byte, error) {
			data, err := store.Piece(f, n)
			fromRegion[i].Add(int64(len(data)))
			return data, err
		}
		neighbor := func(_ context.Context, f File, n int) ([]byte, error) {
			data, err := caches[i^1].Piece(f.SHA256, n)
			fromNeighbors[i].Add(int64(len(data)))
			return data, err
		}
		caches[i] = newCache(t, CacheConfig{Patience: time.Minute}, neighbor, region)
	}
	var all sync.WaitGroup
	began := time.Now()
	for _, c := range caches {
		ok(t, c.Use(x, nil))
	}
	for range machines {
		for _, c := range caches {
			all.Go(func() { compare(t, c, data) })
		}
	}
	all.Wait()
	var regions, neighbors int64
	for i := range racks {
		r, n := fromRegion[i].Load(), fromNeighbors[i].Load()
		if r+n != int64(size) {
			t.Errorf("rack %d fetched %d bytes from the region and %d from its neighbor, want %d together", i, r, n, size)
		}
		regions, neighbors = regions+r, neighbors+n
	}
	if n := origin.requests.Load(); n != 1 || origin.bytes.Load() != int64(size) {
		t.Errorf("%d requests and %d bytes at the origin", n, origin.bytes.Load())
	}
	t.Logf("%d machines read %d bytes each in %v: %d from the origin, %d from the region, %d between racks", racks*machines, size,
		time.Since(began).Round(time.Millisecond), origin.bytes.Load(), regions, neighbors)
}

// cut describes stored content in smaller pieces.
func cut(t *testing.T, s *Store, f File, piece int) File {
	t.Helper()
	r, err := s.Open(f.SHA256)
	ok(t, err)
	defer r.Close()
	p := newPieces(min(int64(piece), PieceSize))
	_, err = io.Copy(p, r)
	ok(t, err)
	return p.file(f.Name)
}

type countedOrigin struct {
	*httptest.Server
	requests, bytes atomic.Int64
}

func crowdOrigin(t *testing.T, size int) (*countedOrigin, []byte) {
	_, data := makeFile("kernel", size)
	o := new(countedOrigin)
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.requests.Add(1)
		n, _ := w.Write(data)
		o.bytes.Add(int64(n))
	}))
	t.Cleanup(o.Close)
	return o, data
}

// compare reads the kernel as a machine does.
func compare(t *testing.T, c *Cache, want []byte) {
	o, err := c.Open("own/1/kernel")
	if err != nil {
		t.Error(err)
		return
	}
	defer o.Close()
	buf := make([]byte, 256<<10)
	for at := 0; ; {
		n, err := o.Read(buf)
		if at+n > len(want) || !bytes.Equal(buf[:n], want[at:at+n]) {
			t.Errorf("content differs after %d bytes", at)
			return
		}
		if at += n; errors.Is(err, io.EOF) || err == nil && n == 0 {
			if at != len(want) {
				t.Errorf("%d bytes of %d", at, len(want))
			}
			return
		}
		if err != nil && !errors.Is(err, fs.ErrClosed) {
			t.Error(err)
			return
		}
	}
}
