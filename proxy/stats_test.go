package proxy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/proxy"
)

func TestStats(t *testing.T) {
	b := setUp(t, proxy.CacheConfig{}, answering("12345", "Cache-Control", "max-age=60"))
	for _, path := range []string{"/a", "/a", "/a", "/b"} {
		b.do(t, "GET", path)
	}
	get(t, b.client, "http://127.0.0.1:25/")
	s := counted(t, b.handler, 5)
	if s.Requests != 5 || s.Refused != 1 || s.Failed != 0 || s.Cache.Hits != 2 || time.Since(s.Since) > time.Minute {
		t.Errorf("%+v", s)
	}
	if n := s.Subnets[0]; n.Prefix != loopback[0] || n.Requests != 5 || n.Hits != 2 || n.Saved != 10 {
		t.Errorf("%+v", n)
	}
	if o := s.Objects[1]; o.Name != b.origin.URL+"/a" || o.Requests != 3 || o.Hits != 2 || o.Bytes != 15 {
		t.Errorf("%+v", s.Objects)
	}
	if len(s.Clients) != 1 || s.Clients[0].Name != "127.0.0.1" {
		t.Errorf("%+v", s.Clients)
	}
	for i := range 1000 {
		b.do(t, "HEAD", fmt.Sprint("/once/", i))
	}
	if s = counted(t, b.handler, 1005); len(s.Objects) != 256 || s.Objects[0].Bytes < 15 {
		t.Errorf("%d objects, first %+v", len(s.Objects), s.Objects[0])
	}
	if _, err := json.Marshal(s); err != nil {
		t.Error(err)
	}
}

// counted returns the statistics after that many requests. The last may be counted a moment after its answer.
func counted(t *testing.T, p *proxy.Proxy, requests uint64) proxy.Stats {
	t.Helper()
	eventually(t, fmt.Sprint(requests, " requests are counted"), func() bool { return p.Stats().Requests >= requests })
	return p.Stats()
}

func TestAccessLogs(t *testing.T) {
	a := proxy.Access{
		Time: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), Client: netip.MustParseAddr("192.0.2.7"), Method: "GET",
		URL: "http://a/\x00\"", Proto: "HTTP/1.1", Status: 200, Bytes: 5, Cache: "hit", Duration: 7 * time.Millisecond,
	}
	var out bytes.Buffer
	proxy.CommonLog(&out)(a)
	want := `192.0.2.7 - - [22/Nov/2026:12:00:00 +0000] "GET http://a/\x00\" HTTP/1.1" 200 5 "hit" 7` + "\n"
	if want = strings.Replace(want, `/\x00"`, `/\x00\"`, 1); out.String() != want {
		t.Errorf("got  %swant %s", out.String(), want)
	}
	out.Reset()
	proxy.LogAccess(slog.New(slog.NewTextHandler(&out, nil)))(a)
	if !strings.Contains(out.String(), "msg=request client=192.0.2.7 method=GET") || !strings.Contains(out.String(), "bytes=5 cache=hit took=7ms") {
		t.Error(out.String())
	}
}
