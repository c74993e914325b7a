package proxy_test

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/proxy"
)

// diskUse returns the bytes of the files below a directory.
func diskUse(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, _ error) error {
		if d == nil {
			return nil
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}

// Bodies that come in count against the limit, however many there are, and those that are not kept arrive all the same.
func TestBodiesThatComeInCountAgainstTheLimit(t *testing.T) {
	const limit, many = 10 << 20, 30
	for name, tt := range map[string]struct {
		object  int64
		minFree int64
		known   bool // the origin tells the length
		most    int64
	}{
		"large":           {5 << 20, -1, true, limit},
		"as the limit":    {limit, -1, true, limit},
		"many small":      {400 << 10, -1, true, limit},
		"unknown lengths": {500 << 10, -1, false, limit},
		"a full disk":     {1 << 20, 1 << 60, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			hold := make(chan struct{})
			var arrived sync.WaitGroup
			arrived.Add(many)
			origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=3600")
				if tt.known {
					w.Header().Set("Content-Length", strconv.FormatInt(tt.object, 10))
				}
				w.Write(make([]byte, tt.object-1))
				w.(http.Flusher).Flush()
				arrived.Done()
				<-hold
				w.Write([]byte{1})
			}))
			defer origin.Close()
			dir := t.TempDir()
			cache, err := proxy.OpenCache(proxy.CacheConfig{Dir: dir, Limit: limit, MaxObject: limit, MinFree: tt.minFree})
			if err != nil {
				t.Fatal(err)
			}
			defer cache.Close()
			p := proxy.New(proxy.Config{Cache: cache})
			loop := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			if err := p.Update(proxy.Policy{Allow: loop, AllowLocal: loop}); err != nil {
				t.Fatal(err)
			}
			front := httptest.NewServer(p)
			defer front.Close()
			at, err := url.Parse(front.URL)
			if err != nil {
				t.Fatal(err)
			}
			client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(at)}, Timeout: time.Minute}
			defer client.CloseIdleConnections()
			results := make(chan error, many)
			for i := range many {
				go func() {
					resp, err := client.Get(origin.URL + "/" + strconv.Itoa(i))
					if err == nil {
						var n int64
						n, err = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
						if err == nil && n != tt.object {
							err = fmt.Errorf("%d of %d bytes", n, tt.object)
						}
					}
					results <- err
				}()
			}
			arrived.Wait()
			if n := diskUse(dir); n > tt.most+limit/10 {
				t.Errorf("%d MB on disk of a limit of %d MB while the bodies come in", n>>20, tt.most>>20)
			}
			close(hold)
			for range many {
				if err := <-results; err != nil {
					t.Errorf("a body that was not kept: %v", err)
				}
			}
			if n := diskUse(dir); n > tt.most+limit/10 {
				t.Errorf("%d MB on disk of a limit of %d MB afterwards", n>>20, tt.most>>20)
			}
		})
	}
}
