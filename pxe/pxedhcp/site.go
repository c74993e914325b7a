package pxedhcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/dhcpsrv/radv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/pxe/loaders"
)

// Site describes a network boot service. Boot.Resolver is required, and Interfaces or Subnets.
type Site struct {
	// Interfaces names the interfaces to serve. Each network of theirs is a subnet, with the
	// interface's address as its server. An IPv6 network is served if the interface was given its
	// address by an administrator: one that comes from a router has another owner.
	Interfaces []string
	// Pools are ranges to give out, each inside a network of an interface; networks without a range
	// or a reservation are not served then. If nil, and DHCP.Hosts is nil, too, the upper half of
	// each network is given out, at most 65,536 addresses, and over IPv4 only while no other DHCP
	// server answers there: beside one, only boot data is given, as with Proxy.
	Pools []dhcpsrv.Pool
	// Proxy leaves addresses to another DHCP server and gives boot data to firmware (proxyDHCP).
	Proxy bool
	// Routers, DNS and Domain are sent to clients; a router only to clients of its own network.
	Routers, DNS []netip.Addr
	Domain       string

	// Subnets replace what is made of the fields above, for settings that these do not have, relay
	// agents, and other systems than Linux. Interfaces then only adds interfaces to listen on.
	// [Site.Networks] returns a draft of them.
	Subnets []dhcpsrv.Subnet
	// Reservations are addresses and options of single clients.
	Reservations []dhcpsrv.Reservation
	// Advertisements are sent to the links. If nil, they make hosts on links with an IPv6 subnet
	// use DHCPv6; if empty, nothing is sent.
	Advertisements []radv.Advertisement

	// DHCP holds the other settings of the DHCP server: lease store, Hosts, events. If Boot in it
	// is nil, a selector made of Select is used; if Sockets is zero, the defaults of Prober and
	// FindServers are the means of package dhcplink.
	DHCP dhcpsrv.Config
	// Select holds the settings of the selector. Boot has its methods, quirks and port.
	Select Config
	// Boot holds the resolver, the files and the settings of the boot server. If nil, Identify goes
	// by the leases, and Describe by what machines said in DHCP. HTTPPort is also the port to
	// listen on, or if it is zero the port of the first of Sockets.HTTP.
	Boot pxe.Config

	// Sockets are used in place of those that [Listen] opens. A service without a socket does not
	// run.
	Sockets Sockets
	// Log receives the lines of all servers whose own settings have no log. If nil, they are
	// discarded.
	Log *slog.Logger
}

// Serve runs the servers of a site until ctx ends, and then returns nil. When one of them fails it
// ends the others and returns the error. No goroutine is left, and all sockets are closed.
func Serve(ctx context.Context, site Site) error {
	s, err := NewServer(site)
	if err != nil {
		return errors.Join(err, site.Sockets.Close())
	}
	sockets := site.Sockets
	if sockets.empty() {
		if sockets, err = Listen(ctx, site); err != nil {
			return err
		}
	}
	return s.Serve(ctx, sockets)
}

// Server holds the servers of a site, wired to each other. Each may be used by itself.
type Server struct {
	dhcp    *dhcpsrv.Server
	radv    *radv.Server
	boot    *pxe.Server
	clients pxe.Clients
	trials  loaders.Trials
}

// NewServer checks a site and makes its servers. It opens and starts nothing.
func NewServer(site Site) (*Server, error) {
	networks, err := site.networks()
	if err != nil {
		return nil, err
	}
	if site.Boot.HTTPPort == 0 && len(site.Sockets.HTTP) > 0 {
		if at, err := netip.ParseAddrPort(site.Sockets.HTTP[0].Addr().String()); err == nil {
			site.Boot.HTTPPort = int(at.Port())
		}
	}
	s := &Server{}
	if s.dhcp, err = s.newDHCP(site, networks); err != nil {
		return nil, fmt.Errorf("pxedhcp: Site.DHCP: %w", err)
	}
	err = s.dhcp.Update(dhcpsrv.Snapshot{Subnets: networks.subnets, Reservations: site.Reservations})
	if err != nil {
		return nil, fmt.Errorf("pxedhcp: Site: %w", err)
	}
	if s.radv, err = radv.New(radv.Config{Log: component(site.Log, "radv")}); err != nil {
		return nil, err
	}
	if err := s.radv.Update(networks.advertisements); err != nil {
		return nil, fmt.Errorf("pxedhcp: Site.Advertisements: %w", err)
	}
	if s.boot, err = s.newBoot(site); err != nil {
		return nil, fmt.Errorf("pxedhcp: Site.Boot: %w", err)
	}
	return s, nil
}

// newDHCP makes the DHCP server with the selector.
func (s *Server) newDHCP(site Site, networks networks) (*dhcpsrv.Server, error) {
	cfg := site.DHCP
	if cfg.Log == nil {
		cfg.Log = component(site.Log, "dhcp")
	}
	if cfg.Boot == nil {
		selecting := site.Select
		selecting.HTTPPort, selecting.Methods, selecting.Quirks = site.Boot.HTTPPort, site.Boot.Methods, site.Boot.Quirks
		if chooser, ok := site.Boot.Resolver.(pxe.LoaderChooser); ok && selecting.Loader == nil {
			selecting.Loader = LoaderOf(chooser)
		}
		if selecting.Pick == nil {
			selecting.Pick = s.trials.Next
		}
		selecting.Seen = func(c firmware.Client, o firmware.Offer) {
			s.clients.Remember(c)
			s.trials.Saw(pxe.Offered(o, c, time.Now()))
			if site.Select.Seen != nil {
				site.Select.Seen(c, o)
			}
		}
		cfg.Boot = New(selecting)
	}
	// On sockets of the caller these would ask about the links of this host.
	if site.Sockets.empty() {
		if cfg.Prober == nil {
			cfg.Prober = new(dhcplink.Prober)
		}
		if cfg.FindServers == nil {
			cfg.FindServers = dhcplink.FindServers
		}
	}
	return dhcpsrv.New(cfg)
}

// LoaderOf asks a resolver for the loaders of profiles, for Config.Loader.
func LoaderOf(chooser pxe.LoaderChooser) func(dhcpsrv.BootQuery) pxe.LoaderChoice {
	return func(q dhcpsrv.BootQuery) pxe.LoaderChoice {
		return chooser.LoaderOf(pxe.Request{MAC: q.MAC, Addr: q.Client, Server: q.Server, Arch: firmware.ArchUnknown})
	}
}

// newBoot makes the boot server, which knows machines by the DHCP server.
func (s *Server) newBoot(site Site) (*pxe.Server, error) {
	cfg := site.Boot
	if cfg.Log == nil {
		cfg.Log = component(site.Log, "boot")
	}
	from := cfg.Loaders
	if from == nil {
		from = pxe.DebianLoaders()
	}
	s.trials.SetChains(loaders.Chains(from))
	if cfg.Beside == nil {
		cfg.Beside = s.trials.Handed
	}
	events := cfg.Events
	cfg.Events = func(e pxe.Event) {
		s.trials.Saw(e)
		if e.Stage == pxe.StageLoader {
			e.Signed = s.trials.Signed(e.Path)
		}
		if events != nil {
			events(e)
		}
	}
	if cfg.Describe == nil {
		cfg.Describe = s.clients.Describe
	}
	if cfg.Identify == nil {
		cfg.Identify = pxe.IdentifierFunc(s.macOf)
	}
	return pxe.New(cfg)
}

// macOf returns the link address of the lease of an address.
func (s *Server) macOf(addr netip.Addr) (net.HardwareAddr, bool) {
	lease, ok := s.dhcp.Lookup(addr.Unmap())
	return lease.MAC, ok && len(lease.MAC) > 0
}

func component(log *slog.Logger, name string) *slog.Logger {
	if log == nil {
		return nil
	}
	return log.With("component", name)
}

// DHCP returns the DHCP server, whose leases and snapshot may be read and changed.
func (s *Server) DHCP() *dhcpsrv.Server { return s.dhcp }

// Boot returns the boot server.
func (s *Server) Boot() *pxe.Server { return s.boot }

// Advertiser returns the server of router advertisements.
func (s *Server) Advertiser() *radv.Server { return s.radv }

// Describe returns what a machine said about itself in DHCP last.
func (s *Server) Describe(mac net.HardwareAddr) (firmware.Client, bool) {
	return s.clients.Describe(mac)
}

// Serve serves on sockets until ctx ends, and then returns nil. When one of the servers fails it
// ends the others and returns the error. It closes the sockets.
func (s *Server) Serve(ctx context.Context, sockets Sockets) error {
	if err := sockets.check(); err != nil {
		return errors.Join(err, sockets.Close())
	}
	g, ctx := errgroup.WithContext(ctx)
	if sockets.DHCP != nil {
		g.Go(func() error { return s.dhcp.Serve(ctx, sockets.DHCP) })
	}
	if sockets.DHCPBoot != nil {
		g.Go(func() error { return s.dhcp.ServeBoot(ctx, sockets.DHCPBoot) })
	}
	if sockets.DHCP6 != nil {
		g.Go(func() error { return s.dhcp.Serve6(ctx, sockets.DHCP6) })
	}
	if sockets.Advertise != nil {
		g.Go(func() error { return s.radv.Serve(ctx, sockets.Advertise) })
	}
	for _, conn := range sockets.TFTP {
		g.Go(func() error { return s.boot.ServeTFTP(ctx, conn) })
	}
	for _, ln := range sockets.HTTP {
		g.Go(func() error { return s.boot.Serve(ctx, ln) })
	}
	return g.Wait()
}
