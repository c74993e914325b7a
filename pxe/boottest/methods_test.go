package boottest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/pxe/firmware"
)

// personality is the firmware of a row of the method table, and what it runs on its way to the kernel.
type personality struct {
	method   string
	firmware boottest.Firmware
	programs []string // files of the stage "loader" that were read to their end
	config   string   // base name of the last configuration
	mac      net.HardwareAddr
}

func personalities() []personality {
	shim := func(suffix string) []string { return []string{"shim" + suffix + ".efi", "grub" + suffix + ".efi"} }
	return []personality{
		{"ipxe", boottest.BIOSiPXE, nil, "script.ipxe", nil},
		{"uefi-amd64-http", boottest.UEFIHTTP, []string{"snponly.efi"}, "script.ipxe", nil},
		{"uefi-arm64-http", boottest.UEFIARM64HTTP, []string{"snponly-arm64.efi"}, "script.ipxe", nil},
		{"amd64-uboot-efi", boottest.UBootAMD64EFI, []string{"grubx64.efi"}, "grub.cfg-01-{mac}", nil},
		{"arm64-uboot-efi", boottest.UBootARM64EFI, []string{"grubaa64.efi"}, "grub.cfg-01-{mac}", nil},
		{"uefi-amd64-pxe", boottest.UEFIShimGRUB, shim("x64"), "grub.cfg-01-{mac}", nil},
		{"uefi-arm64-pxe", boottest.UEFIARM64, shim("aa64"), "grub.cfg-01-{mac}", nil},
		{"uefi-i386-pxe", boottest.UEFIIA32, shim("ia32"), "grub.cfg-01-{mac}", nil},
		{"uefi-riscv64-http", boottest.UEFIRISCV64HTTP, []string{"snponly-riscv64.efi"}, "script.ipxe", nil},
		{"uefi-riscv64-pxe", boottest.UEFIRISCV64, []string{"grubriscv64.efi"}, "grub.cfg-01-{mac}", nil},
		{"uefi-loong64-http", boottest.UEFILoong64HTTP, []string{"snponly-loong64.efi"}, "script.ipxe", nil},
		{"uefi-loong64-pxe", boottest.UEFILoong64, []string{"grubloongarch64.efi"}, "grub.cfg-01-{mac}", nil},
		{"onie", boottest.ONIE, nil, "", nil},
		{"powernv", boottest.Petitboot, nil, "{uuid}", nil},
		{"s390x", boottest.S390X, nil, "{uuid}", nil},
		{"arm64-uboot", boottest.UBootARM64, nil, "01-{dashes}", nil},
		{"armhf-uboot", boottest.UBootARM32, nil, "01-{dashes}", nil},
		pi("4", boottest.RaspberryPi4, "start4.elf", "fixup4.dat", "bcm2711-rpi-4-b.dtb"),
		{"bios-pxe", boottest.BIOSPXE, []string{"undionly.kpxe"}, "script.ipxe", nil},
		{"default", boottest.UnknownPXE, []string{"undionly.kpxe"}, "script.ipxe", nil},
		{"bios-pxelinux", boottest.BIOSPXE, []string{"pxelinux.0", "ldlinux.c32"}, "{uuid}", nil},
		{"bios-lpxelinux", boottest.BIOSPXE, []string{"lpxelinux.0", "ldlinux.c32"}, "{uuid}", nil},
		{"uefi-amd64-ipxe", boottest.UEFIShimGRUB, []string{"snponly.efi"}, "script.ipxe", nil},
		{"uefi-arm64-ipxe", boottest.UEFIARM64, []string{"snponly-arm64.efi"}, "script.ipxe", nil},
		{"uefi-riscv64-ipxe", boottest.UEFIRISCV64, []string{"snponly-riscv64.efi"}, "script.ipxe", nil},
		{"uefi-loong64-ipxe", boottest.UEFILoong64, []string{"snponly-loong64.efi"}, "script.ipxe", nil},
		{"uefi-http-uki", boottest.UEFIHTTP, nil, "", nil},
		{"uefi-uki", boottest.UEFIShimGRUB, nil, "", nil},
	}
}

// pi is a board with a link address of Raspberry Pi, by which it is known.
func pi(name string, f boottest.Firmware, programs ...string) personality {
	return personality{"raspberry-pi", f, programs, "cmdline.txt", net.HardwareAddr{0xdc, 0xa6, 0x32, 0, 0, name[0]}}
}

// The boards boot the profile of their machine: by what it is made into, or by an operator's files below
// a serial number, which go first.
func TestRaspberryPi(t *testing.T) {
	for _, p := range []personality{
		pi("3", boottest.RaspberryPi3, "bootcode.bin", "start.elf", "fixup.dat", "bcm2710-rpi-3-b.dtb"),
		pi("5", boottest.RaspberryPi5, "bcm2712-rpi-5-b.dtb"),
	} {
		synctest.Test(t, func(t *testing.T) {
			runOn(t, network{known: true}, everybody, func(s *site) {
				r, err := s.segment.NewMachine(boottest.MachineConfig{Firmware: p.firmware, MAC: p.mac}).Boot(t.Context())
				p.check(t, r, err)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		own := fstest.MapFS{"04030201/config.txt": {Data: []byte("kernel=own.img # mine\n")}, "04030201/own.img": {Data: []byte("own")},
			"04030201/bcm2712-rpi-5-b.dtb": {Data: []byte("tree")}}
		serve := func(g *boottest.Segment, c *pxe.Config) { everybody(g, c); c.Loaders = own }
		runOn(t, network{}, serve, func(s *site) {
			r, err := s.segment.NewMachine(boottest.MachineConfig{Firmware: boottest.RaspberryPi5, MAC: pi("5", boottest.RaspberryPi5).mac,
				UUID: [16]byte{4, 3, 2, 1}}).Boot(t.Context())
			if err != nil || r.Running.Kernel.Size != 3 || !strings.HasSuffix(r.Running.Kernel.URL, "/04030201/own.img") {
				t.Errorf("running %+v, %v\n%s", r.Running, err, strings.Join(fetches(r), "\n"))
			}
		})
	})
	synctest.Test(t, func(t *testing.T) { // the same class from a PC: no option 43
		runOn(t, network{}, everybody, func(s *site) {
			_, err := s.segment.NewMachine(boottest.MachineConfig{Firmware: boottest.RaspberryPi4}).Boot(t.Context())
			if err == nil || !strings.Contains(err.Error(), "option 43") {
				t.Errorf("a PC: %v", err)
			}
		})
	})
}

// table puts the method in front when it is an alternative. An alternative must not hide iPXE.
func table(name string) []firmware.Method {
	all := firmware.Methods()
	for _, m := range firmware.Alternatives() {
		if m.Name == name {
			return slices.Insert(all, 1, m)
		}
	}
	return all
}

// small has the same files, of some blocks each.
func small(of fs.FS) fstest.MapFS {
	out := fstest.MapFS{}
	for name, f := range of.(fstest.MapFS) {
		out[name] = &fstest.MapFile{Data: f.Data[:min(len(f.Data), 4000)]}
	}
	return out
}

var smallFiles, smallLoaders = small(files()), small(loaders())

// all machines boot the same kernel, and switches install the initrd; all files are small.
func everybody(_ *boottest.Segment, c *pxe.Config) {
	c.Files, c.Loaders = smallFiles, smallLoaders
	c.Resolver = pxe.ResolverFunc(func(_ context.Context, r pxe.Request) (pxe.Profile, error) {
		if r.Config == firmware.ONIE {
			return pxe.Profile{Name: "nos", Kind: pxe.Chain, URL: "initrd"}, nil
		}
		if r.Config == firmware.UKI {
			return pxe.Profile{Name: "uki", Kernel: "vmlinuz", Loader: firmware.UKI}, nil
		}
		return profile(), nil
	})
}

// check asserts what a machine ended up running, and that every file it read to the end is what is served.
func (p personality) check(t *testing.T, r *boottest.Report, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%v\n%s\n%q", err, strings.Join(fetches(r), "\n"), r.Console)
		return
	}
	var programs []string
	config := ""
	for _, f := range r.Fetches {
		if f.Err != "" {
			if !strings.Contains(f.Err, "error 1") && !strings.Contains(f.Err, "404") {
				t.Errorf("%s: %s", f.URL, f.Err)
			}
			continue
		}
		if f.Probe {
			continue
		}
		base := path.Base(f.URL)
		switch f.Stage {
		case boottest.StageConfig:
			config, _, _ = strings.Cut(base, "?")
			continue
		case boottest.StageLoader:
			programs = append(programs, base)
		}
		if want := digest(base); want != f.SHA256 {
			t.Errorf("%s: %d bytes with digest %.8s, served is %.8s", f.URL, f.Bytes, f.SHA256, want)
		}
	}
	if !slices.Equal(programs, p.programs) {
		t.Errorf("ran %q, want %q", programs, p.programs)
	}
	run := r.Running
	if p.method == "onie" {
		if run.Kind != boottest.Installer || run.Kernel.SHA256 != digest("initrd") {
			t.Errorf("running %+v", run)
		}
		return
	}
	if strings.HasSuffix(p.method, "uki") {
		if run.Kind != boottest.Linux || run.Kernel.SHA256 != digest("vmlinuz") || len(run.Initrds) > 0 {
			t.Errorf("running %+v", run)
		}
		return
	}
	uuid := r.MAC.String()
	want := strings.NewReplacer("{mac}", r.MAC.String(), "{dashes}", strings.ReplaceAll(uuid, ":", "-")).Replace(p.config)
	if config != want && !(want == "{uuid}" && len(config) == 36) {
		t.Errorf("configured by %q, want %q", config, want)
	}
	if run.Kind != boottest.Linux || run.Kernel.SHA256 != digest("vmlinuz") || len(run.Initrds) != 1 || run.Initrds[0].SHA256 != digest("initrd") || !run.Done {
		t.Errorf("running %+v", run)
	}
}

// digest is that of a file as it is served.
func digest(name string) string {
	return digests[strings.NewReplacer("onie-installer", "initrd", "uki.efi", "vmlinuz", "kernel8.img", "vmlinuz", "initrd0.img", "initrd").Replace(name)]
}

var digests = func() map[string]string {
	out := map[string]string{}
	for _, files := range []fstest.MapFS{smallFiles, smallLoaders} {
		for name, f := range files {
			sum := sha256.Sum256(f.Data)
			out[name] = hex.EncodeToString(sum[:])
		}
	}
	return out
}()

// TestEveryMethod boots a machine by every row of the method table, over IPv6 too where it can.
func TestEveryMethod(t *testing.T) {
	var rows []string
	for _, m := range append(firmware.Methods(), firmware.Alternatives()...) {
		rows = append(rows, m.Name)
	}
	for i, p := range personalities() {
		if i >= len(rows) || p.method != rows[i] {
			t.Fatalf("the table has %q, this test %s at %d", rows, p.method, i)
		}
		m, _ := firmware.MethodNamed(p.method)
		for _, six := range []bool{false, true} {
			if six && m.IPv4Only {
				continue
			}
			t.Run(fmt.Sprintf("%s,ipv6=%t", p.method, six), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					runOn(t, network{six: six, methods: table(p.method), known: p.mac != nil}, everybody, func(s *site) {
						r, err := s.segment.NewMachine(boottest.MachineConfig{Firmware: p.firmware, MAC: p.mac, Hostname: "node"}).Boot(t.Context())
						p.check(t, r, err)
						if len(r.Leases) > 0 && r.Lease().Addr.Is6() != six {
							t.Errorf("lease %+v", r.Lease())
						}
					})
				})
			})
		}
	}
}

// TestNetworks boots the main kinds of machine over every kind of network.
func TestNetworks(t *testing.T) {
	networks := []struct {
		name   string
		where  network
		change func(*boottest.Segment)
	}{
		{"relay", network{relay: true}, func(*boottest.Segment) {}},
		{"relay with loss", network{relay: true}, func(s *boottest.Segment) { s.Loss, s.Delay = 0.01, time.Millisecond }},
		{"IPv6 relay", network{relay: true, six: true}, func(*boottest.Segment) {}},
		{"IPv6 relay with loss", network{relay: true, six: true}, func(s *boottest.Segment) { s.Loss, s.Delay = 0.01, time.Millisecond }},
		{"reordering", network{}, func(s *boottest.Segment) { s.Delay, s.Jitter = time.Millisecond, 3*time.Millisecond }},
		{"reordering with loss", network{}, func(s *boottest.Segment) { s.Jitter, s.Loss = 2*time.Millisecond, 0.01 }},
		{"IPv6 with loss", network{six: true}, func(s *boottest.Segment) { s.Loss, s.Delay = 0.01, time.Millisecond }},
		{"slow", network{}, func(s *boottest.Segment) { s.Rate = 4 << 20 }},
	}
	for _, n := range networks {
		for _, p := range personalities()[:6] {
			t.Run(n.name+"/"+p.method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					runOn(t, n.where, func(seg *boottest.Segment, c *pxe.Config) { n.change(seg); everybody(seg, c) }, func(s *site) {
						r, err := s.segment.NewMachine(boottest.MachineConfig{Firmware: p.firmware}).Boot(t.Context())
						p.check(t, r, err)
						for l := range s.dhcp.Leases() {
							if n.where.relay && (l.Relay != n.where.prefix().Addr().Next() || string(l.CircuitID) != s.segment.Link) {
								t.Errorf("lease by relay %v of %q: %+v", l.Relay, l.CircuitID, l)
							}
						}
					})
				})
			})
		}
	}
}

// TestProxyDHCP: another server gives the addresses, ours the boot data, on port 4011 to those who ask there.
func TestProxyDHCP(t *testing.T) {
	methods := []string{"ipxe", "uefi-amd64-http", "uefi-arm64-http", "uefi-amd64-ipxe", "bios-pxe"} // no GRUB for amd64
	for _, p := range personalities() {
		if !slices.Contains(methods, p.method) {
			continue
		}
		t.Run(p.method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				runOn(t, network{mode: dhcpsrv.ModeProxy}, everybody, func(s *site) {
					other := netip.MustParseAddr("192.0.2.9")
					addresses, err := dhcpsrv.New(dhcpsrv.Config{})
					must(t, err)
					subnet := network{}.subnet(s.segment.Link, prefix)
					subnet.Server = other
					must(t, addresses.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{subnet}}))
					conn, err := s.segment.Server(other).DHCP()
					must(t, err)
					ctx, cancel := context.WithCancel(context.Background())
					var wg sync.WaitGroup
					wg.Go(func() {
						if err := addresses.Serve(ctx, conn); err != nil {
							t.Error(err)
						}
					})
					r, err := s.segment.NewMachine(boottest.MachineConfig{Firmware: p.firmware}).Boot(t.Context())
					p.check(t, r, err)
					if l := r.Lease(); l == nil || l.Server != other {
						t.Errorf("lease %+v", l)
					}
					cancel()
					wg.Wait()
				})
			})
		})
	}
}

// TestVLAN: a machine on a tagged network hears only the servers there.
func TestVLAN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run(t, everybody, func(s *site) {
			tagged := s.segment.VLAN(5, netip.MustParsePrefix("203.0.113.0/24"))
			if tagged.Link != s.segment.Link+".5" {
				t.Errorf("link %q", tagged.Link)
			}
			if r, err := tagged.NewMachine(boottest.MachineConfig{}).Boot(t.Context()); err == nil {
				t.Errorf("booted from another VLAN: %+v", r.Running)
			}
			r, err := s.segment.NewMachine(boottest.MachineConfig{}).Boot(t.Context())
			personalities()[0].check(t, r, err)
		})
	})
}

// TestThousandMachines: machines of all kinds boot at the same time, from one server over IPv4 and one over IPv6.
func TestThousandMachines(t *testing.T) {
	const count = 1000
	for _, six := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			where := network{six: six, wide: true}
			runOn(t, where, everybody, func(s *site) {
				var kinds []personality
				for _, p := range personalities()[:18] {
					if m, _ := firmware.MethodNamed(p.method); p.mac == nil && (!six || !m.IPv4Only) { // a Pi is known by its address alone
						kinds = append(kinds, p)
					}
				}
				seen := make([]netip.Addr, count/2)
				var wg sync.WaitGroup
				for i := range seen {
					p := kinds[i%len(kinds)]
					m := s.segment.NewMachine(boottest.MachineConfig{Firmware: p.firmware})
					wg.Go(func() {
						r, err := m.Boot(t.Context())
						p.check(t, r, err)
						if l := r.Lease(); l != nil {
							seen[i] = l.Addr
						}
					})
				}
				wg.Wait()
				slices.SortFunc(seen, netip.Addr.Compare)
				if n := len(slices.Compact(seen)); n != count/2 {
					t.Errorf("%d machines have %d addresses", count/2, n)
				}
			})
		})
	}
}

// A device with a system of its own loads nothing, and its system has an address and a name.
func TestFlash(t *testing.T) {
	run(t, nil, func(s *site) {
		r, err := s.segment.NewMachine(boottest.MachineConfig{Firmware: boottest.Flash, Hostname: "card-1", Impatient: true}).Boot(t.Context())
		if err != nil || r.Running.Kind != boottest.Linux || len(r.Fetches) != 0 || r.Running.Host != "card-1" || r.Lease() == nil {
			t.Errorf("%v: %+v", err, r)
		}
	})
}
