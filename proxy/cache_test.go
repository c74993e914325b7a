package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomaas/maas/proxy"
)

// bench is an origin behind a caching proxy, and clients.
type bench struct {
	cache   *proxy.Cache
	handler *proxy.Proxy
	proxy   *httptest.Server
	origin  *httptest.Server
	asked   atomic.Int64 // requests that reached the origin
	client  *http.Client
}

// setUp serves the handler through a cache in dir, "" for a new one.
func setUp(t testing.TB, cfg proxy.CacheConfig, handler http.HandlerFunc) *bench {
	t.Helper()
	return setUpAt(t, cfg, "127.0.0.1:0", handler)
}

func setUpAt(t testing.TB, cfg proxy.CacheConfig, address string, handler http.HandlerFunc) *bench {
	t.Helper()
	b := &bench{}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	b.origin = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.asked.Add(1)
		handler(w, r)
	}))
	b.origin.Listener.Close()
	b.origin.Listener = ln
	b.origin.Start()
	t.Cleanup(b.origin.Close)
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Limit == 0 {
		cfg.Limit = 1 << 30
	}
	if b.cache, err = proxy.OpenCache(cfg); err != nil {
		t.Fatal(err)
	}
	p := proxy.New(proxy.Config{Cache: b.cache})
	policy := open
	policy.Routes = []proxy.Route{{Prefix: "/mirror/", Origin: b.origin.URL + "/"}}
	if err := p.Update(policy); err != nil {
		t.Fatal(err)
	}
	b.handler = p
	b.proxy = httptest.NewServer(p)
	u, _ := url.Parse(b.proxy.URL)
	b.client = &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(u), DisableCompression: true, MaxIdleConnsPerHost: 200}}
	t.Cleanup(func() {
		b.client.CloseIdleConnections()
		b.proxy.Close()
		b.cache.Close()
	})
	return b
}

// do sends a request with header lines in pairs, and returns the answer with its body read as far as it came.
func (b *bench) do(t testing.TB, method, path string, pairs ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.origin.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Add(pairs[i], pairs[i+1])
	}
	resp, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp, string(body)
}

func answering(body string, pairs ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(pairs); i += 2 {
			w.Header().Add(pairs[i], pairs[i+1])
		}
		if r.Header.Get("If-None-Match") != "" && r.Header.Get("If-None-Match") == w.Header().Get("Etag") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, body)
	}
}

func TestCacheAnswersAgain(t *testing.T) {
	b := setUp(t, proxy.CacheConfig{}, answering("kept", "Cache-Control", "max-age=60", "Etag", `"a"`))
	for range 3 {
		if resp, body := b.do(t, "GET", "/a"); resp.StatusCode != 200 || body != "kept" {
			t.Fatal(resp.Status, body)
		}
	}
	resp, body := b.do(t, "HEAD", "/a")
	if resp.ContentLength != 4 || body != "" || resp.Header.Get("Age") == "" || resp.Header.Get("Cache-Status") != "maas; hit" {
		t.Error(resp.Header)
	}
	if resp, body := b.do(t, "GET", "/a", "Range", "bytes=1-2"); resp.StatusCode != 206 || body != "ep" || resp.Header.Get("Content-Range") != "bytes 1-2/4" {
		t.Error(resp.Status, body, resp.Header)
	}
	if resp, _ := b.do(t, "GET", "/a", "Range", "bytes=4-"); resp.StatusCode != 416 || resp.Header.Get("Content-Range") != "bytes */4" {
		t.Error(resp.Status, resp.Header)
	}
	if resp, body := b.do(t, "GET", "/a", "Range", "bytes=1-2", "If-Range", `"b"`); resp.StatusCode != 200 || body != "kept" {
		t.Error(resp.Status, body)
	}
	if resp, _ := b.do(t, "GET", "/a", "If-None-Match", `"a"`); resp.StatusCode != 304 || resp.Header.Get("Etag") != `"a"` {
		t.Error(resp.Status)
	}
	if n := b.asked.Load(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
	s := b.cache.Stats()
	if s.Hits != 7 || s.Misses != 1 || s.Objects != 1 || s.FetchedBytes != 4 || s.SavedBytes() == 0 {
		t.Errorf("%+v", s)
	}
}

func TestCacheValidates(t *testing.T) {
	b := setUp(t, proxy.CacheConfig{}, answering("kept", "Cache-Control", "no-cache", "Etag", `"a"`))
	for range 3 {
		if resp, body := b.do(t, "GET", "/a"); resp.StatusCode != 200 || body != "kept" {
			t.Fatal(resp.Status, body)
		}
	}
	if s := b.cache.Stats(); s.Validated != 2 || b.asked.Load() != 3 || s.FetchedBytes != 4 {
		t.Errorf("%+v", s)
	}
}

func TestCacheKeepsVariantsApart(t *testing.T) {
	b := setUp(t, proxy.CacheConfig{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language")
		io.WriteString(w, r.Header.Get("Accept-Language"))
	})
	for range 2 {
		for _, language := range []string{"de", "en", ""} {
			if _, body := b.do(t, "GET", "/a", "Accept-Language", language); body != language {
				t.Errorf("%q for %q", body, language)
			}
		}
	}
	if n := b.asked.Load(); n != 3 {
		t.Errorf("the origin was asked %d times", n)
	}
}

func TestCacheKeepsWhatIsPrivateFromOthers(t *testing.T) {
	for _, pairs := range [][]string{
		{"Cache-Control", "private, max-age=60"},
		{"Cache-Control", "no-store"},
		{"Cache-Control", "max-age=60", "Vary", "*"},
	} {
		b := setUp(t, proxy.CacheConfig{}, answering("x", pairs...))
		b.do(t, "GET", "/a")
		b.do(t, "GET", "/a")
		if n := b.asked.Load(); n != 2 {
			t.Errorf("%v: the origin was asked %d times", pairs, n)
		}
	}
	b := setUp(t, proxy.CacheConfig{}, answering("x", "Cache-Control", "max-age=60"))
	b.do(t, "GET", "/a", "Authorization", "Basic eDp5")
	b.do(t, "GET", "/a")
	if n := b.asked.Load(); n != 2 {
		t.Errorf("Authorization: the origin was asked %d times", n)
	}
}

func TestUnsafeMethodsInvalidate(t *testing.T) {
	b := setUp(t, proxy.CacheConfig{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Method == "POST" {
			w.Header().Set("Location", "/b")
		}
	})
	for _, method := range []string{"GET", "POST", "GET"} {
		b.do(t, method, "/a")
		b.do(t, "GET", "/b")
	}
	if n := b.asked.Load(); n != 2+2+1 {
		t.Errorf("the origin was asked %d times", n)
	}
}

func TestOnlyIfCached(t *testing.T) {
	b := setUp(t, proxy.CacheConfig{}, answering("x", "Cache-Control", "max-age=60"))
	if resp, _ := b.do(t, "GET", "/a", "Cache-Control", "only-if-cached"); resp.StatusCode != 504 || b.asked.Load() != 0 {
		t.Error(resp.Status)
	}
}

// An origin that is away does not take the packages along.
func TestCacheAnswersWhileTheOriginIsAway(t *testing.T) {
	b := setUp(t, proxy.CacheConfig{}, answering("index", "Cache-Control", "max-age=60, s-maxage=30, proxy-revalidate", "Etag", `"a"`))
	const index = "/ubuntu/dists/noble/InRelease"
	b.do(t, "GET", index)
	if b.do(t, "GET", index); b.asked.Load() != 2 {
		t.Errorf("the index was not validated: %d requests", b.asked.Load())
	}
	b.origin.CloseClientConnections()
	b.origin.Listener.Close()
	if resp, body := b.do(t, "GET", index); resp.StatusCode != 200 || body != "index" {
		t.Error(resp.Status, body)
	}
	if resp, _ := b.do(t, "GET", "/new"); resp.StatusCode != 502 {
		t.Error(resp.Status)
	}
}

// Names with a hash never get other content, so nothing said about them counts.
func TestHashedNamesAreImmutable(t *testing.T) {
	digest := strings.Repeat("0123456789abcdef", 4)
	b := setUp(t, proxy.CacheConfig{}, answering("x", "Cache-Control", "no-cache", "Last-Modified", "Sun, 22 Nov 2026 12:00:00 GMT"))
	for _, path := range []string{
		"/ubuntu/dists/noble/main/by-hash/SHA256/00ff", "/debian/dists/sid/main/by-hash/MD5Sum/00ff", "/el9/repodata/" + digest + "-primary.xml.gz",
		"/el9/repodata/" + digest + "-filelists.sqlite.bz2", "/v2/library/ubuntu/blobs/sha256:" + digest, "/v2/a/b/c/manifests/sha256:" + digest,
	} {
		b.asked.Store(0)
		b.do(t, "GET", path)
		b.do(t, "GET", path)
		b.do(t, "GET", path, "Cache-Control", "no-cache")
		if b.do(t, "GET", path, "Cache-Control", "max-age=0"); b.asked.Load() != 1 {
			t.Errorf("%s: the origin was asked %d times", path, b.asked.Load())
		}
	}
}

// Files without a hash in their name are published again under it. What is older than a minute, or has
// no version in its name, is validated; so is what origin or client want to be.
func TestPublishedAgain(t *testing.T) {
	const deb, versioned, rpm, latest = "/pool/main/t/tool/tool_amd64.deb", "/pool/t/tool_1.2-3_amd64.deb", "/el9/x/tool-1.2-3.el9.x86_64.rpm", "/el9/x/tool-latest.x86_64.rpm"
	for _, c := range []struct {
		path, origin, client string
		again                bool
	}{
		{path: deb, again: true}, {path: latest, again: true}, {path: "/tool.deb", again: true}, {path: "/pool/t/tool.orig.tar.xz", again: true},
		{path: versioned}, {path: rpm}, {path: "/debian/pool/main/t/tool_1.2-3.dsc"}, {path: "/pool/t/tool_1.2.orig.tar.xz"}, {path: "/any/where/tool_1%3a2.0~rc1_all.deb"},
		{path: "/images/ubuntu/noble/20261122.1/root.img"},
		{path: versioned, client: "no-cache", again: true}, {path: versioned, client: "max-age=0", again: true}, {path: rpm, client: "no-cache", again: true},
		{path: versioned, origin: "no-cache", again: true}, {path: rpm, origin: "max-age=0", again: true}, {path: versioned, origin: "s-maxage=0", again: true},
		{path: versioned, origin: "private", again: true}, {path: rpm, origin: "no-store", again: true}, {path: rpm, origin: "must-revalidate, max-age=0", again: true},
		{path: versioned, origin: "expired", again: true},
		{path: deb, origin: "max-age=3600"}, {path: latest, origin: "public, max-age=3600"}, {path: deb, origin: "s-maxage=60"},
		{path: deb, origin: "max-age=3600", client: "no-cache", again: true}, {path: deb, origin: "max-age=3600", client: "max-age=0", again: true},
		{path: "/ubuntu/dists/noble/InRelease", origin: "max-age=3600", again: true}, {path: "/el9/repodata/repomd.xml", origin: "max-age=3600", again: true},
		{path: "/streams/v1/index.sjson", again: true},
	} {
		t.Run(c.path+" "+c.origin+" "+c.client, func(t *testing.T) {
			release := 1
			b := setUp(t, proxy.CacheConfig{}, func(w http.ResponseWriter, r *http.Request) {
				tag := fmt.Sprintf(`"r%d"`, release)
				w.Header().Set("ETag", tag)
				w.Header().Set("Last-Modified", "Sun, 22 Nov 2026 12:00:00 GMT") // the publisher keeps times
				switch c.origin {
				case "":
				case "expired":
					w.Header().Set("Expires", "0")
				default:
					w.Header().Set("Cache-Control", c.origin)
				}
				if r.Header.Get("If-None-Match") == tag {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				fmt.Fprint(w, "release ", release)
			})
			var field []string
			if c.client != "" {
				field = []string{"Cache-Control", c.client}
			}
			want := "release 1"
			for range 2 { // the second time costs a validation at most
				if _, body := b.do(t, "GET", c.path, field...); body != want {
					t.Fatal(body)
				}
			}
			release = 2
			if c.again {
				want = "release 2"
			}
			if _, body := b.do(t, "GET", c.path, field...); body != want {
				t.Errorf("got %q, want %q", body, want)
			}
		})
	}
}

func TestStaleWhileRevalidate(t *testing.T) {
	var version atomic.Int64
	b := setUp(t, proxy.CacheConfig{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
		w.Header().Set("Etag", fmt.Sprintf(`"%d"`, version.Add(1)))
		fmt.Fprint(w, version.Load())
	})
	b.do(t, "GET", "/a")
	if _, body := b.do(t, "GET", "/a"); body != "1" {
		t.Errorf("the client waited for %q", body)
	}
	eventually(t, "the refreshed response is served", func() bool {
		_, body := b.do(t, "GET", "/a")
		return body != "1"
	})
}

func TestRoutes(t *testing.T) {
	b := setUp(t, proxy.CacheConfig{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, r.Host+r.URL.RequestURI())
	})
	direct := &http.Client{Transport: &http.Transport{}}
	defer direct.CloseIdleConnections()
	want := strings.TrimPrefix(b.origin.URL, "http://") + "/img/a%2Fb?q=1"
	for range 2 {
		if code, body := get(t, direct, b.proxy.URL+"/mirror/img/a%2Fb?q=1"); code != 200 || body != want {
			t.Errorf("%d %s", code, body)
		}
	}
	for _, path := range []string{"/mirror/%2e%2e/x", "/other"} {
		if code, _ := get(t, direct, b.proxy.URL+path); code != 400 {
			t.Errorf("%s: %d", path, code)
		}
	}
	if n := b.asked.Load(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
}

func TestPurge(t *testing.T) {
	b := setUp(t, proxy.CacheConfig{}, answering("x", "Cache-Control", "max-age=60"))
	for _, path := range []string{"/a/1", "/a/2", "/b"} {
		b.do(t, "GET", path)
	}
	if n := b.cache.PurgePrefix(b.origin.URL + "/a/"); n != 2 {
		t.Error(n)
	}
	if n := b.cache.Purge(b.origin.URL + "/b#x"); n != 1 || b.cache.Stats().Objects != 0 {
		t.Error(n, b.cache.Stats())
	}
}

func TestCacheOutlivesTheProcess(t *testing.T) {
	dir, handler := t.TempDir(), answering("kept", "Cache-Control", "max-age=60")
	b := setUp(t, proxy.CacheConfig{Dir: dir}, handler)
	b.do(t, "GET", "/a")
	b.proxy.Close()
	b.cache.Close()
	again, err := proxy.OpenCache(proxy.CacheConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if s := again.Stats(); s.Objects != 1 || s.Limit > 20<<30 || s.Limit <= 0 {
		t.Errorf("%+v", s)
	}
}

// A hundred machines that install at once cost the origin one transfer, and none waits for its end to begin.
func TestOneFetchForAHundredClients(t *testing.T) {
	const size, clients = 1 << 20, 100
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	gate := make(chan struct{})
	b := setUp(t, proxy.CacheConfig{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		w.Header().Set("Last-Modified", "Sun, 22 Nov 2026 12:00:00 GMT")
		w.Write(body[:size/2])
		w.(http.Flusher).Flush()
		<-gate
		w.Write(body[size/2:])
	})
	var began, done sync.WaitGroup
	for range clients {
		began.Add(1)
		done.Go(func() {
			resp, err := b.client.Get(b.origin.URL + "/pool/x.deb")
			if err != nil {
				t.Error(err)
				began.Done()
				return
			}
			defer resp.Body.Close()
			half := make([]byte, size/2)
			_, err = io.ReadFull(resp.Body, half)
			began.Done()
			rest, err2 := io.ReadAll(resp.Body)
			if err != nil || err2 != nil || !bytes.Equal(append(half, rest...), body) {
				t.Errorf("%d bytes, %v, %v", len(half)+len(rest), err, err2)
			}
		})
	}
	began.Wait() // all have half of it while the origin holds back the rest
	close(gate)
	done.Wait()
	if n := b.asked.Load(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
	if s := b.cache.Stats(); s.FetchedBytes != size || s.SavedBytes() != (clients-1)*size {
		t.Errorf("%+v", s)
	}
}

// A leader that goes away does not take its followers along.
func TestLeaderGoesAway(t *testing.T) {
	asked, gate := make(chan struct{}, 2), make(chan struct{})
	b := setUp(t, proxy.CacheConfig{}, func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-gate:
		case <-r.Context().Done():
		}
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "kept")
	})
	ctx, leave := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", b.origin.URL+"/a", nil)
	go b.client.Do(r)
	<-asked
	answer, sent := make(chan string), make(chan struct{})
	follower := announced(t.Context(), t, b.origin.URL+"/a", func() { close(sent) })
	go func() {
		resp, err := b.client.Do(follower)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-sent
	leave()
	<-asked
	close(gate)
	if body := <-answer; body != "kept" {
		t.Errorf("%q", body)
	}
}

// lying serves raw bytes as an origin's answer and closes the connection, or holds it open.
func lying(t *testing.T, answer string, hold bool) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 4096))
				io.WriteString(conn, answer)
				if hold {
					_, _ = io.Copy(io.Discard, conn)
				}
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}

// Whatever an origin does wrong, its half answers are neither kept nor taken for whole ones.
func TestBadOriginsDoNotPoison(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
	for name, c := range map[string]struct {
		answer string
		hold   bool
		whole  bool // the client may take it for whole
	}{
		"truncated":                {good + "Content-Length: 100\r\n\r\nhalf", false, false},
		"truncated chunks":         {good + "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", false, false},
		"stalls":                   {good + "Content-Length: 100\r\n\r\nhalf", true, false},
		"ends with the connection": {good + "\r\nwhole?", false, true},
		"two lengths":              {good + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nwhole", false, false},
		"endless header":           {good + "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", false, false},
		"too large":                {good + "Transfer-Encoding: chunked\r\n\r\n80000\r\n" + strings.Repeat("x", 0x80000) + "\r\n0\r\n\r\n", false, false},
		"larger than it says":      {good + "Content-Length: 4\r\n\r\nbodyHTTP/1.1 200 OK\r\n\r\n", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := setUp(t, proxy.CacheConfig{Limit: 1 << 20, MaxObject: 256 << 10, Idle: 100 * time.Millisecond}, answering(""))
			url := lying(t, c.answer, c.hold)
			resp, err := b.client.Get(url + "/a")
			whole := false
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
				whole = err == nil && resp.StatusCode == 200
			}
			if whole != c.whole {
				t.Errorf("whole: %t, %v", whole, err)
			}
			if s := b.cache.Stats(); s.Objects > 0 && name != "larger than it says" {
				t.Errorf("%+v", s)
			}
		})
	}
}
