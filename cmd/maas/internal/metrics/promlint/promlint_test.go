package promlint

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/gomaas/maas/cmd/maas/internal/metrics"
	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/rpc"
)

func TestMetricsObeyTheRules(t *testing.T) {
	reg, err := region.New(t.Context(), region.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	r, err := rack.New(rack.Config{Dir: t.TempDir(), Dial: rpc.Loopback(reg.RPC(), "rack")})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- reg.Serve(ctx, region.Sockets{}) }()
	go func() { done <- r.Serve(ctx, rack.Sockets{}) }()
	for end := time.Now().Add(time.Minute); len(reg.RPC().Racks()) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the rack does not connect")
		}
	}
	for name, tell := range map[string]func(*metrics.Writer){
		"rack": r.Metrics, "region": func(w *metrics.Writer) { reg.Metrics(ctx, w) },
	} {
		var text bytes.Buffer
		w := metrics.NewWriter(&text)
		tell(w)
		if err := w.Err(); err != nil || text.Len() == 0 {
			t.Fatalf("%s: %d bytes, %v", name, text.Len(), err)
		}
		problems, err := promlint.New(&text).Lint()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s: %s", name, p.Metric, p.Text)
		}
	}
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
