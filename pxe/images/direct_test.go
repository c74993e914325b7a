package images_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/images"
	"github.com/gomaas/maas/pxe/tftp"
)

// sender notes whether it was given a file to send, which the kernel then does without a copy.
type sender struct {
	*net.TCPConn
	files *atomic.Int64
}

func (s sender) ReadFrom(r io.Reader) (int64, error) {
	if l, ok := r.(*io.LimitedReader); ok {
		if _, ok := l.R.(syscall.Conn); ok {
			s.files.Add(1)
		}
	}
	return s.TCPConn.ReadFrom(r)
}

type senders struct {
	net.Listener
	files *atomic.Int64
}

func (s senders) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return sender{c.(*net.TCPConn), s.files}, nil
}

// bootServer serves one image of a file through a cache that fetches it.
func bootServer(t *testing.T, data []byte) (*images.Cache, *pxe.Server) {
	t.Helper()
	region, err := images.OpenStore(t.TempDir())
	ok(t, err)
	f, err := region.Write(t.Context(), "kernel", bytes.NewReader(data))
	ok(t, err)
	x, err := images.NewIndex([]images.Image{{Name: "own/1", Files: []images.File{f}}})
	ok(t, err)
	cache, err := images.OpenCache(images.CacheConfig{Dir: t.TempDir(), Suppliers: func() []images.Supplier {
		return []images.Supplier{func(_ context.Context, f images.File, i int) ([]byte, error) { return region.Piece(f, i) }}
	}})
	ok(t, err)
	t.Cleanup(func() { cache.Close() })
	ok(t, cache.Use(x, nil))
	s, err := pxe.New(pxe.Config{Resolver: pxe.Static(pxe.Profile{Kernel: "own/1/kernel"}), Files: cache})
	ok(t, err)
	return cache, s
}

// The boot server hands files that a cache has as a whole to the kernel, and others piece by piece.
func TestWholeFilesAreSentByTheKernel(t *testing.T) {
	data := content("kernel", 1<<20)
	cache, s := bootServer(t, data)
	var files atomic.Int64
	srv := httptest.NewUnstartedServer(s.Handler())
	srv.Listener = senders{srv.Listener, &files}
	srv.Start()
	defer srv.Close()
	get := func() {
		resp, err := http.Get(srv.URL + "/images/own/1/kernel")
		ok(t, err)
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes, error %v", len(got), err)
		}
	}
	get()
	for cache.Usage().Filling > 0 { // all its pieces were served, and it gets its name
		runtime.Gosched()
	}
	before := files.Load()
	get()
	if files.Load() != before+1 {
		t.Error("a whole file was not given to the kernel")
	}
}

// TFTP serves the same names, also while the file is fetched.
func TestTFTPServesImages(t *testing.T) {
	data := content("kernel", 3<<20)
	_, s := bootServer(t, data)
	conn, err := tftp.Listen("127.0.0.1:0")
	ok(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.ServeTFTP(ctx, conn) }()
	for range 2 {
		var got bytes.Buffer
		client := tftp.Client{BlockSize: 1468, WindowSize: 16, AskSize: true}
		if _, err := client.Get(ctx, conn.LocalAddr().String(), "images/own/1/kernel", &got); err != nil || !bytes.Equal(got.Bytes(), data) {
			t.Errorf("%d bytes, error %v", got.Len(), err)
		}
	}
	stop()
	ok(t, <-done)
}
