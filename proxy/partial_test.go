package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomaas/maas/proxy"
)

// image is an origin's file of several megabytes, which the origin sends by ranges, and breaks off after some bytes.
type image struct {
	mu      sync.Mutex
	body    []byte
	etag    string
	breaks  int // how many of the next answers break off
	after   int // that many bytes
	ranges  []string
	sent    atomic.Int64
	refuses atomic.Bool
}

func newImage(size int) *image {
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(rand.Uint32())
	}
	return &image{body: body, etag: `"one"`}
}

func (i *image) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	body, etag, cut := i.body, i.etag, -1
	i.ranges = append(i.ranges, r.Header.Get("Range"))
	if i.breaks > 0 {
		i.breaks--
		cut = i.after
	}
	i.mu.Unlock()
	if i.refuses.Load() {
		http.Error(w, "no", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Etag", etag)
	w.Header().Set("Cache-Control", "max-age=3600")
	http.ServeContent(&breaking{w, cut, &i.sent}, r, "", time.Time{}, bytes.NewReader(body))
}

// breaking ends the connection after some bytes.
type breaking struct {
	http.ResponseWriter
	left int // -1: all
	sent *atomic.Int64
}

func (b *breaking) Write(p []byte) (int, error) {
	if b.left >= 0 && len(p) > b.left {
		n, _ := b.ResponseWriter.Write(p[:b.left])
		b.sent.Add(int64(n))
		panic(http.ErrAbortHandler)
	}
	n, err := b.ResponseWriter.Write(p)
	if b.sent.Add(int64(n)); b.left >= 0 {
		b.left -= n
	}
	return n, err
}

// A connection that breaks is the proxy's business: the client gets the whole body, and the origin sends each byte once.
func TestABrokenTransferGoesOn(t *testing.T) {
	i := newImage(5 << 20)
	i.breaks, i.after = 3, 1200<<10
	b := setUp(t, proxy.CacheConfig{}, i.ServeHTTP)
	resp, body := b.do(t, "GET", "/image")
	if resp.StatusCode != 200 || body != string(i.body) {
		t.Fatalf("%s, %d bytes", resp.Status, len(body))
	}
	if s := b.cache.Stats(); s.Resumed != 3 || s.Objects != 1 || s.FetchedBytes != 5<<20 {
		t.Errorf("%+v", s)
	}
	for _, field := range i.ranges[1:] {
		if !strings.HasPrefix(field, "bytes=") || strings.HasPrefix(field, "bytes=0-") {
			t.Errorf("asked for %q", i.ranges)
		}
	}
	if resp, body := b.do(t, "GET", "/image"); resp.Header.Get("Cache-Status") != "maas; hit" || body != string(i.body) {
		t.Error(resp.Header)
	}
}

// What an origin that stays away sent is kept, through a restart too, until it can be asked for the rest.
func TestWhatIsThereIsKept(t *testing.T) {
	dir := t.TempDir()
	i := newImage(5 << 20)
	i.breaks, i.after = 1, 3<<20
	b := setUp(t, proxy.CacheConfig{Dir: dir}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		i.ServeHTTP(w, r)
	})
	if _, body := b.do(t, "GET", "/image"); len(body) < 2<<20 || len(body) == len(i.body) {
		t.Fatalf("%d bytes", len(body))
	}
	waitForObject(t, b)
	address := b.origin.Listener.Addr().String()
	b.client.CloseIdleConnections()
	b.proxy.Close()
	b.cache.Close()
	b.origin.Close()

	again := setUpAt(t, proxy.CacheConfig{Dir: dir}, address, i.ServeHTTP)
	i.sent.Store(0)
	resp, body := again.do(t, "GET", "/image")
	if resp.Header.Get("Cache-Status") != "maas; fwd=partial; stored" || body != string(i.body) || i.sent.Load() > 2<<20+copySlack {
		t.Errorf("%v, %d bytes, the origin sent %d", resp.Header, len(body), i.sent.Load())
	}
}

const copySlack = 1 << 20

func waitForObject(t *testing.T, b *bench) {
	t.Helper()
	eventually(t, "an object is kept", func() bool { return b.cache.Stats().Objects > 0 })
}

// Ranges are kept apart, joined, and answered from as long as they reach.
func TestRangesAreKeptApart(t *testing.T) {
	i := newImage(8 << 20)
	b := setUp(t, proxy.CacheConfig{}, i.ServeHTTP)
	ask := func(first, last int, status string) {
		t.Helper()
		resp, body := b.do(t, "GET", "/image", "Range", fmt.Sprintf("bytes=%d-%d", first, last))
		if resp.StatusCode != 206 || body != string(i.body[first:last+1]) ||
			resp.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", first, last, len(i.body)) {
			t.Errorf("%d-%d: %s %v, %d bytes", first, last, resp.Status, resp.Header, len(body))
		}
		if got := resp.Header.Get("Cache-Status"); got != "maas; "+status {
			t.Errorf("%d-%d: %s, want %s", first, last, got, status)
		}
		b.settle(t)
	}
	const mb = 1 << 20
	ask(4*mb, 5*mb-1, "fwd=miss; stored")
	ask(4*mb+7, 4*mb+9, "hit")
	ask(6*mb, 7*mb-1, "fwd=partial; stored")
	ask(4*mb, 7*mb-1, "fwd=partial; stored")
	ask(4*mb, 7*mb-1, "hit")
	if sent := i.sent.Load(); sent != 3*mb {
		t.Errorf("the origin sent %d bytes", sent)
	}
	resp, body := b.do(t, "GET", "/image")
	if resp.StatusCode != 200 || body != string(i.body) || i.sent.Load() != 8*mb {
		t.Errorf("%s, %d bytes, the origin sent %d", resp.Status, len(body), i.sent.Load())
	}
	if want := "bytes=4194304-5242879 bytes=6291456-7340031 bytes=5242880-6291455 bytes=0-4194303 bytes=7340032-8388607"; strings.Join(i.ranges, " ") != want {
		t.Errorf("asked for %v", i.ranges)
	}
}

// settle waits until no body comes in any more.
func (b *bench) settle(t *testing.T) {
	t.Helper()
	eventually(t, "all bodies have arrived", b.cache.Idle)
}

// A file that changed is never joined to parts of what it was.
func TestPartsOfAnotherVersionAreDropped(t *testing.T) {
	i := newImage(4 << 20)
	b := setUp(t, proxy.CacheConfig{}, i.ServeHTTP)
	b.do(t, "GET", "/image", "Range", "bytes=2097152-3145727")
	b.settle(t)
	i.mu.Lock()
	i.etag, i.body = `"two"`, bytes.Repeat([]byte("two "), 1<<20)
	i.mu.Unlock()
	for range 2 {
		if resp, body := b.do(t, "GET", "/image"); resp.StatusCode != 200 || body != string(i.body) {
			t.Errorf("%s, %d bytes", resp.Status, len(body))
		}
	}
	if s := b.cache.Stats(); s.Objects != 1 {
		t.Errorf("%+v", s)
	}
	i.mu.Lock() // in the middle of a transfer
	i.breaks, i.after, i.etag = 1, 2<<20, `"three"`
	i.mu.Unlock()
	changing := setUp(t, proxy.CacheConfig{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			i.mu.Lock()
			i.etag, i.body = `"four"`, bytes.Repeat([]byte("four"), 1<<20)
			i.mu.Unlock()
		}
		i.ServeHTTP(w, r)
	})
	if _, body := changing.do(t, "GET", "/image"); strings.Contains(body, "four") || len(body) == 4<<20 {
		t.Error("two versions were joined")
	}
	if _, body := changing.do(t, "GET", "/image"); body != string(i.body) {
		t.Errorf("%d bytes", len(body))
	}
}

// Without a strong validator nothing is joined.
func TestWeakValidatorsJoinNothing(t *testing.T) {
	i := newImage(3 << 20)
	i.etag = `W/"weak"`
	b := setUp(t, proxy.CacheConfig{}, i.ServeHTTP)
	for range 2 {
		if resp, body := b.do(t, "GET", "/image", "Range", "bytes=2097152-"); resp.StatusCode != 206 || body != string(i.body[2<<20:]) {
			t.Errorf("%s, %d bytes", resp.Status, len(body))
		}
	}
	if s := b.cache.Stats(); s.Objects != 0 {
		t.Errorf("%+v", s)
	}
}

// Clients that leave in the middle cost those after them nothing again, and many with ranges of their own get what they asked
// for, whatever order the parts come in.
func TestManyRangesAtOnce(t *testing.T) {
	i := newImage(6 << 20)
	i.breaks, i.after = 20, 300<<10
	b := setUp(t, proxy.CacheConfig{}, i.ServeHTTP)
	var clients sync.WaitGroup
	for n := range 40 {
		first := rand.IntN(len(i.body) - 1)
		last := min(len(i.body)-1, first+rand.IntN(2<<20))
		clients.Go(func() {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			r, _ := http.NewRequestWithContext(ctx, "GET", b.origin.URL+"/image", nil)
			if n%8 != 0 {
				r.Header.Set("Range", "bytes="+strconv.Itoa(first)+"-"+strconv.Itoa(last))
			} else {
				first, last = 0, len(i.body)-1
			}
			resp, err := b.client.Do(r)
			if err != nil {
				return
			}
			defer resp.Body.Close()
			if n%5 == 0 {
				io.CopyN(io.Discard, resp.Body, 1000)
				return
			}
			body, err := io.ReadAll(resp.Body)
			if err == nil && resp.StatusCode < 300 && !bytes.Equal(body, i.body[first:last+1]) {
				t.Errorf("%s %d-%d: %d bytes that are not the origin's", resp.Status, first, last, len(body))
			}
		})
	}
	clients.Wait()
	b.settle(t)
	i.mu.Lock()
	i.breaks = 0
	i.mu.Unlock()
	if resp, body := b.do(t, "GET", "/image"); resp.StatusCode != 200 || body != string(i.body) {
		t.Errorf("%s, %d bytes", resp.Status, len(body))
	}
}

// The stored parts of an image are served while its origin is away.
func TestPartsWhileTheOriginIsAway(t *testing.T) {
	i := newImage(4 << 20)
	b := setUp(t, proxy.CacheConfig{}, i.ServeHTTP)
	b.do(t, "GET", "/image", "Range", "bytes=2097152-3145727")
	b.settle(t)
	b.origin.CloseClientConnections()
	b.origin.Listener.Close()
	if resp, body := b.do(t, "GET", "/image", "Range", "bytes=2097153-2097155", "Cache-Control", "max-age=0"); resp.StatusCode != 206 || body != string(i.body[2<<20+1:2<<20+4]) {
		t.Error(resp.Status, len(body))
	}
	if resp, _ := b.do(t, "GET", "/image"); resp.StatusCode != 502 {
		t.Error(resp.Status)
	}
	b.settle(t)
	if resp, _ := b.do(t, "GET", "/image", "Range", "bytes=2097152-2097155"); resp.StatusCode != 206 {
		t.Error("a failure of the origin cost the parts", resp.Status)
	}
}

// An origin that lies about its parts gets nothing into a body.
func TestLiesAboutParts(t *testing.T) {
	for name, lie := range map[string]func(w http.ResponseWriter, body []byte){
		"another part": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Range", "bytes 0-1048575/4194304")
			w.WriteHeader(206)
			w.Write(body[:1<<20])
		},
		"another length": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Range", "bytes 2097152-4194303/4194305")
			w.WriteHeader(206)
			w.Write(body[2<<20:])
		},
		"another tag": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Range", "bytes 2097152-4194303/4194304")
			w.Header().Set("Etag", `"other"`)
			w.WriteHeader(206)
			w.Write(body[:2<<20])
		},
		"more than it says": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Range", "bytes 2097152-2097160/4194304")
			w.WriteHeader(206)
			w.Write(body[2<<20 : 2<<20+9])
			w.Write(body[:2<<20])
		},
		"no range at all": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Range", "bytes */x")
			w.WriteHeader(206)
			w.Write(body[:2<<20])
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newImage(4 << 20)
			i.breaks, i.after = 1, 2<<20
			lying := true
			b := setUp(t, proxy.CacheConfig{}, func(w http.ResponseWriter, r *http.Request) {
				if lying && r.Header.Get("Range") != "" {
					w.Header().Set("Etag", i.etag)
					lie(w, i.body)
					return
				}
				i.ServeHTTP(w, r)
			})
			if _, body := b.do(t, "GET", "/image"); !strings.HasPrefix(string(i.body), body) || len(body) == len(i.body) && name != "more than it says" {
				t.Errorf("%d bytes that are not the origin's", len(body))
			}
			b.settle(t)
			lying = false
			if _, body := b.do(t, "GET", "/image"); body != string(i.body) {
				t.Errorf("then %d bytes that are not the origin's", len(body))
			}
		})
	}
}
