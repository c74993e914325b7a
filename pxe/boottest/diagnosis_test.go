package boottest_test

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
)

// TestDiagnosis: what the servers saw of a boot that stopped says why.
func TestDiagnosis(t *testing.T) {
	silent := profile()
	silent.Cmdline = "console=ttyS0"
	tests := []struct {
		name     string
		where    network
		firmware boottest.Firmware
		change   func(*boottest.Segment, *pxe.Config)
		want     string
	}{
		{"all is well", network{}, boottest.UEFIShimGRUB, nil, "running, "},
		{"firewall", network{deaf: true}, boottest.UEFIShimGRUB, nil, "was offered shimx64.efi and never asked for it"},
		{"firewall, iPXE", network{deaf: true}, boottest.BIOSiPXE, nil, "and never asked for it"},
		{"small MTU", network{}, boottest.UEFIShimGRUB, func(s *boottest.Segment, _ *pxe.Config) { s.MTU = 1400 },
			"stalled at block 1 of shimx64.efi (blocks of 1468 bytes)"},
		{"no loader", network{}, boottest.UEFIShimGRUB, func(_ *boottest.Segment, c *pxe.Config) { c.Loaders = fstest.MapFS{} }, "could not fetch shimx64.efi"},
		{"no profile", network{}, boottest.UEFIShimGRUB, func(_ *boottest.Segment, c *pxe.Config) {
			c.Resolver = pxe.ResolverFunc(func(context.Context, pxe.Request) (pxe.Profile, error) { return pxe.Profile{}, pxe.ErrNoProfile })
		}, "it has no profile"},
		{"no kernel", network{}, boottest.BIOSiPXE, func(_ *boottest.Segment, c *pxe.Config) { c.Files = fstest.MapFS{} }, "could not fetch /boot/"},
		{"disk", network{}, boottest.BIOSiPXE, withProfile(pxe.Profile{Kind: pxe.Local}), "the profile starts from the disk, shows a menu, waits or switches off"},
		{"no report", network{}, boottest.BIOSiPXE, withProfile(silent), "loaded everything and has not reported since"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				change := func(s *boottest.Segment, c *pxe.Config) {
					s.Delay = time.Millisecond // so that one request ends before the next begins
					if tt.change != nil {
						tt.change(s, c)
					}
				}
				runOn(t, tt.where, change, func(s *site) {
					_, _ = s.segment.NewMachine(boottest.MachineConfig{Firmware: tt.firmware, Disk: true}).Boot(t.Context())
					time.Sleep(time.Minute)
					var a pxe.Attempt
					for _, e := range s.heard() {
						a = a.Next(e)
					}
					if got := a.Diagnosis(time.Now()); !strings.Contains(got, tt.want) {
						t.Errorf("%q, want %q", got, tt.want)
					}
				})
			})
		})
	}
}
