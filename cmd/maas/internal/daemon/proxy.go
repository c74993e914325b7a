package daemon

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/setting"
)

// setProxy makes settings of what the configuration says about the proxy, and leaves the others.
func (s *site) setProxy(ctx context.Context, inv *inventory.Inventory) error {
	set := make(map[string]string)
	if s.cfg.Proxy.Port != 0 {
		set[setting.ProxyPort] = strconv.Itoa(s.cfg.Proxy.Port)
	}
	if s.cfg.Proxy.Parent != "" {
		set[setting.HTTPProxy], set[setting.UsePeerProxy] = s.cfg.Proxy.Parent, "true"
	}
	if s.cfg.Proxy.Disable {
		set[setting.EnableHTTPProxy] = "false"
	}
	for name, value := range set {
		if err := inv.Settings.Set(ctx, name, value); err != nil {
			return err
		}
	}
	return nil
}

// listenProxy opens the proxy's sockets on the port of the settings, so that one that is taken is
// refused before anything runs.
func (s *site) listenProxy(ctx context.Context) ([]net.Listener, error) {
	model, err := s.region.Inventory().Model(ctx)
	if err != nil {
		return nil, err
	}
	plan := plan.Proxy(model, rackName, rackName, plan.BMCs{}) // for its port alone
	return s.openProxy(ctx, plan.Port)
}

// openProxy opens the proxy's sockets; none for port 0.
func (s *site) openProxy(ctx context.Context, port int) ([]net.Listener, error) {
	sockets, err := rack.Listen(ctx, s.links, rack.Ports{Proxy: port})
	return sockets.Proxy, err
}

// openAccessLog opens the proxy's access log, nil for none. The file stays open as long as the
// process runs.
func (s *site) openAccessLog(cfg config.Proxy) (func(proxy.Access), error) {
	switch cfg.AccessLog {
	case "":
		return nil, nil
	case "log":
		return proxy.LogAccess(s.log.With("component", "proxy")), nil
	}
	f, err := os.OpenFile(cfg.AccessLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("access log of the proxy: %w", err)
	}
	s.closers = append(s.closers, f)
	return proxy.CommonLog(f), nil
}
