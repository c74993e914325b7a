package inventory_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

func madeUp(n int) net.HardwareAddr { return net.HardwareAddr{2, 9, 0, 0, byte(n >> 8), byte(n)} }

// Of machines that booted and that no user touched, a VLAN has so many, the last ones. Other VLANs and
// the machines that users have touched are not concerned.
func TestEnlistedMachinesMakeWay(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		ok(t, inv.Settings.Set(ctx, setting.EnlistMax, "5"))
		enlist := func(n int, vlan int64) inventory.Machine {
			t.Helper()
			m, created, err := inv.Enlist(ctx, inventory.Enlistment{MAC: madeUp(n), VLANID: vlan})
			if ok(t, err); !created {
				t.Errorf("machine %d was known", n)
			}
			return m
		}
		own := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "own", Interfaces: []inventory.Interface{nic(1)}}))
		elsewhere := enlist(1000, 8)
		wanted := enlist(1, 7)
		byUser := inventory.As(ctx, inventory.Actor{User: "ada", Doing: func() string { return "a test" }})
		wanted.Description = "kept"
		wanted = must[inventory.Machine](t)(inv.Machines.Update(byUser, wanted))
		for n := 2; n <= 40; n++ {
			enlist(n, 7)
		}
		all := must[[]inventory.Machine](t)(inv.Machines.List(ctx))
		have := make(map[int64]bool)
		for _, m := range all {
			have[m.ID] = true
		}
		if len(all) != 3+5 || !have[own.ID] || !have[elsewhere.ID] || !have[wanted.ID] {
			t.Errorf("%d machines: %v", len(all), have)
		}
		for n := 36; n <= 40; n++ {
			if _, err := inv.MachineByMAC(ctx, madeUp(n)); err != nil {
				t.Errorf("machine %d: %v", n, err)
			}
		}
		text := fmt.Sprint(must[[]inventory.Event](t)(inv.Events.Last(ctx, 0, 100)))
		if !strings.Contains(text, "it booted and no user took it, and no VLAN keeps more than 5 such machines") {
			t.Errorf("events: %s", text)
		}

		ok(t, inv.Settings.Set(ctx, setting.EnlistMax, "0"))
		if _, _, err := inv.Enlist(ctx, inventory.Enlistment{MAC: madeUp(50), VLANID: 7}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without room: %v", err)
		}
		if m, created, err := inv.Enlist(ctx, inventory.Enlistment{MAC: madeUp(40), Firmware: "bios-ipxe"}); err != nil || created || m.Firmware != "bios-ipxe" {
			t.Errorf("a known machine: %+v, %v, %v", m, created, err)
		}
	})
}

// What strangers ask for takes a bounded number of rows, and pushes out no boot of a machine; one boot
// takes bounded bytes, and shows its beginning and its end.
func TestBootsAreBounded(t *testing.T) {
	inv, ctx := openInventory(t, "memory:"), t.Context()
	m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "node1", Interfaces: []inventory.Interface{nic(1)}}))
	at := time.Now()
	ok(t, inv.Boots.Record(ctx, pxe.Event{Time: at, Stage: pxe.StageLoader, MAC: mac(1), Path: "first", Proto: "tftp"}))
	ok(t, inv.Atomically(ctx, func(ctx context.Context) error {
		for n := range 2500 {
			stranger := net.HardwareAddr{6, 0, 0, 0, byte(n >> 8), byte(n)}
			if err := inv.Boots.Record(ctx, pxe.Event{Time: at, Stage: pxe.StageConfig, MAC: stranger, Path: "x", Proto: "http"}); err != nil {
				return err
			}
		}
		return nil
	}))
	if all, _, err := inv.Boots.Since(ctx, 0, 10_000); err != nil || len(all) > 2000+64+1 || len(all) < 2000 {
		t.Errorf("%d boots, %v", len(all), err)
	}
	long := strings.Repeat("ü/", 600)
	for n := range 400 {
		e := pxe.Event{Time: at.Add(time.Duration(n) * time.Second), Stage: pxe.StageLoader, MAC: mac(1), Path: fmt.Sprint(n, long), Err: long, Proto: "http"}
		ok(t, inv.Boots.Record(ctx, e))
	}
	boots := must[[]pxe.Attempt](t)(inv.Boots.Of(ctx, m.Interfaces[0].MAC))
	record := must[[]byte](t)(json.Marshal(boots[0]))
	if len(boots) != 1 || len(record) > 33<<10 || boots[0].Steps[0].Path != "first" || !strings.HasPrefix(boots[0].Steps[len(boots[0].Steps)-1].Path, "399") {
		t.Errorf("%d boots, the last with %d bytes in %d steps, from %.20s", len(boots), len(record), len(boots[0].Steps), boots[0].Steps[0].Path)
	}
}
