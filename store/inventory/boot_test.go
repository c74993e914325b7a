package inventory_test

import (
	"net"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
)

func TestBoots(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx, at := t.Context(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		step := func(mac net.HardwareAddr, stage pxe.Stage, path string) {
			at = at.Add(time.Second)
			ok(t, inv.Boots.Record(ctx, pxe.Event{MAC: mac, Time: at, Stage: stage, Path: path, Proto: "http", Method: "ipxe", Bytes: 10, Size: 10}))
		}
		step(mac(1), pxe.StageOffer, "script.ipxe")
		step(mac(1), pxe.StageConfig, "script.ipxe")
		step(mac(2), pxe.StageOffer, "script.ipxe")
		step(mac(1), pxe.StageKernel, "vmlinuz")
		boots := must[[]pxe.Attempt](t)(inv.Boots.Of(ctx, mac(1)))
		if len(boots) != 1 || len(boots[0].Steps) != 3 || boots[0].Bytes != 30 {
			t.Fatalf("one boot: %+v", boots)
		}
		for range 7 {
			at = at.Add(time.Hour)
			step(mac(1), pxe.StageOffer, "script.ipxe")
		}
		boots = must[[]pxe.Attempt](t)(inv.Boots.Of(ctx, mac(1), mac(2)))
		if len(boots) != 6 || !boots[0].Start.After(boots[1].Start) || boots[5].MAC.String() != mac(2).String() {
			t.Errorf("%d boots of two machines, the first at %v", len(boots), boots[0].Start)
		}
	})
}
