package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/peer"
	"github.com/gomaas/maas/rpc/wire"
)

// RackOptions are options of a rack besides its configuration.
type RackOptions struct {
	// Enrol is a token to join a site with. It is not needed again once the rack is in.
	Enrol string
	// Version is the version of the program.
	Version string
}

// rackDir returns the rack's directory in the data directory.
func rackDir(data string) string { return filepath.Join(data, "rack") }

// Rack runs a rack whose region is another process, until ctx ends. It serves what it has on disk
// at once, whether or not a region can be reached. It calls ready, if that is not nil, when
// everything serves.
func Rack(ctx context.Context, cfg config.Config, options RackOptions, log *slog.Logger, ready func()) (err error) {
	if cfg.Data, err = chooseData(cfg.Data, config.DefaultData, config.FormerData); err != nil {
		return err
	}
	links, err := chooseLinks(cfg.Interface)
	if err != nil {
		return err
	}
	files, _, err := openBootFiles(cfg.Boot)
	if err != nil {
		return err
	}
	unlock, err := lockRack(cfg.Data)
	if err != nil {
		return err
	}
	defer unlock()
	ports := rackPorts(cfg)
	ports.Partner = peer.DefaultPort
	sockets, err := rack.Listen(ctx, links, ports)
	if err != nil {
		return err
	}
	serving := false
	defer func() {
		if !serving {
			err = errors.Join(err, sockets.Close())
		}
	}()
	m, err := openMembership(ctx, rackDir(cfg.Data), cfg.Rack.Name, options.Enrol, log)
	if err != nil {
		return err
	}
	m.links, m.cfg, m.version = links, cfg, options.Version
	endSearch := m.lookForOthers(ctx)
	defer endSearch()
	tracer, stopTracer := openTracer(ctx, cfg, m.name(), log)
	defer stopTracer()
	s := &site{cfg: cfg, log: log, links: links, tracer: tracer}
	defer func() { err = errors.Join(err, closeAll(s.closers)) }()
	loaders := chooseLoaders(cfg.Boot.Loaders)
	ctx, shut := context.WithCancelCause(ctx)
	defer shut(nil)
	if err := s.newRack(m.rack(shut), files, loaders); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.rack.Close()) }()
	warnLoaders(log, loaders)
	serving = true
	log.Info("serving", "rack", m.name(), "interfaces", linkNames(links), "address", links[0].Prefixes[0], "data", cfg.Data)
	if ready != nil {
		ready()
	}
	stop := m.peers.start(ctx, s.rack.Methods())
	defer stop()
	return orRevoked(ctx, s.rack.Serve(ctx, sockets))
}

// lockRack makes the data directory and locks the rack's part of it.
func lockRack(data string) (unlock func(), err error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w; choose another with --data", err)
	}
	return LockData(rackDir(data))
}

// orRevoked adds that the rack was revoked to the end of its services, if that ended them.
func orRevoked(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, rpc.ErrRevoked) {
		return errors.Join(cause, err)
	}
	return err
}

// rack is the part of a rack's configuration that has to do with regions. Shut is called when the
// rack is revoked.
func (m *membership) rack(shut func(error)) rack.Config {
	dialer := &wire.Dialer{Regions: m.addresses, Ordered: true, TLS: m.tls}
	m.peers = newPeers(m, dialer)
	return rack.Config{
		Name: m.name(), Version: m.version, Dial: m.dialer(dialer.Dial, shut), Connected: m.connected, Identity: m.current, Revoked: m.revoked.refuse,
		Topics: []rpc.Topic{{Name: register.Topic, Apply: m.adopt}},
	}
}
