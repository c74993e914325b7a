package pxedhcp_test

import (
	"context"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/boottest/qemutest"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/pxe/pxedhcp"
)

// rack is DHCP, TFTP and HTTP on a bridge of a namespace.
type rack struct {
	mode    dhcpsrv.Mode
	lab     *netlab.Lab
	ns      *netlab.NS
	guest   qemutest.Guest
	loaders fs.FS  // nil means those of this machine
	menu    bool   // the profile is the default of a menu
	kernel  string // in place of the guest's

	mu     sync.Mutex
	events []pxe.Event
	up     chan pxe.Event // StageRunning
}

func newRack(t *testing.T, firmware qemutest.Firmware, mode dhcpsrv.Mode, methods []firmware.Method, menu bool) *rack {
	t.Helper()
	r := &rack{mode: mode, menu: menu}
	if firmware == qemutest.UEFIARM64 {
		root := qemutest.Unpacked(t, "arm64", "shim-signed", "grub-efi-arm64-signed", "linux-image-cloud-arm64", "busybox-static")
		r.guest, r.loaders = qemutest.GuestFrom(t, root), pxe.Loaders(root)
	} else {
		r.guest = qemutest.NewGuest(t)
	}
	r.start(t, methods)
	return r
}

// profile is a system that reports, or a menu that boots it after a second.
func (r *rack) profile() pxe.Profile {
	system := pxe.Profile{Name: "busybox", Kernel: "vmlinuz", Initrd: []string{"initrd.gz"},
		Cmdline: "console=ttyAMA0 " + qemutest.Cmdline + " maas.done={done}"}
	if !r.menu {
		return system
	}
	return pxe.Profile{Name: "menu", Kind: pxe.Menu, Title: "Test menu (of a rack)", Default: system.Name, Timeout: time.Second,
		Entries:  []pxe.MenuEntry{{Profile: "disk", Title: "Local disk"}, {Profile: system.Name, Title: "A system"}},
		Profiles: []pxe.Profile{{Name: "disk", Kind: pxe.Local}, system}}
}

func (r *rack) start(t *testing.T, methods []firmware.Method) {
	t.Helper()
	r.lab, r.up = netlab.New(t), make(chan pxe.Event, 8)
	r.ns = r.lab.NS("rack")
	r.ns.Bridge("br0")
	r.ns.Addr("br0", "10.77.0.1/24")
	r.ns.Addr("br0", "fd77::1/64")

	if r.kernel == "" {
		r.kernel = r.guest.Kernel
	}
	site := pxedhcp.Site{
		Interfaces: []string{"br0"}, Proxy: r.mode == dhcpsrv.ModeProxy,
		// Nothing else has addresses there, and sockets of a prober would be in another namespace.
		DHCP: dhcpsrv.Config{Prober: dhcpsrv.ProberFunc(func(context.Context, string, netip.Addr) (bool, error) { return false, nil })},
		Boot: pxe.Config{
			Resolver: pxe.Static(r.profile()),
			Files:    pxe.FileMap{"vmlinuz": r.kernel, "initrd.gz": r.guest.Initrd},
			Loaders:  r.loaders,
			Methods:  methods,
			Events:   r.event,
			DialUDP: func(network string, l, remote *net.UDPAddr) (conn *net.UDPConn, err error) {
				err2 := r.ns.Do(func() error { conn, err = net.DialUDP(network, l, remote); return nil })
				if err == nil {
					err = err2
				}
				return conn, err
			},
		},
	}
	if !site.Proxy {
		a := netip.MustParseAddr
		site.Pools = []dhcpsrv.Pool{{First: a("10.77.0.100"), Last: a("10.77.0.150")}, {First: a("fd77::100"), Last: a("fd77::150")}}
	}
	var server *pxedhcp.Server
	var sockets pxedhcp.Sockets
	err := r.ns.Do(func() (err error) {
		if server, err = pxedhcp.NewServer(site); err == nil {
			sockets, err = pxedhcp.Listen(t.Context(), site)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r.serve(t, server, sockets)
}

func (r *rack) serve(t *testing.T, server *pxedhcp.Server, sockets pxedhcp.Sockets) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, sockets) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, e := range r.all() {
			t.Logf("%-8s %-4s %-60s %8d bytes %8.3fs blk %d win %d retr %d absent %t probe %t %s mac %s method %s %s", e.Stage, e.Proto, e.Path, e.Bytes,
				e.Duration.Seconds(), e.BlockSize, e.WindowSize, e.Retransmits, e.Absent, e.Probe, e.Addr, e.MAC, e.Method, e.Err)
		}
	})
}

func (r *rack) event(e pxe.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
	if e.Stage == pxe.StageRunning {
		r.up <- e
	}
}

func (r *rack) all() []pxe.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]pxe.Event(nil), r.events...)
}

// TestFirmware boots machines with real firmware to the guest's marker.
func TestFirmware(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines without KVM")
	}
	const serve = dhcpsrv.ModeServe
	tests := []struct {
		name    string
		mode    dhcpsrv.Mode // proxy puts another DHCP server beside ours
		vm      qemutest.VM
		methods []string // put in front of the table
		loaders []string // that are fetched
	}{
		// The longest first, as they run beside each other.
		{"uefi-arm64", serve, qemutest.VM{Firmware: qemutest.UEFIARM64, MemoryMB: 768}, nil, []string{"shimaa64.efi", "grubaa64.efi"}},
		{"uefi-v6-shim-grub", serve, qemutest.VM{Firmware: qemutest.UEFI, IPv6: true}, nil, []string{"shimx64.efi", "grubx64.efi"}},
		{"uefi-v6-http-ipxe", serve, qemutest.VM{Firmware: qemutest.UEFI, IPv6: true, HTTPBoot: true}, []string{"no-v4-http"}, []string{"snponly.efi"}},
		{"secure-boot", serve, qemutest.VM{Firmware: qemutest.SecureBoot}, nil, []string{"shimx64.efi", "grubx64.efi"}},
		{"uefi-shim-grub", serve, qemutest.VM{Firmware: qemutest.UEFI}, nil, []string{"shimx64.efi", "grubx64.efi"}},
		{"proxy-uefi-ipxe", dhcpsrv.ModeProxy, qemutest.VM{Firmware: qemutest.UEFI}, nil, []string{"snponly.efi"}},
		{"uefi-ipxe", serve, qemutest.VM{Firmware: qemutest.UEFI}, []string{"ipxe", "uefi-amd64-ipxe"}, []string{"snponly.efi"}},
		{"uefi-http-ipxe", serve, qemutest.VM{Firmware: qemutest.UEFI, HTTPBoot: true}, nil, []string{"snponly.efi"}},
		{"bios-pxelinux", serve, qemutest.VM{}, []string{"bios-pxelinux"}, []string{"pxelinux.0", "ldlinux.c32"}},
		{"bios-ipxe", serve, qemutest.VM{}, nil, nil},
		// A menu is shown, and its default booted after a second.
		{"menu-uefi-shim-grub", serve, qemutest.VM{Firmware: qemutest.UEFI}, nil, []string{"shimx64.efi", "grubx64.efi"}},
		{"menu-bios-pxelinux", serve, qemutest.VM{}, []string{"bios-pxelinux"}, []string{"pxelinux.0", "ldlinux.c32", "ldlinux.c32"}},
		{"menu-bios-ipxe", serve, qemutest.VM{}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.vm.MAC, _ = net.ParseMAC("52:54:00:77:e1:97")
			tt.vm.Tap = "tap0"
			netlab.Require(t, tt.vm.Needs()...)
			if tt.vm.Firmware != qemutest.UEFIARM64 { // whose loaders are downloaded
				netlab.Require(t, loaderNeeds(tt.loaders)...)
			}
			t.Parallel()
			menu := strings.HasPrefix(tt.name, "menu-")
			r := newRack(t, tt.vm.Firmware, tt.mode, tableWith(tt.methods), menu)
			if tt.mode == dhcpsrv.ModeProxy {
				r.otherDHCP(t)
			}
			r.boots(t, tt.vm)
			if fetched := r.fetched(t, tt.vm.IPv6); !slices.Equal(fetched, tt.loaders) {
				t.Errorf("loaders fetched: %q, want %q", fetched, tt.loaders)
			}
			if shown := r.chosenFrom(); menu && !slices.Equal(shown, []string{"menu", "busybox"}) {
				t.Errorf("configurations of profiles %q, want the menu's and its default's", shown)
			}
		})
	}
}

// otherDHCP puts dnsmasq on the bridge, which gives addresses and knows nothing about booting.
func (r *rack) otherDHCP(t *testing.T) {
	t.Helper()
	netlab.Require(t, netlab.Program("dnsmasq", "dnsmasq-base"))
	other := r.lab.NS("other")
	r.lab.Veth(r.ns, "other0", other, "eth0")
	r.ns.Port("br0", "other0")
	other.Addr("eth0", "10.77.0.3/24")
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := other.Command(ctx, "dnsmasq", "-k", "--conf-file=/dev/null", "--pid-file=", "--port=0", "--interface=eth0", "--bind-interfaces",
		"--dhcp-range=10.77.0.60,10.77.0.90,1h", "--dhcp-leasefile="+t.TempDir()+"/leases", "--user=root")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
}

// boots switches a machine on and waits until its system has reported.
func (r *rack) boots(t *testing.T, vm qemutest.VM) {
	t.Helper()
	r.ns.Tap("br0", vm.Tap)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	start := time.Now()
	m := qemutest.Start(t, r.ns, vm)
	if err := m.WaitSerial(ctx, qemutest.Marker); err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f s to the marker", time.Since(start).Seconds())
	select {
	case e := <-r.up:
		if e.MAC.String() != vm.MAC.String() || !strings.Contains(string(e.Body), "mac="+vm.MAC.String()) {
			t.Errorf("report of %s: %q", e.MAC, e.Body)
		}
	case <-ctx.Done():
		t.Fatal("the guest did not report")
	}
}

// fetched lists the loaders that were read to their end, by the family of addresses.
func (r *rack) fetched(t *testing.T, six bool) (names []string) {
	t.Helper()
	for _, e := range r.all() {
		if e.Stage != pxe.StageLoader || e.Err != "" || e.Probe || e.Absent {
			continue
		}
		names = append(names, strings.TrimPrefix(e.Path, "/"))
		if e.Addr.Is6() != six {
			t.Errorf("%s was fetched by %s", e.Path, e.Addr)
		}
	}
	return names
}

// chosenFrom lists the profiles that configurations were made from.
func (r *rack) chosenFrom() (names []string) {
	for _, e := range r.all() {
		if e.Stage == pxe.StageConfig && e.Profile != "" && !e.Probe && (len(names) == 0 || names[len(names)-1] != e.Profile) {
			names = append(names, e.Profile)
		}
	}
	return names
}

// noV4HTTP answers HTTP boot over IPv4 at once with something that is not there, without which firmware loses a minute
// before it tries IPv6.
var noV4HTTP = firmware.Method{Name: "no-v4-http", VendorClass: "HTTPClient", Loader: "no-http-boot", Proto: firmware.HTTP, IPv4Only: true}

// tableWith is the method table with the named ones in front.
func tableWith(names []string) []firmware.Method {
	if names == nil {
		return nil
	}
	var front []firmware.Method
	for _, n := range names {
		m, ok := firmware.MethodNamed(n)
		if !ok {
			m = noV4HTTP
		}
		front = append(front, m)
	}
	return append(front, firmware.Methods()...)
}

func loaderNeeds(names []string) (needs []netlab.Need) {
	for _, name := range names {
		needs = append(needs, func() error {
			f, err := pxe.DebianLoaders().Open(name)
			if err == nil {
				f.Close()
			}
			return err
		})
	}
	return needs
}
