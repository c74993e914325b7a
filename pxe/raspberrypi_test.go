package pxe_test

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
)

// What a profile is made into for the firmware of a Raspberry Pi, and that no other machine finds such
// names.
func TestRaspberryPi(t *testing.T) {
	r := newRig(t)
	pi := net.HardwareAddr{0xdc, 0xa6, 0x32, 1, 2, 3}
	r.mu.Lock()
	r.identify[netip.MustParseAddr("127.0.0.1")] = pi
	r.mu.Unlock()
	names := []string{"config.txt", "cmdline.txt", "kernel8.img", "initrd0.img"}
	absent := func(when string, optional bool, names ...string) {
		t.Helper()
		for _, name := range names {
			if _, err := r.tftpGet(name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %s: %v", when, name, err)
			}
			if e := <-r.events; e.Absent != optional {
				t.Errorf("%s: %s: event %+v", when, name, e)
			}
		}
	}
	absent("no machine of DHCP", false, names...)
	r.described.Remember(firmware.Client{MAC: pi, Arch: []firmware.Arch{firmware.ArchARM64}, VendorClass: "PXEClient:Arch:00011:UNDI:003000"})
	absent("UEFI", false, names...)
	r.described.Remember(firmware.Client{MAC: pi, Arch: []firmware.Arch{firmware.ArchBIOS}, VendorClass: "PXEClient:Arch:00000:UNDI:002001"})

	linux := pxe.Profile{Name: "arm", Kernel: "vmlinuz", Initrd: []string{"initrd", "initrd"}, Cmdline: "console=serial0 {mac}"}
	menu := pxe.Profile{Name: "menu", Kind: pxe.Menu, Default: "arm", Entries: []pxe.MenuEntry{{Profile: "disk"}, {Profile: "arm"}},
		Profiles: []pxe.Profile{{Name: "disk", Kind: pxe.Local}, linux}}
	for _, p := range []pxe.Profile{linux, menu} {
		r.answer(p, nil)
		for name, want := range map[string]string{
			"config.txt":  "# maas: linux arm for dc-a6-32-01-02-03\narm_64bit=1\nenable_uart=1\nkernel=kernel8.img\ninitramfs initrd0.img,initrd1.img followkernel\n",
			"cmdline.txt": "console=serial0 dc:a6:32:01:02:03\n", "kernel8.img": strings.Repeat("x", 300_000), "initrd1.img": strings.Repeat("x", 1000),
		} {
			if got, err := r.tftpGet(name); err != nil || string(got) != want {
				t.Errorf("%s of %s: %v, %.200q, want %.200q", name, p.Name, err, got, want)
			}
			if e := <-r.events; e.Profile != "arm" || e.Arch != firmware.ArchRaspberryPi || e.Arch.String() != "arm64" || e.Method != "raspberry-pi" || e.MAC.String() != pi.String() {
				t.Errorf("%s: event %+v", name, e)
			}
		}
		absent("beyond the profile", true, "initrd2.img", "recovery.elf", "deadbeef/config.txt", "overlays/overlay_map.dtb")
		absent("needed", false, "start4.elf", "bootcode.bin", "bcm2712-rpi-5-b.dtb")
	}
	r.answer(pxe.Profile{Name: "disk", Kind: pxe.Local}, nil)
	absent("the next device", true, names...)
	r.answer(pxe.Profile{Name: "far", Kernel: "http://192.0.2.1/vmlinuz"}, nil)
	for _, name := range names {
		if _, err := r.tftpGet(name); err == nil {
			t.Errorf("%s: a kernel of another server is served", name)
		}
		if e := <-r.events; !strings.Contains(e.Err, "put the file into Config.Files") {
			t.Errorf("%s: event %+v", name, e)
		}
	}
}
