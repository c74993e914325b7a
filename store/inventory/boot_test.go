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

// The loader that a machine's firmware started is the machine's, and stays so while nothing changes.
func TestBootsStarted(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx, at := t.Context(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "node1", Interfaces: []inventory.Interface{nic(1)}}))
		boot := func(mac net.HardwareAddr, steps ...pxe.Event) {
			at = at.Add(time.Hour)
			for _, e := range steps {
				at = at.Add(time.Second)
				e.MAC, e.Time, e.Bytes, e.Size = mac, at, 10, 10
				ok(t, inv.Boots.Record(ctx, e))
			}
			ok(t, inv.Boots.Started(ctx, mac))
		}
		of := func(path string) []pxe.Event {
			return []pxe.Event{{Stage: pxe.StageOffer, Path: path, Method: "uefi-amd64-pxe"}, {Stage: pxe.StageLoader, Path: path}, {Stage: pxe.StageConfig, Path: "grub.cfg"}}
		}
		boot(nic(9).MAC, of("2011/shimx64.efi")...) // of no machine
		boot(nic(1).MAC)
		for _, want := range []string{"2011/shimx64.efi", "2023/shimx64.efi"} {
			boot(nic(1).MAC, of(want)...)
			now := must[inventory.Machine](t)(inv.Machines.Get(ctx, m.ID))
			if now.Loader != want {
				t.Errorf("loader %q, want %q", now.Loader, want)
			}
			boot(nic(1).MAC, of(want)...)
			if again := must[inventory.Machine](t)(inv.Machines.Get(ctx, m.ID)); again.Version != now.Version {
				t.Errorf("the same loader changed the machine")
			}
		}
	})
}
