package rack

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/gomaas/maas/cmd/maas/internal/tracing"
	"github.com/gomaas/maas/pxe"
)

// A boot is told of once: when the system reports, when the next one begins, after a long silence, or at the end.
func TestWhenBootsAreOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spans := tracetest.NewInMemoryExporter()
		tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
		b := newBootTraces(tracing.New(tracer), "rack", func(net.HardwareAddr) string { return "" })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.run(ctx) }()
		event := func(machine byte, stage pxe.Stage, path string) {
			b.add(pxe.Event{Time: time.Now(), MAC: net.HardwareAddr{2, 0, 0, 0, 0, machine}, Stage: stage, Path: path})
			synctest.Wait()
			time.Sleep(time.Second)
		}
		told := func() (n int) {
			for _, s := range spans.GetSpans() {
				if s.Name == "boot" {
					n++
				}
			}
			return n
		}
		var got []int
		for _, step := range []func(){
			func() { event(1, pxe.StageOffer, "ipxe"); event(1, pxe.StageKernel, "vmlinuz") },
			func() { event(1, pxe.StageRunning, "done") },
			func() { event(1, pxe.StageInitrd, "initrd"); time.Sleep(settleTime) }, // what the server tells late
			func() { event(1, pxe.StageFile, "more"); event(1, pxe.StageRunning, "done") },
			func() { event(1, pxe.StageOffer, "ipxe"); event(1, pxe.StageConfig, "script") },
			func() { event(1, pxe.StageOffer, "ipxe") }, // power went and came
			func() { event(2, pxe.StageLoader, "shim"); time.Sleep(bootOver - time.Minute) },
			func() { time.Sleep(2 * time.Minute) }, // both fell silent
			func() { event(3, pxe.StageLoader, "shim"); cancel(); <-done },
		} {
			step()
			got = append(got, told())
		}
		if diff := cmp.Diff([]int{0, 0, 1, 1, 1, 2, 2, 4, 5}, got); diff != "" {
			t.Errorf("boots told of (-want +got):\n%s", diff)
		}
		if first := spans.GetSpans(); !slices.ContainsFunc(first[:4], func(x tracetest.SpanStub) bool { return x.Name == "initrd" }) {
			t.Error("the initrd is not in the boot that it was of")
		}
		if len(b.boots) > 1 {
			t.Errorf("%d boots are kept", len(b.boots))
		}
	})
}

func TestBootsThatAreFollowedAreBounded(t *testing.T) {
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(tracetest.NewNoopExporter()))
	b := newBootTraces(tracing.New(tracer), "rack", func(net.HardwareAddr) string { return "" })
	for i := range 2 * maxBoots {
		b.follow(pxe.Event{Time: time.Now(), MAC: net.HardwareAddr(fmt.Sprintf("%06d", i)), Stage: pxe.StageOffer})
	}
	if len(b.boots) != maxBoots {
		t.Errorf("%d boots are followed, want %d", len(b.boots), maxBoots)
	}
	var none *bootTraces
	none.add(pxe.Event{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}})
}
