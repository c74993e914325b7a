package daemon

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/ipam"
)

// logServing logs what the site serves on the first interface, and what of the configuration is not
// in use: range and gateway describe a network at its first start, and the site's data wins after.
func (s *site) logServing(ctx context.Context) {
	inv := s.region.Inventory()
	prefix := s.links[0].Prefixes[0]
	subnets, err := inv.Subnets.List(ctx)
	ranges, rangesErr := inv.Ranges.List(ctx)
	i := slices.IndexFunc(subnets, func(n ipam.Subnet) bool { return n.Prefix == prefix.Masked() })
	if err != nil || rangesErr != nil || i < 0 {
		s.log.Info("serving", "interfaces", linkNames(s.links), "address", prefix, "data", s.cfg.Data)
		return
	}
	subnet := subnets[i]
	dynamic := []string{}
	for _, r := range ranges {
		if r.SubnetID == subnet.ID && r.Type == ipam.RangeDynamic {
			dynamic = append(dynamic, r.Start.String()+"-"+r.End.String())
		}
	}
	s.log.Info("serving", "interfaces", linkNames(s.links), "address", prefix, "ranges", dynamic, "url", s.apiURL(), "ports", openPorts(rackPorts(s.cfg)), "data", s.cfg.Data)
	if first, last, err := s.cfg.DHCP.ParseRange(); err == nil && first.IsValid() {
		if text := first.String() + "-" + last.String(); !slices.Contains(dynamic, text) {
			s.log.Warn("dhcp.range of the configuration not in use: the site has another; change it with maas iprange", "subnet", prefix.Masked(), "from", text, "to", dynamic)
		}
	}
	if gateway, err := netip.ParseAddr(s.cfg.DHCP.Gateway); err == nil && gateway != subnet.Gateway {
		s.log.Warn(fmt.Sprintf("dhcp.gateway of the configuration not in use: the site has another; change it with maas subnet update %s gateway_ip=%s", subnet.Prefix, gateway),
			"ip", subnet.Gateway)
	}
}

// apiURL returns the address of the API from other hosts.
func (s *site) apiURL() string {
	scheme := "http"
	if s.cfg.Region.TLSMode() != config.TLSOff {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(s.cfg.Region.Listen)
	if err != nil || port == "" {
		port = "5240"
	}
	if a, err := netip.ParseAddr(host); err != nil || a.IsUnspecified() {
		host = s.links[0].Prefixes[0].Addr().String()
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/MAAS/"
}

// openPorts lists the ports that are served.
func openPorts(p rack.Ports) (open []string) {
	for _, port := range []struct {
		name   string
		number int
	}{{"dhcp", p.DHCP}, {"tftp", p.TFTP}, {"http", p.HTTP}, {"dns", p.DNS}, {"syslog", p.Syslog}} {
		if port.number != 0 {
			open = append(open, port.name+" "+strconv.Itoa(port.number))
		}
	}
	return open
}
