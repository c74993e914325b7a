package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
)

// racksPort is the default port of a region for racks.
const racksPort = 5250

// Region runs a region without a rack until ctx ends. It calls ready, if that is not nil, when
// everything serves.
func Region(ctx context.Context, cfg config.Config, log *slog.Logger, ready func()) (err error) {
	if cfg.Data, err = chooseData(cfg.Data, config.DefaultData, config.FormerData); err != nil {
		return err
	}
	files, profile, err := openBootFiles(cfg.Boot)
	if err != nil {
		return err
	}
	unlock, err := LockData(cfg.Data)
	if err != nil {
		return err
	}
	defer unlock()
	var sockets region.Sockets
	serving := false
	defer func() {
		if !serving {
			err = errors.Join(err, sockets.Close())
		}
	}()
	if sockets, err = listenRegion(ctx, cfg); err != nil {
		return err
	}
	if cfg.Region.Racks == "" {
		cfg.Region.Racks = fmt.Sprintf(":%d", racksPort)
	}
	addresses, err := listenForRacks(ctx, cfg, &sockets)
	if err != nil {
		return err
	}
	tracer, stopTracer := openTracer(ctx, cfg, cfg.Region.Name, log)
	defer stopTracer()
	s := &site{cfg: cfg, log: log, tracer: tracer}
	if err := s.openRegion(ctx, region.Config{Advertise: addresses, Files: files}, sockets); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.region.Close()) }()
	inv := s.region.Inventory()
	if err := inv.Atomically(ctx, func(ctx context.Context) error { return s.settings(ctx, inv, profile) }); err != nil {
		return err
	}
	serving = true
	log.Info("serving", "racks", addresses, "data", cfg.Data)
	s.logFingerprint()
	if ready != nil {
		ready()
	}
	return s.region.Serve(ctx, sockets)
}

// settings brings the site's settings up to date with the configuration.
func (s *site) settings(ctx context.Context, inv *inventory.Inventory, profile *pxe.Profile) error {
	if s.cfg.DNS.Domain != "" {
		if err := nameDomain(ctx, inv, s.cfg.DNS.Domain); err != nil {
			return err
		}
	}
	if profile != nil {
		if err := inv.Profiles.SetDefault(ctx, profile); err != nil {
			return err
		}
	}
	return errors.Join(s.setResolvers(ctx, inv), s.setProxy(ctx, inv))
}

// listenRegion opens the sockets of the API, both or none.
func listenRegion(ctx context.Context, cfg config.Config) (r region.Sockets, err error) {
	address := cfg.Region.Listen
	if address == "" {
		address = fmt.Sprintf(":%d", regionPort)
	}
	api, err := listenTCP(ctx, "API", address)
	if err != nil {
		return r, err
	}
	local, err := ListenLocal(ctx, SocketPath(cfg.Data))
	if err != nil {
		return r, errors.Join(err, api.Close())
	}
	return region.Sockets{API: []net.Listener{api}, Local: local}, nil
}

// ownAddresses returns the addresses at which other hosts reach a listener: its own or, if it
// listens on all, each address of this host.
func ownAddresses(listener net.Addr) ([]string, error) {
	at, err := netip.ParseAddrPort(listener.String())
	if err != nil {
		return nil, err
	}
	if !at.Addr().IsUnspecified() {
		return []string{at.String()}, nil
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, a := range all {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().IsGlobalUnicast() {
			out = append(out, net.JoinHostPort(p.Addr().String(), strconv.Itoa(int(at.Port()))))
		}
	}
	if len(out) == 0 {
		return nil, errors.New("this host has no address at which racks could reach it; give it one, or name one with --address")
	}
	return out, nil
}

// closeAll closes in order and joins what fails.
func closeAll(closers []io.Closer) error {
	var errs []error
	for _, c := range closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
