package rack_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/rpc"
)

// loopback listens for a test.
func loopback(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func TestMetricsAndHealth(t *testing.T) {
	reg := openRegion(t, t.TempDir())
	defer reg.Close()
	r, err := rack.New(rack.Config{Dir: t.TempDir(), Dial: rpc.Loopback(reg.RPC(), "rack"), Files: files, Loaders: loaders})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	api, boot := loopback(t), loopback(t)
	done := make(chan error, 2)
	get := func(ln net.Listener, path string) (int, string) {
		t.Helper()
		resp, err := http.Get("http://" + ln.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	go func() { done <- r.Serve(ctx, rack.Sockets{HTTP: []net.Listener{boot}}) }()
	if code, _ := get(boot, "/healthz"); code != http.StatusOK {
		t.Errorf("healthz: %d", code)
	}
	go func() { done <- reg.Serve(ctx, region.Sockets{API: []net.Listener{api}}) }()
	eventually(t, "ready", func() bool {
		a, _ := get(api, "/readyz")
		b, _ := get(boot, "/readyz")
		return a == http.StatusOK && b == http.StatusOK
	})
	r.NoteLeases(errors.New("write /data/leases: no space left on device"))
	if code, text := get(boot, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "lease journal: cannot be written") || strings.Contains(text, "/data") {
		t.Errorf("with a full disk: %d %s", code, text)
	}
	if got := r.Report().Troubles["lease journal"]; !strings.Contains(got, "no space left on device") {
		t.Errorf("with a full disk: reports %q", got)
	}
	r.NoteLeases(nil)
	if code, text := get(boot, "/readyz"); code != http.StatusOK {
		t.Errorf("with room again: %d %s", code, text)
	}
	get(boot, "/shimx64.efi")
	get(boot, "/none.efi")
	get(api, "/MAAS/api/2.0/version/")
	if code, _ := get(api, "/MAAS/api/2.0/machines/"); code != http.StatusUnauthorized {
		t.Errorf("machines without a key: %d", code)
	}
	if code, _ := get(api, "/debug/pprof/"); code == http.StatusOK {
		t.Error("anybody may profile the region")
	}
	for _, c := range []struct {
		ln   net.Listener
		want []string
	}{
		{boot, []string{
			`maas_boot_transfers_total{proto="http",result="ok",stage="loader"} 1`, `maas_dhcp_leases{state="bound",subnet="192.0.2.0/24"} 0`,
			"maas_rpc_sessions 1", "maas_dhcp_journal_syncs_total 0", "maas_rpc_topic_refused{topic=\"dhcp\"} 0",
		}},
		{api, []string{`maas_api_requests_total{code="200",method="GET",route="/MAAS/api/2.0/version/"} 1`, "maas_rpc_racks_connected 1", "maas_racks 1"}},
	} {
		_, text := get(c.ln, "/metrics")
		for _, want := range c.want {
			if !slices.Contains(strings.Split(text, "\n"), want) {
				t.Errorf("no %s in\n%s", want, text)
			}
		}
		if problems, err := promlint.New(strings.NewReader(text)).Lint(); err != nil || len(problems) > 0 {
			t.Errorf("%v, %v", problems, err)
		}
	}
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
