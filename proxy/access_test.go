package proxy_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"testing"

	"github.com/gomaas/maas/proxy"
)

func TestAccessTellsOfEveryRequest(t *testing.T) {
	origin := httptest.NewServer(answering("kept", "Cache-Control", "max-age=60"))
	defer origin.Close()
	secure := httptest.NewTLSServer(answering("x"))
	defer secure.Close()
	cache, err := proxy.OpenCache(proxy.CacheConfig{Dir: t.TempDir(), Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	seen := make(chan proxy.Access, 9)
	p := proxy.New(proxy.Config{Cache: cache, Access: func(a proxy.Access) { seen <- a }})
	policy := open
	policy.TunnelPorts = portsOf(t, secure.URL)
	if err := p.Update(policy); err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(p)
	defer front.Close()
	through, _ := url.Parse(front.URL)
	transport := &http.Transport{Proxy: http.ProxyURL(through), TLSClientConfig: secure.Client().Transport.(*http.Transport).TLSClientConfig}
	client := &http.Client{Transport: transport}
	for _, want := range []proxy.Access{
		{URL: origin.URL + "/a", Status: 200, Bytes: 4, Cache: "fwd=miss; stored"},
		{URL: origin.URL + "/a", Status: 200, Bytes: 4, Cache: "hit"},
		{URL: "http://127.0.0.1:25/", Status: 403, Bytes: 47},
	} {
		get(t, client, want.URL)
		got := <-seen
		if got.URL != want.URL || got.Status != want.Status || got.Bytes != want.Bytes || got.Cache != want.Cache ||
			got.Client != netip.MustParseAddr("127.0.0.1") || got.Method != "GET" || got.Duration <= 0 || got.Time.IsZero() {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	get(t, client, secure.URL)
	transport.CloseIdleConnections()
	if got := <-seen; got.Method != "CONNECT" || got.URL != secure.Listener.Addr().String() || got.Status != 200 || got.Bytes == 0 {
		t.Errorf("%+v", got)
	}
}

// What counts bytes must not cost sendfile: files reach the connection as files.
func TestAccessKeepsSendfile(t *testing.T) {
	var w http.ResponseWriter = &filesOnly{ResponseWriter: httptest.NewRecorder()}
	cache, err := proxy.OpenCache(proxy.CacheConfig{Dir: t.TempDir(), Limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	origin := httptest.NewServer(answering(string(make([]byte, 1<<20)), "Cache-Control", "max-age=60"))
	defer origin.Close()
	p := proxy.New(proxy.Config{Cache: cache, Access: func(proxy.Access) {}})
	if err := p.Update(open); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", origin.URL+"/a", nil)
	r.RemoteAddr = "127.0.0.1:4000"
	p.ServeHTTP(w, r)
	if files := w.(*filesOnly).files; files == 0 {
		t.Error("the body was copied")
	}
}

type filesOnly struct {
	http.ResponseWriter
	files int
}

func (f *filesOnly) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if _, ok := limited.R.(*os.File); ok {
			f.files++
		}
	}
	return io.Copy(io.Discard, r)
}
