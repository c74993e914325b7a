package bmc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/daemon"
	"github.com/gomaas/maas/cmd/maas/internal/httpserve"
	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/bmcserve"
	"github.com/gomaas/maas/power/kinds"
)

// Options hold the settings that a configuration file does not have.
type Options struct {
	// Dir holds the certificate that the server makes.
	Dir string
	// Version is reported to MAAS.
	Version string
	// SitePower acts on machines of the site, SiteMachines. If nil, there are none.
	SitePower    bmcserve.MediaPower
	SiteMachines []string
	Log          *slog.Logger
	// Ready is called when everything serves. If nil, nothing is.
	Ready func(Addresses)
}

// Addresses are those at which the server listens.
type Addresses struct{ HTTPS, IPMI string }

// both acts on machines of the file and of the site.
type both struct {
	local, site bmcserve.MediaPower
	own         []string // machines of the file
}

// of returns the power of a machine.
func (b both) of(machine string) bmcserve.MediaPower {
	if b.site == nil || slices.Contains(b.own, machine) {
		return b.local
	}
	return b.site
}

// Do implements bmcserve.Power.
func (b both) Do(ctx context.Context, machine string, action power.Action, opts power.Options) (power.Result, error) {
	return b.of(machine).Do(ctx, machine, action, opts)
}

// HasMedia implements bmcserve.MediaPower.
func (b both) HasMedia(machine string) bool { return b.of(machine).HasMedia(machine) }

// group runs servers until one of them fails.
type group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup
	mu     sync.Mutex
	errs   []error // guarded by mu
}

func (g *group) run(serve func() error) {
	g.wait.Go(func() {
		if err := serve(); err != nil {
			g.mu.Lock()
			g.errs = append(g.errs, err)
			g.mu.Unlock()
		}
		g.cancel()
	})
}

// Run serves until ctx ends.
func Run(ctx context.Context, cfg Config, o Options) error {
	controller, err := power.NewController(power.Config{Registry: kinds.All(), Log: o.Log})
	if err != nil {
		return err
	}
	p := both{local: bmcserve.Local(controller, cfg.targets()...), site: o.SitePower}
	for _, m := range cfg.Machines {
		p.own = append(p.own, m.Name)
	}
	server, err := bmcserve.New(bmcserve.Config{
		Power: p, Machines: slices.Concat(p.own, o.SiteMachines), Accounts: cfg.accounts(), Log: o.Log, Audit: func(e bmcserve.Entry) { audit(o.Log, e) },
	})
	if err != nil {
		return err
	}
	defer server.Close()
	g := &group{}
	g.ctx, g.cancel = context.WithCancel(ctx)
	at, err := listen(g, cfg, o, server, controller)
	if err != nil {
		g.cancel()
	} else if o.Ready != nil {
		o.Ready(at)
	}
	g.wait.Wait()
	g.cancel()
	return errors.Join(append(g.errs, err)...)
}

// audit logs an entry.
func audit(log *slog.Logger, e bmcserve.Entry) {
	level := slog.LevelInfo
	if e.Err != nil {
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, "BMC request", "proto", e.Protocol, "user", e.Account, "client", e.Source, "machine", e.Machine, "task", e.Action, "err", e.Err)
}

// listen opens all sockets and serves at them.
func listen(g *group, cfg Config, o Options, server *bmcserve.Server, controller *power.Controller) (at Addresses, err error) {
	if cfg.HTTPS != "" {
		if at.HTTPS, err = listenHTTPS(g, cfg, o, server); err != nil {
			return at, err
		}
	}
	listeners := []Machine{{IPMI: cfg.IPMI}}
	for _, m := range append(listeners, cfg.Machines...) {
		if m.IPMI == "" {
			continue
		}
		conn, err := (&net.ListenConfig{}).ListenPacket(g.ctx, "udp", m.IPMI)
		if err != nil {
			return at, fmt.Errorf("ipmi %s: %w", m.IPMI, err)
		}
		if m.Name == "" {
			at.IPMI = conn.LocalAddr().String()
		}
		g.run(func() error { return server.ServeIPMI(g.ctx, conn, m.Name) })
	}
	if cfg.Drivers == "" {
		return at, nil
	}
	return at, listenDrivers(g, cfg, o, controller)
}

func listenHTTPS(g *group, cfg Config, o Options, server *bmcserve.Server) (at string, err error) {
	ln, err := (&net.ListenConfig{}).Listen(g.ctx, "tcp", cfg.HTTPS)
	if err != nil {
		return "", fmt.Errorf("https %s: %w", cfg.HTTPS, err)
	}
	var config *tls.Config
	if cfg.TLSCert != "" {
		config, err = httpserve.Files(cfg.TLSCert, cfg.TLSKey)
	} else {
		config, err = selfSigned(o.Dir)
	}
	if err != nil {
		return "", errors.Join(err, ln.Close())
	}
	fingerprint, err := httpserve.Fingerprint(config)
	if err != nil {
		return "", errors.Join(err, ln.Close())
	}
	o.Log.Info("certificate of Redfish and webhooks; clients compare its SHA-256 fingerprint", "fingerprint", fingerprint)
	g.run(func() error { return server.Serve(g.ctx, ln, config) })
	return ln.Addr().String(), nil
}

// selfSigned returns the certificate of the server, which is made at the first start.
func selfSigned(dir string) (*tls.Config, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	return httpserve.SelfSigned(dir, names)
}

// listenDrivers opens a socket for each power type. Only this user may use it: MAAS sends the
// passwords of BMCs through it.
func listenDrivers(g *group, cfg Config, o Options, controller *power.Controller) error {
	if err := os.MkdirAll(cfg.Drivers, 0o700); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(controller.Registry())) {
		handler, err := bmcserve.Contract(controller, name, o.Version)
		if err != nil {
			return err
		}
		ln, err := daemon.ListenLocal(g.ctx, filepath.Join(cfg.Drivers, name+".sock"))
		if err != nil {
			return err
		}
		srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)}
		g.run(func() error {
			stop := context.AfterFunc(g.ctx, func() { _ = srv.Close() })
			defer stop()
			if err := srv.Serve(bounds.Listen(ln, bounds.Limits{Log: o.Log})); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	return nil
}
