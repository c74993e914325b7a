package pxe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gomaas/maas/pxe/firmware"
)

// filing is a response writer that takes files, as net/http's does to use
// sendfile.
type filing struct {
	*httptest.ResponseRecorder
	from io.Reader
}

func (f *filing) ReadFrom(r io.Reader) (int64, error) {
	f.from = r
	return io.Copy(io.Discard, r)
}

// A plain file reaches the connection as a file.
func TestSendfileIsKept(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), make([]byte, 500_000), 0o644); err != nil {
		t.Fatal(err)
	}
	var got Event
	s, err := New(Config{Resolver: Static(Profile{Kernel: "f"}), Files: os.DirFS(dir), Events: func(e Event) { got = e }})
	if err != nil {
		t.Fatal(err)
	}
	w := &filing{ResponseRecorder: httptest.NewRecorder()}
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/images/f", nil))
	limited, ok := w.from.(*io.LimitedReader)
	if !ok {
		t.Fatalf("the connection was given a %T", w.from)
	}
	if _, ok := limited.R.(*os.File); !ok {
		t.Errorf("the connection was given a %T", limited.R)
	}
	if got.Bytes != 500_000 {
		t.Errorf("event %+v", got)
	}
}

func TestPacing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("pacing is Linux's")
	}
	s, err := New(Config{Resolver: Static(Profile{Kernel: "f"}), HTTPRate: 4 << 20,
		Files: fstest.MapFS{"f": {Data: make([]byte, 2<<20)}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	start := time.Now()
	resp, err := http.Get(fmt.Sprintf("http://%s/images/f", l.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if took := time.Since(start); n != 2<<20 || err != nil || took < 200*time.Millisecond {
		t.Errorf("%d bytes at 4 MiB/s in %v: %v", n, took, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The log shows MAC addresses as people write them.
func TestLogOfMAC(t *testing.T) {
	var log strings.Builder
	s, err := New(Config{Resolver: Static(Profile{Kernel: "k"}), Files: fstest.MapFS{},
		Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/boot/52-54-00-77-e1-97/script.ipxe", "/boot/52-54-00-77-e1-97/kernel/k"} {
		c, e, err := s.open(t.Context(), inbound{proto: firmware.HTTP, path: path})
		s.finish(e, err)
		if err == nil {
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	}
	if got := strings.Count(log.String(), `"mac":"52:54:00:77:e1:97"`); got != 2 {
		t.Errorf("log:\n%s", log.String())
	}
}

// A path without end names nothing, and does not fill logs and records.
func TestLongPath(t *testing.T) {
	s, err := New(Config{Resolver: Static(Profile{Kernel: "k"}), Files: fstest.MapFS{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, proto := range []firmware.Proto{firmware.HTTP, firmware.TFTP} {
		_, e, err := s.open(t.Context(), inbound{proto: proto, path: "/images/" + strings.Repeat("a", 100_000)})
		if !errors.Is(err, fs.ErrNotExist) || len(e.Path) != maxShown || len(err.Error()) > 200 {
			t.Errorf("%s: path of %d bytes, error of %d: %.200v", proto, len(e.Path), len(err.Error()), err)
		}
	}
}

// FuzzHandler asks for arbitrary paths. The answer is never a redirect, never
// a file from outside, and always has a length.
func FuzzHandler(f *testing.F) {
	for _, p := range []string{"/images/f", "//images//f", "/boot/unknown/script.ipxe", "/ipxe.cfg", "/images/../../etc/passwd",
		"/boot/52-54-00-77-e1-97/done", "/grub/grub.cfg-default-x86_64", "/%2e%2e/x"} {
		f.Add(p, "mac=52:54:00:77:e1:97&uuid=x&arch=7", "GET")
	}
	f.Fuzz(func(t *testing.T, path, query, method string) {
		s, err := New(Config{
			Resolver: Static(Profile{Kernel: "f", Cmdline: "mac={mac} uuid={uuid} arch={arch}"}),
			Files:    fstest.MapFS{"f": {Data: []byte("inside")}},
			Loaders:  fstest.MapFS{},
		})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code >= 300 && w.Code < 400 && w.Code != http.StatusNotModified {
			t.Errorf("%s %q redirects: %d", method, path, w.Code)
		}
	})
}

func BenchmarkConfig(b *testing.B) {
	s, err := New(Config{Resolver: Static(Profile{Name: "p", Kernel: "vmlinuz", Initrd: []string{"initrd"}, Cmdline: "console=ttyS0 BOOTIF={bootif}"})})
	if err != nil {
		b.Fatal(err)
	}
	in := inbound{proto: firmware.HTTP, path: "/boot/52-54-00-77-e1-97/script.ipxe"}
	b.ReportAllocs()
	for b.Loop() {
		c, _, err := s.open(b.Context(), in)
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}

func BenchmarkSelect(b *testing.B) {
	methods := firmware.Methods()
	c := firmware.Client{Arch: []firmware.Arch{firmware.ArchBIOS}, VendorClass: "PXEClient:Arch:00000:UNDI:002001", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := firmware.Select(methods, c, firmware.Endpoint{}); !ok {
			b.Fatal("no method")
		}
	}
}
