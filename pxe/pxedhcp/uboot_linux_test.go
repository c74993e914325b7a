package pxedhcp_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/boottest/qemutest"
)

// TestUBoot boots boards with U-Boot to the guest's marker: by its own script, which runs a loader as
// UEFI firmware does, and by the commands that read a configuration of pxelinux.
func TestUBoot(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines without KVM")
	}
	const byPXE = "pci enum; virtio scan; setenv autoload no; dhcp && pxe get && pxe boot"
	arm64 := []string{"shim-signed", "grub-efi-arm64-signed", "linux-image-cloud-arm64", "busybox-static"}
	riscv64 := []string{"grub-efi-riscv64-unsigned", "linux-image-riscv64", "busybox-static"}
	tests := []struct {
		name     string
		firmware qemutest.Firmware
		arch     string
		packages []string
		typed    string   // at U-Boot's prompt; empty = its own script runs
		loaders  []string // that are fetched
	}{
		{"arm64-efi", qemutest.UBootARM64, "arm64", arm64, "", []string{"grubaa64.efi"}},
		{"arm64-pxe", qemutest.UBootARM64, "arm64", arm64, byPXE, nil},
		{"riscv64-efi", qemutest.UBootRV64, "riscv64", riscv64, "", []string{"grubriscv64.efi"}},
		{"riscv64-pxe", qemutest.UBootRV64, "riscv64", riscv64, byPXE, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			vm := qemutest.VM{Firmware: tt.firmware, MemoryMB: 768, Tap: "tap0", Terminal: true}
			vm.MAC, _ = net.ParseMAC("52:54:00:77:e1:97")
			netlab.Require(t, vm.Needs()...)
			root := qemutest.Unpacked(t, tt.arch, tt.packages...)
			t.Parallel()
			r := &rack{mode: dhcpsrv.ModeServe, guest: qemutest.GuestFrom(t, root), loaders: pxe.Loaders(root)}
			r.start(t, nil)
			r.ns.Tap("br0", vm.Tap)
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			m := qemutest.Start(t, r.ns, vm)
			if tt.typed != "" {
				typeAtPrompt(ctx, t, m, tt.typed)
			}
			if err := m.WaitSerial(ctx, qemutest.Marker); err != nil {
				t.Fatal(err)
			}
			select { // U-Boot for these boards has a link address of its own, so that Linux reports another one
			case <-r.up:
			case <-ctx.Done():
				t.Fatal("the guest did not report")
			}
			if fetched := r.fetched(t, false); !slices.Equal(fetched, tt.loaders) {
				t.Errorf("loaders fetched: %q, want %q", fetched, tt.loaders)
			}
		})
	}
}

// typeAtPrompt stops U-Boot's script with a key and types a line.
func typeAtPrompt(ctx context.Context, t *testing.T, m *qemutest.Machine, line string) {
	t.Helper()
	for _, step := range []struct{ shown, typed string }{{"Hit any key", ""}, {"=> ", line}} {
		if err := m.WaitSerial(ctx, step.shown); err != nil {
			t.Fatal(err)
		}
		if err := m.Type(ctx, step.typed); err != nil {
			t.Fatal(err)
		}
	}
}
