package boottest_test

import (
	"testing"
	"testing/fstest"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
)

// BenchmarkBoot boots a machine on the wall clock, with loaders, kernel and initrd of real sizes.
func BenchmarkBoot(b *testing.B) {
	real := func(_ *boottest.Segment, c *pxe.Config) {
		c.Files = fstest.MapFS{"vmlinuz": {Data: make([]byte, 14_186_432)}, "initrd": {Data: make([]byte, 1_223_586)}}
		c.Loaders = fstest.MapFS{"shimx64.efi": {Data: make([]byte, 1_048_504)}, "grubx64.efi": {Data: make([]byte, 3_843_520)}}
	}
	for _, fw := range []boottest.Firmware{boottest.BIOSiPXE, boottest.UEFIShimGRUB} {
		b.Run(fw.Name, func(b *testing.B) {
			run(b, real, func(s *site) {
				m := s.segment.NewMachine(boottest.MachineConfig{Firmware: fw, Impatient: true})
				b.ReportAllocs()
				for b.Loop() {
					if _, err := m.Boot(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
