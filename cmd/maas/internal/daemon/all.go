// Package daemon runs the roles on a real host: it looks at the host, opens sockets, and composes
// region and rack.
//
// Everything that can be refused is refused before anything runs, with one line that says what,
// where and what to do.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/internal/traceexport"
	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/kinds"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/bootlog"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/peer"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// The ports of a site, as MAAS has them.
const (
	regionPort = 5240
	rackPort   = 5248
	dnsPort    = 53
)

// rackName is the name of the rack that runs in one process with its region.
const rackName = "rack"

// site is a region and a rack in one process.
type site struct {
	cfg     config.Config
	version string // of the program
	log     *slog.Logger
	links   []rack.Link // the first is where the site begins
	region  *region.Region
	rack    *rack.Rack
	// closers are closed at the end.
	closers    []io.Closer
	tracer     oteltrace.TracerProvider // nil: none
	registered register.Request         // of the rack in this process, as the region has it
	// fingerprint is the SHA-256 of the API's certificate, empty without TLS.
	fingerprint string
}

// openTracer begins traces, where the configuration or the environment names a collector, and
// returns what ends them. An empty instance is the host's name.
func openTracer(ctx context.Context, cfg config.Config, instance string, log *slog.Logger) (oteltrace.TracerProvider, func()) {
	return traceexport.Open(ctx, traceexport.Config{Endpoint: cfg.Trace.Endpoint, Instance: instance, Log: log.With("component", "trace")})
}

// All runs region and rack on the configured interface until ctx ends. It calls ready, if that is
// not nil, when everything serves.
func All(ctx context.Context, cfg config.Config, version string, log *slog.Logger, ready func()) (err error) {
	if cfg.Data, err = chooseData(cfg.Data, config.DefaultData, config.FormerData); err != nil {
		return err
	}
	links, err := chooseLinks(cfg.Interface)
	if err != nil {
		return err
	}
	files, profile, err := openBootFiles(cfg.Boot)
	if err != nil {
		return err
	}
	loaders := chooseLoaders(cfg.Boot.Loaders)
	unlock, err := LockData(cfg.Data)
	if err != nil {
		return err
	}
	defer unlock()
	regionSockets, rackSockets, err := listen(ctx, cfg, links)
	if err != nil {
		return err
	}
	serving := false
	defer func() {
		if !serving {
			err = errors.Join(err, regionSockets.Close(), rackSockets.Close())
		}
	}()
	tracer, stopTracer := openTracer(ctx, cfg, cfg.Region.Name, log)
	defer stopTracer()
	s := &site{cfg: cfg, version: version, log: log, links: links, tracer: tracer}
	defer func() { err = errors.Join(err, closeAll(s.closers)) }()
	addresses, err := listenForRacks(ctx, cfg, &regionSockets)
	if err != nil {
		return err
	}
	if err := s.openRegion(ctx, region.Config{LocalRack: rackName, Advertise: addresses, Files: files}, regionSockets); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.region.Close()) }()
	endWatch, err := s.lookForOthers(ctx)
	if err != nil {
		return err
	}
	defer endWatch()
	if err := s.begin(ctx, profile); err != nil {
		return err
	}
	if rackSockets.Proxy, err = s.listenProxy(ctx); err != nil {
		return err
	}
	if err := s.newLocalRack(files, loaders); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.rack.Close()) }()
	warnLoaders(log, loaders)
	serving = true
	s.logServing(ctx)
	s.logFingerprint()
	return s.serve(ctx, regionSockets, rackSockets, ready)
}

// openRegion opens the region of this process. base has what distinguishes the roles.
func (s *site) openRegion(ctx context.Context, base region.Config, sockets region.Sockets) (err error) {
	if base.TLS, s.fingerprint, err = openTLS(s.cfg, sockets.API[0].Addr()); err != nil {
		return err
	}
	base.Dir, base.Name, base.Database, base.PlainHTTP = s.cfg.Data, s.cfg.Region.Name, s.cfg.Region.Database, s.cfg.Region.PlainHTTP
	base.Kinds, base.Tracer, base.Log, base.Host = kinds.All(), s.tracer, s.log, s.lookAtHost
	s.region, err = region.Open(ctx, base)
	return err
}

// logFingerprint logs what clients compare before they trust the API's certificate.
func (s *site) logFingerprint() {
	if s.fingerprint == "" {
		s.log.Warn("API without TLS: passwords and keys cross the network unencrypted; remove region.tls of the configuration")
		return
	}
	s.log.Info("API with TLS; maas login compares the SHA-256 fingerprint of the certificate", "fingerprint", s.fingerprint)
}

// begin brings the region's data up to date with this host.
func (s *site) begin(ctx context.Context, profile *pxe.Profile) error {
	if err := s.bootstrap(ctx, profile); err != nil {
		return err
	}
	if err := s.addLinks(ctx, s.region.Inventory()); err != nil {
		s.log.Error("interfaces of this host not registered, the known ones are served", "err", err)
	}
	return nil
}

// listenForRacks opens the socket for racks of other hosts, if the configuration names one, and
// says where they reach it.
func listenForRacks(ctx context.Context, cfg config.Config, sockets *region.Sockets) (addresses []string, err error) {
	if cfg.Region.Racks == "" {
		return nil, nil
	}
	racks, err := listenTCP(ctx, "racks", cfg.Region.Racks)
	if err != nil {
		return nil, err
	}
	sockets.Racks = []net.Listener{racks}
	if len(cfg.Region.Addresses) > 0 {
		return cfg.Region.Addresses, nil
	}
	return ownAddresses(racks.Addr())
}

// keepLinks registers the addresses that the interfaces of this host have, as they change.
func (s *site) keepLinks(ctx context.Context, _ rpc.Conn) error {
	for ctx.Err() == nil {
		if err := s.addLinks(ctx, s.region.Inventory()); err != nil && ctx.Err() == nil {
			s.log.Error("new addresses not registered, trying again", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
	return nil
}

// newLocalRack composes the rack of the region's own process.
func (s *site) newLocalRack(files, loaders fs.FS) error {
	identity, err := s.region.LocalRackIdentity()
	if err != nil {
		return err
	}
	revoked := new(revocations)
	return s.newRack(rack.Config{
		Name: rackName, Version: s.version, Dial: s.region.Dial(rackName), Connected: s.keepLinks, Identity: identity, Revoked: revoked.refuse,
		Topics: []rpc.Topic{{Name: register.Topic, Apply: revoked.adopt}},
	}, files, loaders)
}

// newRack composes the rack. base says how it reaches its region.
func (s *site) newRack(base rack.Config, files, loaders fs.FS) error {
	access, err := s.openAccessLog(s.cfg.Proxy)
	if err != nil {
		return err
	}
	base.Dir, base.Log, base.Tracer = rackDir(s.cfg.Data), s.log, s.tracer
	base.ImageCache = int64(s.cfg.Boot.Cache) << 30
	base.Files, base.Loaders, base.HTTPPort = files, loaders, portOr(s.cfg.Rack.Port, rackPort)
	base.Power, base.Prober, base.WatchAll = power.Config{Registry: kinds.All()}, new(dhcplink.Prober), true
	base.ListenProxy, base.AccessLog = s.openProxy, access
	base.Interfaces, base.Ports = linkNames(s.links), rackPorts(s.cfg)
	s.rack, err = rack.New(base)
	return err
}

// serve runs both roles. The rack ends first, so that its last facts still find their region.
func (s *site) serve(ctx context.Context, regionSockets region.Sockets, rackSockets rack.Sockets, ready func()) error {
	regionCtx, stopRegion := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRegion()
	rackCtx, stopRack := context.WithCancel(ctx)
	defer stopRack()
	regionDone, rackDone := make(chan error, 1), make(chan error, 1)
	go func() { regionDone <- s.region.Serve(regionCtx, regionSockets) }()
	go func() { rackDone <- s.rack.Serve(rackCtx, rackSockets) }()
	if ready != nil {
		ready()
	}
	var regionErr, rackErr error
	select {
	case rackErr = <-rackDone:
		stopRegion()
		regionErr = <-regionDone
	case regionErr = <-regionDone: // a region that fails takes the daemon with it
		stopRack()
		rackErr = <-rackDone
	}
	return errors.Join(rackErr, regionErr)
}

// bootstrap makes what the first start needs and brings the rest up to date with the configuration.
func (s *site) bootstrap(ctx context.Context, profile *pxe.Profile) error {
	inv := s.region.Inventory()
	link := s.links[0]
	prefix := link.Prefixes[0]
	first, last, err := s.cfg.DHCP.ParseRange()
	if err != nil {
		return err
	}
	gateway := rack.Gateway(prefix.Masked())
	if s.cfg.DHCP.Gateway != "" {
		if gateway, err = netip.ParseAddr(s.cfg.DHCP.Gateway); err != nil {
			return err
		}
	}
	return inv.Atomically(ctx, func(ctx context.Context) error {
		before, err := inv.Subnets.List(ctx)
		if err != nil {
			return err
		}
		network := inventory.Bootstrap{
			Rack: rackName, Link: link.Name, MAC: link.MAC.String(), Address: prefix, Gateway: gateway,
			DynamicFirst: first, DynamicLast: last, NoDHCP: s.cfg.DHCP.Disable, DHCPMode: dhcpMode(s.cfg.DHCP),
		}
		if _, err := inv.Bootstrap(ctx, network); err != nil {
			return err
		}
		if len(before) == 0 {
			if err := bootstrap6(ctx, inv, network, link.Prefixes[1:]); err != nil {
				return err
			}
		}
		return s.settings(ctx, inv, profile)
	})
}

// maxPrefix6 is the longest IPv6 prefix with room for a dynamic range beside addresses that are
// given by hand.
const maxPrefix6 = 112

// bootstrap6 makes what is needed to serve the IPv6 networks of the interface of a new site. A site
// that exists has the IPv6 subnets that its operator made.
func bootstrap6(ctx context.Context, inv *inventory.Inventory, network inventory.Bootstrap, addresses []netip.Prefix) error {
	if network.NoDHCP || network.DHCPMode == ipam.DHCPProxy || network.DHCPMode == ipam.DHCPWatch { // another server gives addresses there
		return nil
	}
	network.Gateway, network.DynamicFirst, network.DynamicLast = netip.Addr{}, netip.Addr{}, netip.Addr{}
	for _, a := range addresses {
		if !a.Addr().Is6() || a.Bits() > maxPrefix6 {
			continue
		}
		network.Address = a
		if _, err := inv.Bootstrap(ctx, network); err != nil {
			return err
		}
	}
	return nil
}

// addLinks registers all links with all their addresses.
func (s *site) addLinks(ctx context.Context, inv *inventory.Inventory) error {
	m := membership{links: s.links, cfg: s.cfg}
	now := m.request()
	if sameRequest(s.registered, now) {
		return nil
	}
	reg := register.Registration(rackName, now)
	reg.Trusted = true // this host is the region's own
	if _, err := inv.RegisterLinks(ctx, reg); err != nil {
		return err
	}
	s.registered = now
	return nil
}

// nameDomain gives the default domain its configured name.
func nameDomain(ctx context.Context, inv *inventory.Inventory, name string) error {
	domains, err := inv.Domains.List(ctx)
	if err != nil || len(domains) == 0 || domains[0].Name == name {
		return err
	}
	domains[0].Name = name
	_, err = inv.Domains.Update(ctx, domains[0])
	return err
}

// setResolvers sets the forwarders of the configuration or, if they were never set, the host's
// resolvers.
func (s *site) setResolvers(ctx context.Context, inv *inventory.Inventory) error {
	servers := s.cfg.DNS.Forwarders
	if len(servers) == 0 {
		_, err := inv.Settings.Get(ctx, setting.UpstreamDNS)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		servers = hostResolvers("/etc/resolv.conf", s.links)
	}
	return inv.Settings.Set(ctx, setting.UpstreamDNS, strings.Join(servers, " "))
}

// dhcpMode returns the DHCP mode of networks that are new to the site. The configuration is valid.
func dhcpMode(cfg config.DHCP) ipam.DHCPMode {
	if cfg.Mode == "serve" {
		return ipam.DHCPServe
	}
	return ipam.DHCPMode(cfg.Mode)
}

// portOr returns a port, or the default of a port that is not configured.
func portOr(port, fallback int) int {
	if port == 0 {
		return fallback
	}
	return port
}

// SocketPath returns the path of the command socket of the daemon with this data directory.
func SocketPath(data string) string { return filepath.Join(data, "maas.sock") }

// listen opens all sockets or none.
func listen(ctx context.Context, cfg config.Config, links []rack.Link) (r region.Sockets, k rack.Sockets, err error) {
	ports := rackPorts(cfg)
	if cfg.Region.Racks != "" {
		ports.Partner = peer.DefaultPort
	}
	if k, err = rack.Listen(ctx, links, ports); err != nil {
		return r, k, err
	}
	if r, err = listenRegion(ctx, cfg); err != nil {
		err = errors.Join(err, k.Close())
	}
	return r, k, err
}

// rackPorts returns the ports of the rack's servers.
func rackPorts(cfg config.Config) rack.Ports {
	ports := rack.Ports{
		TFTP: 69, DHCP: 67, HTTP: portOr(cfg.Rack.Port, rackPort), DNS: portOr(cfg.DNS.Port, dnsPort),
	}
	if cfg.DHCP.Disable {
		ports.DHCP = 0
	}
	if !cfg.Rack.NoSyslog {
		ports.Syslog = portOr(cfg.Rack.SyslogPort, bootlog.DefaultPort)
	}
	return ports
}

// ListenLocal opens the command socket, which only this user may use. It replaces an existing
// socket: the lock of the data directory proves that no daemon uses it.
func ListenLocal(ctx context.Context, path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("command socket %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}
