package pxedhcp_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/pxe/pxedhcp"
)

var (
	images = fstest.MapFS{"vmlinuz": {Data: []byte("a kernel")}, "initrd": {Data: []byte("an initrd")}}
	some   = pxe.Config{Resolver: pxe.Static(pxe.Profile{Name: "some", Kernel: "vmlinuz", Initrd: []string{"initrd"}, Cmdline: "quiet"}),
		Files: images, Loaders: fstest.MapFS{"shimx64.efi": {Data: []byte("shim")}, "grubx64.efi": {Data: []byte("grub")},
			"undionly.kpxe": {Data: []byte("iPXE")}, "snponly.efi": {Data: []byte("iPXE")}}}
)

// sockets opens all that a segment has on a node.
func sockets(t *testing.T, node *boottest.Node, six bool) (s pxedhcp.Sockets) {
	t.Helper()
	dhcp, err1 := node.DHCP()
	tftp, err2 := node.ListenPacket("udp", ":69")
	http, err3 := node.Listen("tcp", ":8080")
	s = pxedhcp.Sockets{TFTP: []net.PacketConn{tftp}, HTTP: []net.Listener{http}}
	var err4 error
	if six {
		s.DHCP6 = dhcp
	} else {
		s.DHCP = dhcp
		s.DHCPBoot, err4 = node.DHCPBoot()
	}
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	return s
}

// Firmware of all kinds boots over either family, beside another DHCP server and alone. The port of
// the given listener is the one in scripts, and nothing is left when Serve returns.
func TestServeBootsFirmware(t *testing.T) {
	v4, v6 := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64")
	for name, tt := range map[string]struct {
		prefix   netip.Prefix
		mode     dhcpsrv.Mode
		firmware boottest.Firmware
	}{
		"UEFI":             {v4, dhcpsrv.ModeServe, boottest.UEFIShimGRUB},
		"BIOS":             {v4, dhcpsrv.ModeServe, boottest.BIOSPXE},
		"UEFI HTTP":        {v4, dhcpsrv.ModeServe, boottest.UEFIHTTP},
		"HTTP beside DHCP": {v4, dhcpsrv.ModeProxy, boottest.UEFIHTTP},
		"iPXE":             {v4, dhcpsrv.ModeServe, boottest.BIOSiPXE},
		"UEFI beside DHCP": {v4, dhcpsrv.ModeProxy, boottest.UEFIShimGRUB},
		"BIOS beside DHCP": {v4, dhcpsrv.ModeProxy, boottest.BIOSPXE},
		"UEFI over IPv6":   {v6, dhcpsrv.ModeServe, boottest.UEFIShimGRUB},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				segment := boottest.NewSegment(tt.prefix)
				base := tt.prefix.Addr()
				node := segment.Server(base.Next())
				pool := []dhcpsrv.Pool{{First: base.Next().Next().Next(), Last: base.Next().Next().Next().Next().Next()}}
				var mu sync.Mutex
				var seen []string
				note := func(what string) {
					mu.Lock()
					defer mu.Unlock()
					seen = append(seen, what)
				}
				site := pxedhcp.Site{
					Subnets: []dhcpsrv.Subnet{{Name: "lab", Prefix: tt.prefix, Link: segment.Link, Server: node.Addr(), Mode: tt.mode, Pools: pool}},
					Boot:    some, Sockets: sockets(t, node, base.Is6()),
				}
				site.Boot.Events = func(e pxe.Event) {
					if e.Claimed || e.MAC == nil && e.Profile != "" {
						t.Errorf("not identified: %+v", e)
					}
					note(string(e.Stage))
				}
				site.Select.Seen = func(c firmware.Client, _ firmware.Offer) { note("asked") }
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 2)
				go func() { done <- pxedhcp.Serve(ctx, site) }()
				if tt.mode == dhcpsrv.ModeProxy {
					other := segment.Server(base.Next().Next())
					conn, err := other.DHCP()
					if err != nil {
						t.Fatal(err)
					}
					leases, err := dhcpsrv.New(dhcpsrv.Config{})
					if err != nil {
						t.Fatal(err)
					}
					err = leases.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{Name: "other", Prefix: tt.prefix, Link: segment.Link, Server: other.Addr(), Pools: pool}}})
					if err != nil {
						t.Fatal(err)
					}
					go func() { done <- leases.Serve(ctx, conn) }()
				} else {
					done <- nil
				}
				machine := segment.NewMachine(boottest.MachineConfig{Firmware: tt.firmware})
				report, err := machine.Boot(ctx)
				if err != nil {
					t.Fatal(err)
				}
				mu.Lock()
				asked := slices.Contains(seen, "asked")
				mu.Unlock()
				if report.Running.Kind != boottest.Linux || !strings.Contains(report.Running.Cmdline, "quiet") || !asked {
					t.Errorf("runs %+v; asked: %t", report.Running, asked)
				}
				machine.PowerOff()
				stop()
				for range 2 {
					if err := <-done; err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// broken is a socket that fails.
type broken struct{ dhcpsrv.Conn }

func (broken) ReadDHCP([]byte) (int, string, netip.AddrPort, netip.Addr, error) {
	return 0, "", netip.AddrPort{}, netip.Addr{}, net.ErrClosed
}

// When a server fails, the others end, and the error is returned.
func TestServeEndsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		segment := boottest.NewSegment(netip.MustParsePrefix("192.0.2.0/24"))
		node := segment.Server(netip.MustParseAddr("192.0.2.1"))
		site := pxedhcp.Site{
			Subnets: []dhcpsrv.Subnet{{Name: "lab", Prefix: segment.Prefix(), Link: segment.Link, Server: node.Addr()}},
			Boot:    some, Sockets: sockets(t, node, false),
		}
		site.Sockets.DHCP = broken{site.Sockets.DHCP}
		if err := pxedhcp.Serve(t.Context(), site); !errors.Is(err, net.ErrClosed) {
			t.Errorf("error %v", err)
		}
		if _, err := node.Listen("tcp", ":8080"); err != nil {
			t.Errorf("a socket is still open: %v", err)
		}
	})
}

// Nonsense is an error that names the field and the cure, and closes the sockets that were given.
func TestSiteSaysWhatIsWrong(t *testing.T) {
	a := netip.MustParseAddr
	lab := []dhcpsrv.Subnet{{Name: "lab", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth0", Server: a("192.0.2.1")}}
	pool := []dhcpsrv.Pool{{First: a("192.0.2.10"), Last: a("192.0.2.20")}}
	for name, tt := range map[string]struct {
		site pxedhcp.Site
		want string
	}{
		"nothing":            {pxedhcp.Site{}, "Site.Interfaces is empty; name the interfaces to serve, or describe Subnets"},
		"no resolver":        {pxedhcp.Site{Subnets: lab}, "Site.Boot: pxe: "},
		"empty name":         {pxedhcp.Site{Interfaces: []string{""}, Boot: some}, `Site.Interfaces: name 0 is "", empty or for the second time; leave it out`},
		"name twice":         {pxedhcp.Site{Interfaces: []string{"lo", "lo"}, Boot: some}, `Site.Interfaces: name 1 is "lo"`},
		"no such interface":  {pxedhcp.Site{Interfaces: []string{"none0"}, Boot: some}, "Site.Interfaces: there is no interface none0; this host has "},
		"pool elsewhere":     {pxedhcp.Site{Interfaces: []string{"lo"}, Pools: pool, Boot: some}, "Site.Pools: 192.0.2.10-192.0.2.20 is in no network of the interfaces, which have 127.0.0.1/8"},
		"zero pool":          {pxedhcp.Site{Interfaces: []string{"lo"}, Pools: []dhcpsrv.Pool{{}}, Boot: some}, "Site.Pools: "},
		"proxy with pool":    {pxedhcp.Site{Interfaces: []string{"lo"}, Pools: pool, Proxy: true, Boot: some}, "Site.Proxy and Pools are set"},
		"subnets with pools": {pxedhcp.Site{Subnets: lab, Pools: pool, Boot: some}, "Site.Subnets is set, and Pools, Proxy, Routers, DNS or Domain, too"},
		"subnets and proxy":  {pxedhcp.Site{Subnets: lab, Proxy: true, Boot: some}, "put these into the subnets"},
		"empty subnets":      {pxedhcp.Site{Subnets: []dhcpsrv.Subnet{}, Boot: some}, "Site.Interfaces is empty"},
		"relayed only": {pxedhcp.Site{Subnets: []dhcpsrv.Subnet{{Name: "far", Prefix: lab[0].Prefix, Server: a("198.51.100.1")}}, Boot: some},
			"Site.Subnets have no Link; name in Interfaces where packets of their relays arrive"},
		"subnet without server": {pxedhcp.Site{Subnets: []dhcpsrv.Subnet{{Name: "lab", Prefix: lab[0].Prefix, Link: "eth0"}}, Boot: some}, "pxedhcp: Site: dhcpsrv: "},
		"DHCP settings":         {pxedhcp.Site{Subnets: lab, DHCP: dhcpsrv.Config{Workers: -1}, Boot: some}, "Site.DHCP: dhcpsrv: "},
		"nil TFTP socket":       {pxedhcp.Site{Subnets: lab, Boot: some, Sockets: pxedhcp.Sockets{TFTP: []net.PacketConn{nil}}}, "Sockets.TFTP: socket 0 is nil; leave it out"},
	} {
		t.Run(name, func(t *testing.T) {
			closed := &closing{closed: make(chan struct{})}
			if tt.site.Sockets.TFTP == nil {
				tt.site.Sockets.HTTP = []net.Listener{closed}
			} else {
				tt.site.Sockets.HTTP = append(tt.site.Sockets.HTTP, closed)
			}
			err := pxedhcp.Serve(t.Context(), tt.site)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "pxedhcp: ") {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			<-closed.closed
		})
	}
}

// closing is a listener that is never served.
type closing struct{ closed chan struct{} }

func (c *closing) Accept() (net.Conn, error) { return nil, fs.ErrClosed }
func (c *closing) Close() error              { close(c.closed); return nil }
func (c *closing) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// Nothing of the caller's is changed, and the same description makes the same servers again.
func TestNetworks(t *testing.T) {
	ranges := func(subnets []dhcpsrv.Subnet) (out []string) {
		for _, s := range subnets {
			text := s.Name + " " + s.Mode.String() + " " + s.Server.String()
			for _, p := range s.Pools {
				text += " " + p.First.String() + "-" + p.Last.String()
			}
			out = append(out, text)
		}
		return out
	}
	a := netip.MustParseAddr
	for name, tt := range map[string]struct {
		site pxedhcp.Site
		want []string
	}{
		"zero":        {pxedhcp.Site{}, []string{"lo 127.0.0.0/8 auto 127.0.0.1 127.128.0.0-127.128.255.255"}},
		"router":      {pxedhcp.Site{Routers: []netip.Addr{a("127.128.0.9")}}, []string{"lo 127.0.0.0/8 auto 127.0.0.1 127.128.0.0-127.128.0.8 127.128.0.10-127.128.255.255"}},
		"proxy":       {pxedhcp.Site{Proxy: true}, []string{"lo 127.0.0.0/8 proxy 127.0.0.1"}},
		"pool":        {pxedhcp.Site{Pools: []dhcpsrv.Pool{{First: a("127.0.1.1"), Last: a("127.0.1.9")}}}, []string{"lo 127.0.0.0/8 serve 127.0.0.1 127.0.1.1-127.0.1.9"}},
		"reservation": {pxedhcp.Site{Pools: []dhcpsrv.Pool{}, Reservations: []dhcpsrv.Reservation{{MAC: mac, Addr: a("127.0.0.7")}}}, []string{"lo 127.0.0.0/8 serve 127.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.site.Interfaces, tt.site.Boot = []string{"lo"}, some
			for range 2 {
				got, err := tt.site.Networks()
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(ranges(got), tt.want) {
					t.Errorf("got  %q\nwant %q", ranges(got), tt.want)
				}
				if _, err := pxedhcp.NewServer(tt.site); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
