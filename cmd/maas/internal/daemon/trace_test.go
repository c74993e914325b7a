package daemon

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/cmd/maas/internal/config"
)

// A region that is stopped has sent all its spans, and nothing of it runs any more.
func TestTracesAreSentBeforeTheEnd(t *testing.T) {
	before := goleak.IgnoreCurrent()
	var mu sync.Mutex
	var got bytes.Buffer
	fakeCollector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.Copy(&got, r.Body)
	}))
	defer fakeCollector.Close()
	cfg := config.Config{
		Data: t.TempDir(), Trace: config.Trace{Endpoint: fakeCollector.URL},
		Region: config.Region{Name: "region-1", Listen: "127.0.0.1:0", Racks: "127.0.0.1:0"},
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- Region(ctx, cfg, slog.New(slog.DiscardHandler), func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", SocketPath(cfg.Data))
	}}
	resp, err := (&http.Client{Transport: transport}).PostForm("http://maas/MAAS/api/2.0/fabrics/", map[string][]string{"name": {"sesame"}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	fakeCollector.Close()
	text := got.String()
	for _, want := range []string{"POST /MAAS/api/2.0/fabrics/", "region-1", "publish", "commit"} {
		if !strings.Contains(text, want) {
			t.Errorf("the collector has no %q", want)
		}
	}
	if strings.Contains(text, "sesame") {
		t.Error("the collector has what was in the form")
	}
	goleak.VerifyNone(t, before)
}
