package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/internal/smalldisk"
	"github.com/gomaas/maas/proxy"
)

// Whatever happens to the disk of the cache, clients get what the origin has. Only a body of unknown
// length may end in the middle when the disk runs full, which its client notices; the next ones pass
// through.
func TestCacheOnAFullDisk(t *testing.T) {
	const size = 40_000
	body := func(path string) string { return strings.Repeat(path+"\n", size/(len(path)+1)) }
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		if r.URL.Query().Has("chunked") {
			w.(http.Flusher).Flush() // of unknown length
		}
		fmt.Fprint(w, body(r.URL.Path))
	}
	for name, minFree := range map[string]int64{"to the last octet": -1, "with a floor": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			smalldisk.Run(t, 1<<20, func(disk smalldisk.Disk) {
				cfg := proxy.CacheConfig{Dir: filepath.Join(disk.Dir, "cache"), Limit: 1 << 30, MinFree: minFree}
				b := setUp(t, cfg, origin)
				broken := 0
				get := func(path string) {
					t.Helper()
					name, chunked := strings.CutSuffix(path, "?chunked")
					resp, err := b.client.Get(b.origin.URL + path)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					got, err := io.ReadAll(resp.Body)
					if err != nil && chunked {
						broken++
					} else if err != nil || resp.StatusCode != 200 || string(got) != body(name) {
						t.Errorf("%s: %s, %d octets, %v", path, resp.Status, len(got), err)
					}
				}
				get("/kept")
				for i := range 40 { // 1.6 MB of it
					get(fmt.Sprint("/run-full/", i, []string{"", "?chunked"}[i%2]))
				}
				disk.Fill()
				for i := range 10 {
					get(fmt.Sprint("/full/", i))
				}
				disk.Empty()
				disk.ReadOnly(func() {
					for i := range 10 {
						get(fmt.Sprint("/read-only/", i))
					}
				})
				for i := range 40 {
					get(fmt.Sprint("/run-full/", i, []string{"", "?chunked"}[i%2]))
				}
				for i := range 10 {
					get(fmt.Sprint("/full/", i))
					get(fmt.Sprint("/read-only/", i))
				}
				if broken > 1 {
					t.Errorf("%d bodies broke off", broken)
				}
			})
		})
	}
}
