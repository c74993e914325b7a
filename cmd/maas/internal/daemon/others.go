package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/ipam"
)

// probeTime is the time that other DHCP servers have to answer. dnsmasq pings an address for 3 s
// before it offers it.
const probeTime = 4500 * time.Millisecond

// searches reports whether the configuration asks to look for other DHCP servers.
func searches(cfg config.DHCP) bool {
	return !cfg.Disable && !cfg.Force && dhcpMode(cfg) == ipam.DHCPServe
}

// otherServers searches one interface for DHCP servers.
func otherServers(ctx context.Context, link string) ([]dhcpsrv.RogueServer, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	return dhcplink.FindServers(ctx, link)
}

// lookForOthers returns an error where another DHCP server answers in a network that is new to the
// site. Networks that the site knows are served at once, so that a restart costs no service: a
// search beside the service logs what it finds there. The caller calls end before it returns.
func (s *site) lookForOthers(ctx context.Context) (end func(), err error) {
	if !searches(s.cfg.DHCP) {
		return func() {}, nil
	}
	subnets, err := s.region.Inventory().Subnets.List(ctx)
	if err != nil {
		return nil, err
	}
	var known []rack.Link
	for _, link := range s.links {
		if knows(subnets, link) {
			known = append(known, link)
			continue
		}
		s.log.Info("looking for other DHCP servers in a new network, which takes some seconds", "interface", link.Name)
		servers, err := otherServers(ctx, link.Name)
		if err != nil {
			return nil, err
		}
		for _, other := range servers {
			return nil, fmt.Errorf("DHCP: another server, %s (%s), answers on %s; stop it, or start beside it with --dhcp-mode proxy, auto or --no-dhcp, or in spite of it with --dhcp-force",
				other.Addr, other.MAC, link.Name)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var search sync.WaitGroup
	search.Go(func() { warnOfOthers(ctx, known, s.log) })
	return func() { cancel(); search.Wait() }, nil
}

// knows reports whether the site has a subnet of an interface.
func knows(subnets []ipam.Subnet, link rack.Link) bool {
	for _, subnet := range subnets {
		for _, p := range link.Prefixes {
			if subnet.Prefix == p.Masked() {
				return true
			}
		}
	}
	return false
}

// warnOfOthers logs the other DHCP servers that answer, and returns whether there are any. An
// interface that cannot be searched is logged as well.
func warnOfOthers(ctx context.Context, links []rack.Link, log *slog.Logger) (found bool) {
	for _, link := range links {
		servers, err := otherServers(ctx, link.Name)
		if err != nil && ctx.Err() == nil {
			log.Warn("other DHCP servers not looked for", "interface", link.Name, "err", err)
		}
		for _, other := range servers {
			found = true
			log.Warn("rogue DHCP server found", "interface", link.Name, "server", other.Addr, "mac", other.MAC.String())
		}
	}
	return found
}
