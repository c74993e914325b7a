package proxy_test

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"testing"

	"github.com/gomaas/maas/proxy"
)

// BenchmarkHit measures requests over loopback connections, the client's work included.
func BenchmarkHit(b *testing.B) {
	for _, size := range []int{1 << 10, 1 << 20, 64 << 20} {
		b.Run(strconv.Itoa(size>>10)+"KiB", func(b *testing.B) { benchmark(b, size, func(int) string { return "/a" }) })
	}
}

// BenchmarkMiss fetches another URL each time.
func BenchmarkMiss(b *testing.B) {
	for _, size := range []int{1 << 10, 1 << 20} {
		b.Run(strconv.Itoa(size>>10)+"KiB", func(b *testing.B) {
			benchmark(b, size, func(i int) string { return "/" + strconv.Itoa(i) })
		})
	}
}

func benchmark(b *testing.B, size int, path func(int) string) {
	body := bytes.Repeat([]byte("x"), size)
	env := setUp(b, proxy.CacheConfig{Limit: 256 << 20}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Content-Length", strconv.Itoa(size))
		w.Write(body)
	})
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		resp, err := env.client.Get(env.origin.URL + path(i))
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(size) {
			b.Fatal(n, err)
		}
		resp.Body.Close()
	}
}
