package dnssrv

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// Access says who may do more than ask. The zero value allows nothing.
type Access struct {
	// Keys are the server's TSIG keys, which the other fields name.
	Keys []Key `json:"keys,omitempty"`
	// Transfer lists the networks of secondaries, which may fetch whole zones.
	Transfer []netip.Prefix `json:"transfer,omitempty"`
	// TransferKeys are names of keys that may do so from anywhere.
	TransferKeys []string `json:"transfer_keys,omitempty"`
	// Notify lists the secondaries that get a NOTIFY (RFC 1996) for each change while
	// [Server.SendNotifies] runs, and one when they are added here.
	Notify []netip.AddrPort `json:"notify,omitempty"`
	// Zones allow more for single zones.
	Zones []ZoneAccess `json:"zones,omitempty"`
	// Update lists who may change records (RFC 2136). It always takes a key.
	Update []UpdateRule `json:"update,omitempty"`
}

// ZoneAccess grants secondaries access to one zone, besides the access to all zones; see [Access].
type ZoneAccess struct {
	Zone         string           `json:"zone"`
	Transfer     []netip.Prefix   `json:"transfer,omitempty"`
	TransferKeys []string         `json:"transfer_keys,omitempty"`
	Notify       []netip.AddrPort `json:"notify,omitempty"`
}

// An UpdateRule lets the holder of a key change names.
type UpdateRule struct {
	// Key is the name of a key in [Access].Keys.
	Key string `json:"key"`
	// Zone is the zone that may be changed; those below it are others. Empty means the one that is
	// named Below.
	Zone string `json:"zone,omitempty"`
	// Below is the name at and below which records may be changed.
	Below string `json:"below"`
	// Types are the types that may be changed, such as "A". None means all.
	Types []string `json:"types,omitempty"`
}

// policy is Access in the form that questions need.
type policy struct {
	keys   map[string]Key // by canonical name
	all    zonePolicy
	zones  map[string]zonePolicy // by canonical name; what all may is not in them
	update []updateRule
}

type zonePolicy struct {
	transfer     networks
	transferKeys map[string]bool
	notify       []netip.AddrPort
}

type updateRule struct {
	key, zone, below string
	types            map[uint16]bool // empty means all
}

// SetAccess replaces what [Server.SetAccess] allowed before. An error names what is not usable and
// changes nothing.
func (s *Server) SetAccess(a Access) error {
	p := &policy{zones: map[string]zonePolicy{}}
	var err error
	if p.keys, err = keysByName(a.Keys); err != nil {
		return err
	}
	if p.all, err = p.zone(ZoneAccess{Transfer: a.Transfer, TransferKeys: a.TransferKeys, Notify: a.Notify}); err != nil {
		return err
	}
	for _, z := range a.Zones {
		name, err := canonical(z.Zone)
		if err != nil {
			return err
		}
		if p.zones[name], err = p.zone(z); err != nil {
			return err
		}
	}
	for _, r := range a.Update {
		rule, err := p.rule(r)
		if err != nil {
			return err
		}
		p.update = append(p.update, rule)
	}
	old := s.policy.Swap(p)
	// A secondary that asked too early was refused, and would not ask again for hours.
	s.greet(old, p)
	return nil
}

func (p *policy) zone(z ZoneAccess) (out zonePolicy, err error) {
	out = zonePolicy{transferKeys: map[string]bool{}, notify: slices.Clone(z.Notify)}
	if out.transfer, err = newNetworks(z.Transfer); err != nil {
		return out, err
	}
	for _, name := range z.TransferKeys {
		if _, known := p.keys[dns.CanonicalName(name)]; !known {
			return out, fmt.Errorf("dnssrv: transfer key %q is not among the server's keys", name)
		}
		out.transferKeys[dns.CanonicalName(name)] = true
	}
	// Without a port a NOTIFY would never arrive, and nothing would report it.
	for _, target := range z.Notify {
		if !target.IsValid() || target.Port() == 0 {
			return out, fmt.Errorf("dnssrv: secondary %q needs an address and a port", target)
		}
	}
	return out, nil
}

func (p *policy) rule(r UpdateRule) (updateRule, error) {
	out := updateRule{key: dns.CanonicalName(r.Key), types: map[uint16]bool{}}
	if _, known := p.keys[out.key]; !known {
		return out, fmt.Errorf("dnssrv: update key %q is not among the server's keys", r.Key)
	}
	var err error
	if out.below, err = canonical(r.Below); err != nil {
		return out, err
	}
	if out.zone, err = canonical(cmp.Or(r.Zone, r.Below)); err != nil {
		return out, err
	}
	for _, name := range r.Types {
		qtype, ok := dns.StringToType[name]
		if !ok {
			return out, fmt.Errorf("dnssrv: update key %q: there is no type %q", r.Key, name)
		}
		out.types[qtype] = true
	}
	return out, nil
}

func (p *policy) mayTransfer(zone string, client netip.Addr, key string) bool {
	own := p.zones[zone]
	return p.all.transferKeys[key] || own.transferKeys[key] || p.all.transfer.contains(client) || own.transfer.contains(client)
}

// notify are the secondaries of a zone.
func (p *policy) notify(zone string) []netip.AddrPort {
	return append(slices.Clone(p.all.notify), p.zones[zone].notify...)
}

// updates reports whether the key's holder may change anything in a zone.
func (p *policy) updates(key, zone string) bool {
	// An address is no proof of who sends a datagram, so that updates always take a key.
	return key != "" && slices.ContainsFunc(p.update, func(r updateRule) bool { return r.key == key && r.zone == zone })
}

// mayUpdate reports whether the key's holder may change a type at a name of a zone. TypeANY means
// all types.
func (p *policy) mayUpdate(key, zone, name string, qtype uint16) bool {
	return key != "" && slices.ContainsFunc(p.update, func(r updateRule) bool {
		return r.key == key && r.zone == zone && dns.IsSubDomain(r.below, name) && (len(r.types) == 0 || r.types[qtype])
	})
}
