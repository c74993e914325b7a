package inventory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

// Discovery is a device at an address, put together from all observations of it: the newest one,
// with what the others add.
type Discovery struct {
	Observation
	Fabric ipam.Fabric // of the link; zero = not known
	VLAN   ipam.VLAN   // it is on; zero = not known
	Subnet ipam.Subnet // its address is in; zero = none
	// ExternalDHCP says that it is a DHCP server that is no rack's.
	ExternalDHCP bool
	Observers    []Observation // all of them, the newest first
}

// Key names a discovery in the API: the address and the MAC.
func (d *Discovery) Key() string {
	return base64.StdEncoding.EncodeToString([]byte(d.Addr.String() + "," + d.MAC.String()))
}

// parseDiscoveryKey undoes Key.
func parseDiscoveryKey(key string) (a netip.Addr, mac net.HardwareAddr, err error) {
	text, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return a, nil, &NotFoundError{eventDiscovery, key}
	}
	ip, hw, _ := strings.Cut(string(text), ",")
	a, err1 := netip.ParseAddr(ip)
	mac, err2 := net.ParseMAC(hw)
	if err1 != nil || err2 != nil {
		return a, nil, &NotFoundError{eventDiscovery, key}
	}
	return a, mac, nil
}

// DiscoveryView chooses among discoveries. Zero is all of them.
type DiscoveryView int

// The views. A MAC is known if an interface of a machine, a device or a rack has it, an address if
// it is allocated.
const (
	AllDiscoveries    DiscoveryView = iota
	UnknownMAC                      // whose MAC is not known
	UnknownAddr                     // whose address is not known
	UnknownMACAndAddr               // of which nothing is known
)

// Discoveries holds the devices that racks saw on their networks.
type Discoveries struct{ inv *Inventory }

// List lists the devices that racks saw, the last seen first.
func (ds *Discoveries) List(ctx context.Context, view DiscoveryView) (out []Discovery, err error) {
	err = ds.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		rows, err := observations.list(ctx, tx, "")
		if err != nil {
			return err
		}
		known, err := knownThings(ctx, tx, view)
		if err != nil {
			return err
		}
		rows = slices.DeleteFunc(rows, func(o Observation) bool { return known.macs[o.MAC.String()] || known.addrs[o.Addr] })
		out, err = assemble(ctx, tx, rows)
		return err
	})
	return out, err
}

// Get returns one by its key.
func (ds *Discoveries) Get(ctx context.Context, key string) (d Discovery, err error) {
	a, mac, err := parseDiscoveryKey(key)
	if err != nil {
		return d, err
	}
	err = ds.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		d, err = discoveryOf(ctx, tx, a, mac)
		return err
	})
	return d, err
}

func discoveryOf(ctx context.Context, tx *store.Tx, a netip.Addr, mac net.HardwareAddr) (Discovery, error) {
	rows, err := observations.list(ctx, tx, "ip = ? AND mac = ?", a.String(), mac.String())
	if err != nil {
		return Discovery{}, err
	}
	all, err := assemble(ctx, tx, rows)
	if err != nil {
		return Discovery{}, err
	}
	if len(all) == 0 {
		return Discovery{}, &NotFoundError{eventDiscovery, fmt.Sprintf("of %s at %s", mac, a)}
	}
	return all[0], nil
}

// known are the MACs and addresses that a view leaves out.
type known struct {
	macs  map[string]bool
	addrs map[netip.Addr]bool
}

func knownThings(ctx context.Context, tx *store.Tx, view DiscoveryView) (k known, err error) {
	k = known{map[string]bool{}, map[netip.Addr]bool{}}
	if view == UnknownMAC || view == UnknownMACAndAddr {
		err = tx.Query(ctx, "SELECT mac FROM interface WHERE node_id IS NOT NULL AND mac IN (SELECT mac FROM observation)", nil, func(scan func(...any) error) error {
			var mac string
			err := scan(&mac)
			k.macs[mac] = true
			return err
		})
		if err != nil {
			return k, err
		}
		all, err := racks.list(ctx, tx, "")
		if err != nil {
			return k, err
		}
		for _, r := range all {
			for _, l := range r.Links {
				k.macs[strings.ToLower(l.MAC)] = true
			}
		}
	}
	if view == UnknownAddr || view == UnknownMACAndAddr {
		err = tx.Query(ctx, "SELECT ip FROM allocation WHERE ip IN (SELECT ip FROM observation)", nil, func(scan func(...any) error) error {
			var a netip.Addr
			err := scan(asText{&a})
			k.addrs[a] = true
			return err
		})
	}
	return k, err
}

// assemble joins the observations of each device and says where it is.
func assemble(ctx context.Context, tx *store.Tx, rows []Observation) ([]Discovery, error) {
	type pair struct {
		addr netip.Addr
		mac  string
	}
	at := map[pair]int{}
	var out []Discovery
	// The newest observation of a device is shown; add completes it from the older ones.
	slices.SortStableFunc(rows, func(a, b Observation) int { return b.LastSeen.Compare(a.LastSeen) })
	for _, o := range rows {
		p := pair{o.Addr, o.MAC.String()}
		i, seen := at[p]
		if !seen {
			i = len(out)
			at[p] = i
			out = append(out, Discovery{Observation: o})
		}
		out[i].add(o)
	}
	places, err := newPlaces(ctx, tx)
	if err != nil {
		return nil, err
	}
	for i := range out {
		if err := places.locate(ctx, tx, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// add takes in an older observation of the same device.
func (d *Discovery) add(o Observation) {
	d.Observers = append(d.Observers, o)
	d.Sources |= o.Sources
	if o.FirstSeen.Before(d.FirstSeen) {
		d.FirstSeen = o.FirstSeen
	}
	d.Hostname = cmp.Or(d.Hostname, o.Hostname)
	if len(d.Info.Names) == 0 {
		d.Info.Names = o.Info.Names
	}
	if len(d.Info.Services) == 0 {
		d.Info.Services = o.Info.Services
	}
	if d.Rival == nil {
		d.Rival = o.Rival
	}
}

// places knows where links are, each looked up once.
type places struct {
	subnets []ipam.Subnet
	fabrics map[int64]ipam.Fabric
	vlans   []ipam.VLAN
	foreign []DHCPServer
	links   map[rackPort]ipam.VLAN
}

func newPlaces(ctx context.Context, tx *store.Tx) (*places, error) {
	p := &places{fabrics: map[int64]ipam.Fabric{}, links: map[rackPort]ipam.VLAN{}}
	all, err := fabrics.list(ctx, tx, "")
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		p.fabrics[f.ID] = f
	}
	if p.subnets, err = subnets.list(ctx, tx, ""); err != nil {
		return nil, err
	}
	if p.vlans, err = vlans.list(ctx, tx, ""); err != nil {
		return nil, err
	}
	p.foreign, err = foreignServers(ctx, tx)
	return p, err
}

func (p *places) locate(ctx context.Context, tx *store.Tx, d *Discovery) error {
	port := rackPort{d.Rack, d.Link}
	base, known := p.links[port]
	if !known {
		var err error
		if base, err = linkVLAN(ctx, tx, d.Rack, d.Link); err != nil && !notFound(err) {
			return err
		}
		p.links[port] = base
	}
	d.Fabric, d.VLAN = p.fabrics[base.FabricID], base
	// A tag counts inside the fabric of the link that it was seen on.
	if d.VID != 0 {
		i := slices.IndexFunc(p.vlans, func(v ipam.VLAN) bool { return v.FabricID == base.FabricID && v.VID == d.VID })
		if d.VLAN = (ipam.VLAN{}); i >= 0 {
			d.VLAN = p.vlans[i]
		}
	}
	for _, s := range p.subnets {
		if s.Prefix.Contains(d.Addr) {
			d.Subnet = s
		}
	}
	d.ExternalDHCP = slices.ContainsFunc(p.foreign, func(s DHCPServer) bool { return s.Addr == d.Addr })
	return nil
}

// ClearWhat chooses what Discoveries.Clear forgets.
type ClearWhat int

// Kinds of observations to clear. Clearing multicast DNS keeps devices that were observed by other
// means, without the names and services from multicast DNS.
const (
	ClearAll ClearWhat = iota
	ClearMDNS
	ClearNeighbours
)

// mdnsOnly are the sources of what ClearMDNS forgets.
const mdnsOnly = discovery.MDNS

// Clear forgets what racks saw, until they see it again.
func (ds *Discoveries) Clear(ctx context.Context, what ClearWhat) error {
	return ds.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if what == ClearAll {
			if err := dhcpServers.deleteWhere(ctx, tx, "1 = 1"); err != nil {
				return err
			}
			if err := linkPeers.deleteWhere(ctx, tx, "1 = 1"); err != nil {
				return err
			}
			return observations.deleteWhere(ctx, tx, "1 = 1")
		}
		rows, err := observations.list(ctx, tx, "")
		if err != nil {
			return err
		}
		for i := range rows {
			if err := clearSource(ctx, tx, &rows[i], what); err != nil {
				return err
			}
		}
		return nil
	})
}

// clearSource takes one group of sources out of an observation.
func clearSource(ctx context.Context, tx *store.Tx, o *Observation, what ClearWhat) error {
	gone := func(s discovery.Source) bool { return (s&mdnsOnly != 0) == (what == ClearMDNS) }
	left := o.Sources & mdnsOnly
	if what == ClearMDNS {
		left = o.Sources &^ mdnsOnly
	}
	if left == o.Sources && o.Sources != 0 {
		return nil
	}
	if left == 0 {
		if o.Sources == 0 && what == ClearMDNS {
			return nil // recorded before sources were: ARP
		}
		return observations.delete(ctx, tx, o.ID)
	}
	o.Sources = left
	o.Info.Names = slices.DeleteFunc(o.Info.Names, func(n discovery.Name) bool { return gone(n.Origin) })
	if what == ClearMDNS {
		o.Info.Services = nil
	}
	shown := discovery.Device{Info: o.Info}
	o.Hostname = shown.Hostname()
	return observations.update(ctx, tx, o)
}

// Forget forgets one device at one address and returns how many observations that were.
func (ds *Discoveries) Forget(ctx context.Context, a netip.Addr, mac net.HardwareAddr) (n int, err error) {
	return ds.inv.forgetObservations(ctx, "ip = ? AND mac = ?", a.String(), string(bytes.ToLower([]byte(mac.String()))))
}
