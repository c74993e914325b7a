package boottest_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/pxe/firmware"
	bootloaders "github.com/gomaas/maas/pxe/loaders"
	"github.com/gomaas/maas/pxe/pxedhcp"
)

var (
	prefix     = netip.MustParsePrefix("192.0.2.0/24")
	serverAddr = netip.MustParseAddr("192.0.2.1")
)

// site is a segment with the servers of this project on it.
type site struct {
	segment *boottest.Segment
	dhcp    *dhcpsrv.Server
	events  []pxe.Event
	mu      sync.Mutex
}

// heard returns the events so far.
func (s *site) heard() []pxe.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

func files() fs.FS {
	return fstest.MapFS{
		"vmlinuz": {Data: bytes.Repeat([]byte("kernel"), 100_000)},
		"initrd":  {Data: bytes.Repeat([]byte("initrd"), 50_000)},
	}
}

func loaders() fs.FS {
	return fstest.MapFS{
		"shimx64.efi":   {Data: bytes.Repeat([]byte("shim"), 30_000)},
		"grubx64.efi":   {Data: bytes.Repeat([]byte("grub"), 60_000)},
		"undionly.kpxe": {Data: bytes.Repeat([]byte("undi"), 18_000)},
		"snponly.efi":   {Data: bytes.Repeat([]byte("snp"), 50_000)},

		"shimaa64.efi": {Data: bytes.Repeat([]byte("shim"), 3_000)}, "grubaa64.efi": {Data: bytes.Repeat([]byte("grub"), 6_000)},
		"shimia32.efi": {Data: bytes.Repeat([]byte("shim"), 3_000)}, "grubia32.efi": {Data: bytes.Repeat([]byte("grub"), 6_000)},
		"snponly-riscv64.efi": {Data: bytes.Repeat([]byte("snp"), 6_000)}, "grubriscv64.efi": {Data: bytes.Repeat([]byte("grub"), 7_000)},
		"snponly-loong64.efi": {Data: bytes.Repeat([]byte("snp"), 5_500)}, "grubloongarch64.efi": {Data: bytes.Repeat([]byte("grub"), 7_500)},
		"snponly-arm64.efi": {Data: bytes.Repeat([]byte("snp"), 5_000)},
		"pxelinux.0":        {Data: bytes.Repeat([]byte("pxe"), 10_000)}, "lpxelinux.0": {Data: bytes.Repeat([]byte("lpxe"), 10_000)},
		"bootcode.bin": {Data: []byte("boot code")}, "start.elf": {Data: bytes.Repeat([]byte("gpu"), 9_000)}, "fixup.dat": {Data: []byte("fix")},
		"start4.elf": {Data: bytes.Repeat([]byte("gpu4"), 9_000)}, "fixup4.dat": {Data: []byte("fix4")},
		"bcm2710-rpi-3-b.dtb": {Data: []byte("tree 3")}, "bcm2711-rpi-4-b.dtb": {Data: []byte("tree 4")}, "bcm2712-rpi-5-b.dtb": {Data: []byte("tree 5")},
		"ldlinux.c32": {Data: bytes.Repeat([]byte("ldl"), 10_000)}, "poweroff.c32": {Data: []byte("off")},
	}
}

func profile() pxe.Profile {
	return pxe.Profile{Name: "test", Kernel: "vmlinuz", Initrd: []string{"initrd"}, Cmdline: "console=ttyS0 maas.done={done}"}
}

// network holds the addresses of a site and its mode. The zero value is IPv4 with the usual table.
type network struct {
	six     bool
	methods []firmware.Method
	mode    dhcpsrv.Mode
	wide    bool                // for a thousand machines
	trials  *bootloaders.Trials // nil = every machine is handed the loader of its method
	known   bool                // the boot server knows machines by their addresses, also without trials
	deaf    bool                // nothing but DHCP gets through
	relay   bool                // machines are behind a relay, on s.segment; the servers are on another segment
}

func (n network) prefix() netip.Prefix {
	if n.six {
		return netip.MustParsePrefix("2001:db8::/64")
	}
	if n.wide {
		return netip.MustParsePrefix("198.18.0.0/16")
	}
	return prefix
}

// upstream returns the network of the servers that a relay leads to.
func (n network) upstream() netip.Prefix {
	if n.six {
		return netip.MustParsePrefix("2001:db8:1::/64")
	}
	return netip.MustParsePrefix("198.51.100.0/24")
}

// server is the first address of the servers' prefix.
func (n network) server() netip.Addr {
	if n.relay {
		return n.upstream().Addr().Next()
	}
	return n.prefix().Addr().Next()
}

// subnet has room for 3,000 machines when it is of IPv6, or wide.
func (n network) subnet(link string, prefix netip.Prefix) dhcpsrv.Subnet {
	s := dhcpsrv.Subnet{Name: "test", Prefix: prefix, Link: link, Server: n.server(), Mode: n.mode}
	first := prefix.Addr()
	for range 100 {
		first = first.Next()
	}
	last := first
	for range min(3000, 1<<min(first.BitLen()-prefix.Bits(), 16)-150) {
		last = last.Next()
	}
	if n.mode != dhcpsrv.ModeProxy {
		s.Pools = []dhcpsrv.Pool{{First: first, Last: last}}
	}
	if n.relay {
		s.Link = ""
	}
	return s
}

// run serves a site while f runs.
func run(t testing.TB, change func(*boottest.Segment, *pxe.Config), f func(*site)) {
	t.Helper()
	runOn(t, network{}, change, f)
}

func runOn(t testing.TB, where network, change func(*boottest.Segment, *pxe.Config), f func(*site)) {
	t.Helper()
	s := &site{segment: boottest.NewSegment(where.prefix())}
	hear := func(e pxe.Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = append(s.events, e)
		if where.trials != nil {
			where.trials.Saw(e)
		}
	}
	var clients pxe.Clients
	cfg := pxe.Config{Resolver: pxe.Static(profile()), Files: files(), Loaders: loaders(), Methods: where.methods, Events: hear, Describe: clients.Describe}
	if change != nil {
		change(s.segment, &cfg)
	}
	if where.known || where.trials != nil { // trials go by who fetched what
		cfg.Identify = pxe.IdentifierFunc(func(a netip.Addr) (net.HardwareAddr, bool) {
			l, ok := s.dhcp.Lookup(a.Unmap())
			return l.MAC, ok
		})
	}
	servers := s.segment
	if where.relay {
		servers = boottest.NewSegment(where.upstream())
		servers.Delay, servers.Jitter, servers.Loss = s.segment.Delay, s.segment.Jitter, s.segment.Loss
		s.segment.RelayTo(servers, where.prefix().Addr().Next(), where.server())
	}
	node := servers.Server(where.server())
	boot, err := pxe.New(cfg)
	must(t, err)
	var choice func(dhcpsrv.BootQuery) pxe.LoaderChoice
	var pick func(firmware.Client, firmware.Offer, pxe.LoaderChoice) string
	if chooser, ok := cfg.Resolver.(pxe.LoaderChooser); ok {
		choice = pxedhcp.LoaderOf(chooser)
	}
	if where.trials != nil {
		pick = where.trials.Next
	}
	s.dhcp, err = dhcpsrv.New(dhcpsrv.Config{Boot: pxedhcp.New(pxedhcp.Config{
		Methods: where.methods, Loader: choice, Pick: pick, Seen: func(c firmware.Client, o firmware.Offer) {
			clients.Remember(c)
			hear(pxe.Offered(o, c, time.Now()))
		},
	})})
	must(t, err)
	must(t, s.dhcp.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{where.subnet(s.segment.Link, where.prefix())}}))
	dhcp, err := node.DHCP()
	must(t, err)
	again, err := node.DHCPBoot()
	must(t, err)
	tftp, err := node.ListenPacket("udp", ":69")
	must(t, err)
	http, err := node.Listen("tcp", ":5248")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	serve := func(serve func() error) {
		wg.Go(func() {
			if err := serve(); err != nil {
				t.Error(err)
			}
		})
	}
	if where.six {
		serve(func() error { return s.dhcp.Serve6(ctx, dhcp) })
	} else {
		serve(func() error { return s.dhcp.Serve(ctx, dhcp) })
	}
	serve(func() error { return s.dhcp.ServeBoot(ctx, again) })
	if where.deaf {
		tftp.Close()
		http.Close()
	} else {
		serve(func() error { return boot.ServeTFTP(ctx, tftp) })
		serve(func() error { return boot.Serve(ctx, http) })
	}
	f(s)
	cancel()
	wg.Wait()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fetches lists what a machine asked for, and how it went.
func fetches(r *boottest.Report) (out []string) {
	for _, f := range r.Fetches {
		line := fmt.Sprintf("%s %s", f.By, f.URL)
		if f.BlockSize != 0 {
			line += fmt.Sprintf(" %d/%d", f.BlockSize, f.WindowSize)
		}
		switch {
		case f.Probe:
			line += " probe"
		case strings.Contains(f.Err, "error 1"):
			line += " absent"
		case f.Err != "":
			line += " " + f.Err
		}
		out = append(out, line)
	}
	return out
}

// TestFirmware boots each kind of firmware; the order and the options of the requests are those of the captures.
func TestFirmware(t *testing.T) {
	mac := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 7}
	tests := []struct {
		firmware boottest.Firmware
		want     []string
		cmdline  string
	}{
		{boottest.BIOSiPXE, []string{
			"bios-ipxe http://192.0.2.1:5248/boot/52-54-00-00-00-07/script.ipxe?arch=0",
			"bios-ipxe http://192.0.2.1:5248/boot/52-54-00-00-00-07/kernel/vmlinuz",
			"bios-ipxe http://192.0.2.1:5248/boot/52-54-00-00-00-07/initrd/initrd",
		}, "initrd=initrd0 console=ttyS0"},
		{boottest.BIOSPXE, []string{
			"bios-pxe tftp://192.0.2.1/undionly.kpxe 1456/1 probe",
			"bios-pxe tftp://192.0.2.1/undionly.kpxe 1456/1",
			"bios-ipxe http://192.0.2.1:5248/boot/52-54-00-00-00-07/script.ipxe?arch=0",
			"bios-ipxe http://192.0.2.1:5248/boot/52-54-00-00-00-07/kernel/vmlinuz",
			"bios-ipxe http://192.0.2.1:5248/boot/52-54-00-00-00-07/initrd/initrd",
		}, "initrd=initrd0 console=ttyS0"},
		{boottest.UEFIShimGRUB, []string{
			"uefi-pxe tftp://192.0.2.1/shimx64.efi 1468/4 probe",
			"uefi-pxe tftp://192.0.2.1/shimx64.efi 1468/4",
			"shim tftp://192.0.2.1/revocations_sku.efi 512/1 absent",
			"shim tftp://192.0.2.1/revocations_sbat.efi 512/1 absent",
			"shim tftp://192.0.2.1/shim_certificate_0.efi 512/1 absent",
			"shim tftp://192.0.2.1/grubx64.efi 512/4",
			"grub tftp://192.0.2.1//grub/x86_64-efi/command.lst 512/1 absent",
			"grub tftp://192.0.2.1//grub/x86_64-efi/fs.lst 512/1 absent",
			"grub tftp://192.0.2.1//grub/x86_64-efi/crypto.lst 512/1 absent",
			"grub tftp://192.0.2.1//grub/x86_64-efi/terminal.lst 512/1 absent",
			"grub tftp://192.0.2.1//grub/grub.cfg 1024/1",
			"grub tftp://192.0.2.1//grub/grub.cfg-01-52:54:00:00:00:07 1024/1",
			"grub tftp://192.0.2.1//boot/52-54-00-00-00-07/kernel/vmlinuz 1024/1",
			"grub tftp://192.0.2.1//boot/52-54-00-00-00-07/initrd/initrd 1024/1",
		}, "BOOT_IMAGE=/boot/52-54-00-00-00-07/kernel/vmlinuz console=ttyS0"},
		{boottest.UEFIHTTP, []string{
			"uefi-http http://192.0.2.1:5248/snponly.efi probe",
			"uefi-http http://192.0.2.1:5248/snponly.efi",
			"uefi-ipxe http://192.0.2.1:5248/boot/52-54-00-00-00-07/script.ipxe?arch=7",
			"uefi-ipxe http://192.0.2.1:5248/boot/52-54-00-00-00-07/kernel/vmlinuz",
			"uefi-ipxe http://192.0.2.1:5248/boot/52-54-00-00-00-07/initrd/initrd",
		}, "initrd=initrd0 console=ttyS0"},
	}
	for _, tt := range tests {
		t.Run(tt.firmware.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				run(t, nil, func(s *site) {
					m := s.segment.NewMachine(boottest.MachineConfig{MAC: mac, Firmware: tt.firmware, Hostname: "node-7"})
					r, err := m.Boot(t.Context())
					if err != nil {
						t.Fatalf("%v\n%s\n%q", err, strings.Join(fetches(r), "\n"), r.Console)
					}
					if diff := cmp.Diff(tt.want, fetches(r)); diff != "" {
						t.Errorf("requests (-want +got)\n%s", diff)
					}
					run := r.Running
					if run.Kind != boottest.Linux || run.Kernel.Size != 600_000 || len(run.Initrds) != 1 || run.Initrds[0].Size != 300_000 || !run.Done ||
						!strings.HasPrefix(run.Cmdline, tt.cmdline+" maas.done=http://192.0.2.1:5248/boot/52-54-00-00-00-07/done") {
						t.Errorf("running %+v", run)
					}
					if l, ok := s.dhcp.Lookup(m.Node().Addr()); !ok || l.Hostname != "node-7" || l.MAC.String() != mac.String() {
						t.Errorf("lease %+v", l)
					}
					for _, e := range s.heard() {
						if e.Err != "" {
							t.Errorf("event %+v", e)
						}
					}
				})
			})
		})
	}
}

func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run(t, func(seg *boottest.Segment, _ *pxe.Config) { seg.Delay, seg.Rate = time.Millisecond, 1<<20 }, func(s *site) {
			var steps []string
			m := s.segment.NewMachine(boottest.MachineConfig{Firmware: boottest.UEFIShimGRUB, Hostname: "node-1", Observe: func(p boottest.Progress) {
				if p.Done && p.Err == nil {
					steps = append(steps, string(p.Stage))
				}
			}})
			r, err := m.Boot(t.Context())
			must(t, err)
			var stages []boottest.Stage
			for _, st := range r.Stages {
				stages = append(stages, st.Stage)
			}
			want := []boottest.Stage{boottest.StageDHCP, boottest.StageLoader, boottest.StageConfig, boottest.StageKernel, boottest.StageInitrd, boottest.StageSystem, boottest.StageDone}
			if diff := cmp.Diff(want, stages); diff != "" {
				t.Errorf("stages (-want +got)\n%s", diff)
			}
			if len(steps) != 10 {
				t.Errorf("observed %q", steps)
			}
			// 1 MiB/s and lock-step blocks of 1024 bytes with 2 ms of round trip: a third of a MiB/s.
			kernel := r.Fetched(boottest.StageKernel)[0]
			if rate := kernel.Rate() / (1 << 20); rate < 0.28 || rate > 0.36 {
				t.Errorf("kernel at %.2f MiB/s in %v", rate, kernel.Duration)
			}
			if d := r.Stages[0].Duration; d < 3700*time.Millisecond || d > 4*time.Second {
				t.Errorf("DHCP took %v; the firmware collects offers for 3.7 s", d)
			}
			if len(r.Leases) != 2 || r.Leases[0].Addr != r.Leases[1].Addr || r.Leases[0].By != "uefi-pxe" || r.Leases[1].By != "linux" {
				t.Errorf("leases %+v", r.Leases)
			}
		})
	})
}

// TestLoss: every protocol recovers from lost datagrams, with the timers of the clients and servers.
func TestLoss(t *testing.T) {
	for _, fw := range []boottest.Firmware{boottest.BIOSiPXE, boottest.UEFIShimGRUB} {
		t.Run(fw.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				run(t, func(seg *boottest.Segment, _ *pxe.Config) { seg.Loss = 0.02; seg.Delay = time.Millisecond }, func(s *site) {
					r, err := s.segment.NewMachine(boottest.MachineConfig{Firmware: fw}).Boot(t.Context())
					if err != nil {
						t.Fatalf("%v\n%s", err, strings.Join(fetches(r), "\n"))
					}
					if r.Running.Kernel.Size != 600_000 {
						t.Errorf("running %+v", r.Running)
					}
				})
			})
		})
	}
}

func TestManyMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run(t, nil, func(s *site) {
			var wg sync.WaitGroup
			seen := make([]netip.Addr, 50)
			for i := range seen {
				fw := boottest.BIOSiPXE
				if i%2 == 1 {
					fw = boottest.UEFIShimGRUB
				}
				m := s.segment.NewMachine(boottest.MachineConfig{Firmware: fw})
				wg.Go(func() {
					r, err := m.Boot(t.Context())
					if err != nil {
						t.Errorf("%v", err)
						return
					}
					seen[i] = r.Lease().Addr
				})
			}
			wg.Wait()
			all := map[netip.Addr]bool{}
			for _, a := range seen {
				all[a] = true
			}
			if len(all) != len(seen) {
				t.Errorf("%d machines have %d addresses", len(seen), len(all))
			}
		})
	})
}

func TestPower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run(t, func(seg *boottest.Segment, _ *pxe.Config) { seg.Rate = 100 << 10 }, func(s *site) {
			m := s.segment.NewMachine(boottest.MachineConfig{Hostname: "node-1"})
			if _, err := m.Wait(t.Context()); err == nil || m.Powered() {
				t.Errorf("before power-on: powered %v, %v", m.Powered(), err)
			}
			m.PowerOn()
			m.PowerOn()
			r, err := m.Wait(t.Context())
			if err != nil || !m.Powered() {
				t.Fatalf("powered %v, %v", m.Powered(), err)
			}
			// The running system keeps its lease.
			time.Sleep(24 * time.Hour)
			if l, ok := s.dhcp.Lookup(r.Lease().Addr); !ok || l.Hostname != "node-1" {
				t.Errorf("a day later: %v %+v", ok, l)
			}
			m.PowerOff()
			m.PowerOff()
			if m.Powered() || m.Node().Addr().IsValid() {
				t.Errorf("after power-off: powered %v, address %v", m.Powered(), m.Node().Addr())
			}
			time.Sleep(time.Hour)
			if _, ok := s.dhcp.Lookup(r.Lease().Addr); ok {
				t.Error("the lease did not run out")
			}
			// In the middle of a boot.
			m.PowerOn()
			time.Sleep(time.Second)
			m.PowerOff()
			if _, err := m.Wait(t.Context()); err == nil {
				t.Error("a boot cut short by the power is a success")
			}
		})
	})
}

// TestFailures: the error says in which stage a boot ended, and why.
func TestFailures(t *testing.T) {
	tests := []struct {
		name    string
		machine boottest.MachineConfig
		change  func(*boottest.Segment, *pxe.Config)
		want    string
		kind    boottest.Outcome
	}{
		{"no profile", boottest.MachineConfig{Firmware: boottest.UEFIShimGRUB}, func(_ *boottest.Segment, c *pxe.Config) {
			c.Resolver = pxe.ResolverFunc(func(context.Context, pxe.Request) (pxe.Profile, error) { return pxe.Profile{}, pxe.ErrNoProfile })
		}, "", boottest.SetupMenu},
		{"no loader", boottest.MachineConfig{Firmware: boottest.UEFIShimGRUB}, func(_ *boottest.Segment, c *pxe.Config) { c.Loaders = fstest.MapFS{} },
			"loader: tftp://192.0.2.1/shimx64.efi: tftp error 1", ""},
		{"no loader, but a disk", boottest.MachineConfig{Firmware: boottest.UEFIShimGRUB, Disk: true}, func(_ *boottest.Segment, c *pxe.Config) { c.Loaders = fstest.MapFS{} },
			"", boottest.LocalDisk},
		{"local boot, BIOS", boottest.MachineConfig{Disk: true}, withProfile(pxe.Profile{Kind: pxe.Local}), "", boottest.LocalDisk},
		{"local boot, UEFI", boottest.MachineConfig{Disk: true, Firmware: boottest.UEFIShimGRUB}, withProfile(pxe.Profile{Kind: pxe.Local}), "", boottest.LocalDisk},
		{"local boot without a disk", boottest.MachineConfig{}, withProfile(pxe.Profile{Kind: pxe.Local}), "", boottest.NextDevice},
		{"power off, BIOS", boottest.MachineConfig{}, withProfile(pxe.Profile{Kind: pxe.PowerOff}), "", boottest.PoweredOff},
		{"power off, UEFI", boottest.MachineConfig{Firmware: boottest.UEFIShimGRUB}, withProfile(pxe.Profile{Kind: pxe.PowerOff}), "", boottest.PoweredOff},
		{"kernel missing", boottest.MachineConfig{}, func(_ *boottest.Segment, c *pxe.Config) { c.Files = fstest.MapFS{} }, "", boottest.NextDevice},
		{"no answer", boottest.MachineConfig{}, func(s *boottest.Segment, _ *pxe.Config) { s.Loss = 1 }, "dhcp: no answer to DISCOVER (4 sent)", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				run(t, tt.change, func(s *site) {
					r, err := s.segment.NewMachine(tt.machine).Boot(t.Context())
					if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
						t.Errorf("error %v, want %q\n%q", err, tt.want, r.Console)
					}
					if r.Running.Kind != tt.kind {
						t.Errorf("ended in %q, want %q\n%q", r.Running.Kind, tt.kind, r.Console)
					}
				})
			})
		})
	}
}

func withProfile(p pxe.Profile) func(*boottest.Segment, *pxe.Config) {
	return func(_ *boottest.Segment, c *pxe.Config) { c.Resolver = pxe.Static(p) }
}
