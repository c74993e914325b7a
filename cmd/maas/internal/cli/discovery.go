package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// discoveryCmd is the group `maas discovery`.
type discoveryCmd struct {
	List     discoveryListCmd     `cmd:"" help:"List discovered devices."`
	Show     discoveryShowCmd     `cmd:"" help:"Show everything known about a discovered device."`
	Scan     discoveryScanCmd     `cmd:"" help:"Probe all addresses of subnets. An interrupt ends the scan."`
	Promote  discoveryPromoteCmd  `cmd:"" help:"Add a discovered device to the site as a device or machine."`
	Clear    discoveryClearCmd    `cmd:"" help:"Delete discovered devices. They return when they are seen again."`
	Ignore   discoveryIgnoreCmd   `cmd:"" help:"Ignore a discovered device by its MAC address."`
	Unignore discoveryUnignoreCmd `cmd:"" help:"Discover devices again that a rule ignores."`
	Ignored  discoveryIgnoredCmd  `cmd:"" help:"List ignored devices and the rules that ignore devices."`
	Servers  discoveryServersCmd  `cmd:"" name:"dhcp-servers" help:"List rogue DHCP servers."`
	Topology discoveryTopologyCmd `cmd:"" help:"Show the networks that the racks' interfaces are connected to."`
	Settings discoverySettingsCmd `cmd:"" help:"Show or change the settings of discovery: listening, scanned subnets, interval, ignored devices."`
}

const discoveryPath = client.API + "discovery/"

// discoveryListCmd is `maas discovery list`.
type discoveryListCmd struct {
	remote
	Unknown string `enum:"any,mac,ip,both" default:"any" help:"Only devices whose MAC, IP address or both are unknown to the site: mac, ip or both." placeholder:"WHAT"`
}

// Run runs the command.
func (c discoveryListCmd) Run(ctx context.Context, io stdio) error {
	op := map[string]string{"mac": "?op=by_unknown_mac", "ip": "?op=by_unknown_ip", "both": "?op=by_unknown_ip_and_mac"}[c.Unknown]
	var seen []maasapi.Discovery
	if err := c.get(ctx, discoveryPath+op, &seen); err != nil {
		return err
	}
	return c.print(io.out, seen, "ADDRESS\tMAC\tVENDOR\tNAME\tVLAN\tSEEN BY\tLAST SEEN\tNOTES", func(row func(...string)) {
		for _, d := range seen {
			row(d.IP, d.MACAddress, d.MACOrganization, d.Hostname, tag(d.VID), d.Observer.Hostname+" "+d.Observer.InterfaceName,
				stamp(d.LastSeen), notes(d))
		}
	})
}

// tag returns a VLAN tag as text; nil is empty.
func tag(vid *int) string {
	if vid == nil {
		return ""
	}
	return fmt.Sprint(*vid)
}

// notes returns remarks on a discovered device that an administrator should read.
func notes(d maasapi.Discovery) string {
	var out []string
	if d.Rival != "" {
		out = append(out, "conflict with "+d.Rival)
	}
	if d.IsExternalDHCP {
		out = append(out, "foreign DHCP server")
	}
	if d.Router != nil {
		out = append(out, "router")
	}
	return strings.Join(out, ", ")
}

// chosen finds the discovered device at an address. The MAC is needed only if several devices were
// seen there.
func (c remote) chosen(ctx context.Context, addr, mac string) (maasapi.Discovery, error) {
	var seen []maasapi.Discovery
	if err := c.get(ctx, discoveryPath, &seen); err != nil {
		return maasapi.Discovery{}, err
	}
	seen = slices.DeleteFunc(seen, func(d maasapi.Discovery) bool {
		return d.IP != addr || mac != "" && !strings.EqualFold(d.MACAddress, mac)
	})
	switch len(seen) {
	case 1:
		return seen[0], nil
	case 0:
		return maasapi.Discovery{}, fmt.Errorf("nothing was seen at %s; see maas discovery list", strings.TrimSpace(addr+" "+mac))
	}
	var macs []string
	for _, d := range seen {
		macs = append(macs, d.MACAddress)
	}
	return maasapi.Discovery{}, fmt.Errorf("several devices were seen at %s; choose one with --mac: %s", addr, strings.Join(macs, ", "))
}

// discoveryShowCmd is `maas discovery show`.
type discoveryShowCmd struct {
	remote
	Addr string `arg:"" help:"IP address of the discovered device."`
	MAC  string `help:"MAC address, if several devices were seen at the IP address." placeholder:"MAC"`
}

// Run runs the command.
func (c discoveryShowCmd) Run(ctx context.Context, io stdio) error {
	d, err := c.chosen(ctx, c.Addr, c.MAC)
	if err != nil {
		return err
	}
	return c.print(io.out, d, "", func(row func(...string)) {
		row("address", d.IP)
		row("MAC", d.MACAddress)
		row("vendor", d.MACOrganization)
		for _, n := range d.Names {
			row("name", n.Name+" by "+n.Origin.String())
		}
		for _, s := range d.Services {
			row("service", fmt.Sprintf("%s %s port %d", s.Type, s.Name, s.Port))
		}
		row("subnet", d.Subnet)
		row("fabric", d.FabricName)
		row("VLAN tag", tag(d.VID))
		row("DHCP class", d.VendorClass)
		row("DHCP options", d.Fingerprint)
		row("first seen", stamp(d.FirstSeen))
		row("last seen", stamp(d.LastSeen))
		row("seen by", d.Sources.String())
		for _, o := range d.Observers {
			row("seen on", o.Hostname+" "+o.InterfaceName)
		}
		row("notes", notes(d))
	})
}

// discoveryPromoteCmd is `maas discovery promote`.
type discoveryPromoteCmd struct {
	remote
	Addr      string `arg:"" help:"IP address of the discovered device."`
	MAC       string `help:"MAC address, if several devices were seen at the IP address." placeholder:"MAC"`
	Machine   bool   `help:"Add it as a machine instead of a device."`
	Name      string `help:"Host name (default: the name that was seen)." placeholder:"NAME"`
	Domain    string `help:"DNS domain (default: the site's default domain)." placeholder:"DOMAIN"`
	NoAddress bool   `help:"Leave the address to DHCP (default: reserve the address)."`
}

// Run runs the command.
func (c discoveryPromoteCmd) Run(ctx context.Context, io stdio) error {
	d, err := c.chosen(ctx, c.Addr, c.MAC)
	if err != nil {
		return err
	}
	form := url.Values{"ip": {d.IP}, "mac": {d.MACAddress}, "kind": {"device"}, "hostname": {c.Name}, "domain": {c.Domain}, "no_address": {fmt.Sprint(c.NoAddress)}}
	if c.Machine {
		form.Set("kind", "machine")
	}
	var made maasapi.Promoted
	if err := c.post(ctx, "/api/v1/discovery/promote", form, &made); err != nil {
		return err
	}
	return c.print(io.out, made, "", func(row func(...string)) {
		row(made.Kind, made.FQDN)
		row("system ID", made.SystemID)
		row("MAC", made.MACAddress)
		row("address", made.IP)
	})
}

// discoveryClearCmd is `maas discovery clear`.
type discoveryClearCmd struct {
	remote
	All        bool   `help:"Delete all discovered devices and neighbours."`
	MDNS       bool   `name:"mdns" help:"Delete observations of multicast DNS."`
	Neighbours bool   `help:"Delete all other observations."`
	Addr       string `arg:"" optional:"" help:"Delete the observations of one IP address."`
	MAC        string `help:"MAC address, if several devices were seen at the IP address." placeholder:"MAC"`
}

// Run runs the command.
func (c discoveryClearCmd) Run(ctx context.Context) error {
	if c.Addr != "" {
		d, err := c.chosen(ctx, c.Addr, c.MAC)
		if err != nil {
			return err
		}
		return c.post(ctx, discoveryPath+"?op=clear_by_mac_and_ip", url.Values{"ip": {d.IP}, "mac": {d.MACAddress}}, nil)
	}
	if !c.All && !c.MDNS && !c.Neighbours {
		return errors.New("say what to clear: --all, --mdns, --neighbours or an address")
	}
	form := url.Values{"all": {fmt.Sprint(c.All)}, "mdns": {fmt.Sprint(c.MDNS)}, "neighbours": {fmt.Sprint(c.Neighbours)}}
	return c.post(ctx, discoveryPath+"?op=clear", form, nil)
}

// discoveryServersCmd is `maas discovery dhcp-servers`.
type discoveryServersCmd struct{ remote }

// Run runs the command.
func (c discoveryServersCmd) Run(ctx context.Context, io stdio) error {
	var servers []maasapi.DHCPServer
	if err := c.get(ctx, "/api/v1/discovery/dhcp-servers", &servers); err != nil {
		return err
	}
	return c.print(io.out, servers, "ADDRESS\tMAC\tVLAN\tSEEN BY\tLAST SEEN", func(row func(...string)) {
		for _, s := range servers {
			row(s.IP, s.MACAddress, fmt.Sprint(s.VID), s.Observer.Hostname+" "+s.Observer.InterfaceName, stamp(s.LastSeen))
		}
	})
}

// discoveryTopologyCmd is `maas discovery topology`.
type discoveryTopologyCmd struct {
	remote
	Apply bool `help:"Move subnets to the fabrics in which they were found."`
}

// Run runs the command.
func (c discoveryTopologyCmd) Run(ctx context.Context, io stdio) error {
	const path = "/api/v1/discovery/topology"
	var t maasapi.Topology
	if c.Apply {
		if err := c.post(ctx, path, url.Values{}, &t.Proposals); err != nil {
			return err
		}
		return c.print(io.out, t.Proposals, "MOVED\tTO FABRIC\tWHY", func(row func(...string)) { proposals(t, row) })
	}
	if err := c.get(ctx, path, &t); err != nil {
		return err
	}
	if c.Output != "table" {
		return c.print(io.out, t, "", nil)
	}
	err := c.print(io.out, t, "RACK\tLINK\tVLAN\tLEADS TO\tITS PORT\tLAST SEEN", func(row func(...string)) {
		for _, l := range t.Links {
			name := l.Peer
			if l.Switch != nil {
				name = cmp.Or(l.Switch.System, l.Peer)
			}
			row(l.Rack, l.Link, fmt.Sprint(l.VID), l.Kind+" "+name, l.PeerLink, stamp(l.LastSeen))
		}
	})
	if err != nil || len(t.Proposals) == 0 {
		return err
	}
	fmt.Fprintln(io.out)
	return c.print(io.out, t, "PROPOSED\tTO FABRIC\tWHY", func(row func(...string)) { proposals(t, row) })
}

// proposals returns the moves of subnets that the topology suggests.
func proposals(t maasapi.Topology, row func(...string)) {
	for _, p := range t.Proposals {
		row(p.Subnet, fmt.Sprint(p.ToFabric), p.Why)
	}
}
