package inventory

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/setting"
)

// eventDiscovery is the kind of events about what racks saw.
const eventDiscovery = "discovery"

// Record records an event of a rack's discovery: a device, an address that moved, a conflict, a
// switch or rack at the far end of a link, a DHCP server, an unknown VLAN. Events for
// administrators are logged. Recording an event twice changes nothing.
func (ds *Discoveries) Record(ctx context.Context, rack string, e discovery.Event) error {
	return ds.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		o := e.Device
		switch {
		case e.Kind == discovery.ProxyARP:
			return ds.inv.recordProxyARP(ctx, rack, o)
		case o.Switch != nil, o.Beacon != nil:
			return ds.inv.recordPeer(ctx, tx, rack, e)
		case !o.Addr.IsValid():
			return invalid(kinds.Observation, o.MAC.String(), "ip", "is needed")
		}
		if e.Kind != discovery.Expired {
			if ignored, err := ds.inv.ignores(ctx, o.MAC, o.Addr); err != nil || ignored {
				return err
			}
		}
		if o.DHCPServer && e.Kind != discovery.Expired {
			if err := ds.inv.recordDHCPServer(ctx, tx, rack, o); err != nil {
				return err
			}
		}
		if o.MAC == (discovery.MAC{}) {
			return nil // another device mentioned it; it was not observed itself
		}
		if err := ds.inv.recordVLAN(ctx, tx, rack, o); err != nil {
			return err
		}
		return ds.inv.recordDevice(ctx, tx, rack, e)
	})
}

// ignores reports whether a rule ignores a device now. Racks obey the rules too, but a rack that
// has not received a new rule yet still reports.
func (inv *Inventory) ignores(ctx context.Context, mac discovery.MAC, a netip.Addr) (bool, error) {
	texts, err := inv.ignoreRules(ctx)
	if err != nil {
		return false, err
	}
	rules, err := discovery.ParseIgnore(texts)
	if err != nil {
		return false, nil // no rule that Settings.Set takes; to refuse the report would hold up all that follow
	}
	return rules.Match(mac, a), nil
}

func (inv *Inventory) recordDevice(ctx context.Context, tx *store.Tx, rack string, e discovery.Event) error {
	o := e.Device
	const at = "rack = ? AND link = ? AND vid = ? AND ip = ? AND mac = ?"
	where := func(mac discovery.MAC) []any {
		return []any{rack, o.Interface, int(o.VID), o.Addr.String(), mac.String()}
	}
	row := Observation{
		Addr: o.Addr, MAC: o.MAC.HardwareAddr(), Rack: rack, Link: o.Interface, VID: int(o.VID), Hostname: o.Hostname(), FirstSeen: o.First, LastSeen: o.Last,
		Expires: o.Expires, Count: int64(min(o.Count, 1<<62)), Sources: o.Sources, Info: o.Info,
	}
	if e.Kind == discovery.Moved || e.Kind == discovery.Conflict {
		proxied, err := answeredFor(ctx, tx, e)
		if err != nil {
			return err
		}
		if proxied {
			e.Kind = discovery.New
		}
	}
	switch e.Kind {
	case discovery.Expired:
		return observations.deleteWhere(ctx, tx, at, where(o.MAC)...)
	case discovery.Moved:
		old, err := observations.list(ctx, tx, at, where(e.Previous)...)
		if err != nil {
			return err
		}
		if err := observations.deleteWhere(ctx, tx, at, where(e.Previous)...); err != nil {
			return err
		}
		if len(old) > 0 {
			err = inv.note(ctx, "warning", "%s moved from %s to %s, as rack %s saw on %s", o.Addr, e.Previous, o.MAC, rack, o.Interface)
		}
		if err != nil {
			return err
		}
	case discovery.Conflict:
		row.Rival = e.Previous.HardwareAddr()
		err := inv.note(ctx, "error", "%s is used by two devices at once, %s and %s, as rack %s saw on %s; give one of them another address", o.Addr, o.MAC, e.Previous, rack, o.Interface)
		if err != nil {
			return err
		}
	}
	return inv.observe(ctx, tx, row)
}

// answeredFor reports whether a change of an address is only a router with proxy ARP that answers
// for it: the device did not move, and no two devices use the address.
func answeredFor(ctx context.Context, tx *store.Tx, e discovery.Event) (bool, error) {
	for _, mac := range []discovery.MAC{e.Device.MAC, e.Previous} {
		a, _, err := answererAt(ctx, tx, mac.HardwareAddr(), e.Device.Addr)
		if err != nil || a.not(e.Device.Addr) {
			return err == nil, err
		}
	}
	return false, nil
}

// recordProxyARP reports a router that answers for all addresses. Its own address has been reported
// as a device's; the others are none.
func (inv *Inventory) recordProxyARP(ctx context.Context, rack string, o discovery.Device) error {
	at := ""
	if o.Addr.IsValid() {
		at = " at " + o.Addr.String()
	}
	return inv.note(ctx, "warning", "%s%s answers for all addresses of its network (proxy ARP), as rack %s saw on %s; its answers are not taken for devices",
		o.MAC, at, rack, o.Interface)
}

// note writes to the log of events.
func (inv *Inventory) note(ctx context.Context, level, format string, args ...any) error {
	return inv.Events.Add(ctx, Event{Kind: eventDiscovery, Level: level, Description: fmt.Sprintf(format, args...)})
}

// DHCPServer is a DHCP server that a rack saw, or that a client named.
type DHCPServer struct {
	ID       int64
	Rack     string // that saw it
	Link     string // interface of the rack
	VID      int
	Addr     netip.Addr
	MAC      net.HardwareAddr // nil = not seen itself
	LastSeen time.Time
}

var dhcpServers = table[DHCPServer]{
	kind: kinds.Observation, name: "dhcp_server", cols: []string{"rack", "link", "vid", "ip", "mac", "last_seen"},
	id: func(s *DHCPServer) *int64 { return &s.ID },
	fields: func(s *DHCPServer) []any {
		return []any{&s.Rack, &s.Link, &s.VID, asText{&s.Addr}, asMAC{&s.MAC}, asTime{&s.LastSeen}}
	},
}

func (inv *Inventory) recordDHCPServer(ctx context.Context, tx *store.Tx, rack string, o discovery.Device) error {
	s := DHCPServer{Rack: rack, Link: o.Interface, VID: int(o.VID), Addr: o.Addr, MAC: o.MAC.HardwareAddr(), LastSeen: o.Last}
	old, err := dhcpServers.one(ctx, tx, o.Addr.String(), "rack = ? AND link = ? AND vid = ? AND ip = ?", rack, s.Link, s.VID, s.Addr.String())
	if err == nil {
		s.ID = old.ID
		if s.MAC == nil {
			s.MAC = old.MAC
		}
		_, err = tx.Exec(ctx, "UPDATE dhcp_server SET mac = ?, last_seen = ? WHERE id = ?", asMAC{&s.MAC}, asTime{&s.LastSeen}, s.ID)
		return err
	}
	if !notFound(err) {
		return err
	}
	own, err := rackAddresses(ctx, tx)
	if err != nil {
		return err
	}
	if !own[s.Addr] {
		if err := inv.note(ctx, "warning", "another DHCP server, %s, answers on %s of rack %s", s.Addr, s.Link, rack); err != nil {
			return err
		}
	}
	return dhcpServers.insert(ctx, tx, &s)
}

// rackAddresses are the addresses of all racks.
func rackAddresses(ctx context.Context, tx *store.Tx) (map[netip.Addr]bool, error) {
	all, err := racks.list(ctx, tx, "")
	own := map[netip.Addr]bool{}
	for _, r := range all {
		for _, l := range r.Links {
			for _, p := range l.Addrs {
				own[p.Addr()] = true
			}
		}
	}
	return own, err
}

// DHCPServers lists the DHCP servers that racks saw beside their own.
func (ds *Discoveries) DHCPServers(ctx context.Context) (out []DHCPServer, err error) {
	err = ds.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		out, err = foreignServers(ctx, tx)
		return err
	})
	return out, err
}

func foreignServers(ctx context.Context, tx *store.Tx) (out []DHCPServer, err error) {
	own, err := rackAddresses(ctx, tx)
	if err != nil {
		return nil, err
	}
	all, err := dhcpServers.list(ctx, tx, "")
	for _, s := range all {
		if !own[s.Addr] {
			out = append(out, s)
		}
	}
	return out, err
}

// recordVLAN makes sure that there is a VLAN for a tag that was seen.
func (inv *Inventory) recordVLAN(ctx context.Context, tx *store.Tx, rack string, o discovery.Device) error {
	if o.VID == 0 {
		return nil
	}
	base, err := linkVLAN(ctx, tx, rack, o.Interface)
	if notFound(err) {
		return nil // the fabric of the link is not known
	}
	if err != nil {
		return err
	}
	if _, err := vlans.one(ctx, tx, fmt.Sprint(o.VID), "fabric_id = ? AND vid = ?", base.FabricID, int(o.VID)); !notFound(err) {
		return err
	}
	mode, err := inv.Settings.Get(ctx, setting.DiscoveryVLANs)
	if err != nil && !notFound(err) {
		return err
	}
	if mode == "propose" {
		text := fmt.Sprintf("VLAN %d is in use on %s of rack %s but not known; add it to fabric %d if it is yours", o.VID, o.Interface, rack, base.FabricID)
		var told int
		if err := tx.Get(ctx, "SELECT COUNT(*) FROM event WHERE kind = ? AND description = ?", []any{eventDiscovery, text}, &told); err != nil || told > 0 {
			return err
		}
		return inv.note(ctx, "info", "%s", text)
	}
	v, err := inv.VLANs.Create(ctx, ipam.VLAN{FabricID: base.FabricID, VID: int(o.VID)})
	if err != nil {
		return err
	}
	return inv.note(ctx, "info", "VLAN %d was seen on %s of rack %s and added to fabric %d", v.VID, o.Interface, rack, v.FabricID)
}
