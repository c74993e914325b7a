package dhcpsrv

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// vrf holds what a server serves and has leased in one routing domain. Prefixes of two domains may
// overlap, so that nothing below it may be looked up by address without it.
type vrf struct {
	name string // "" = the global one
	v4   *table
	v6   *table6
}

// Types of virtual subnet selection (RFC 6607 section 3.5).
const (
	vssName   = 0   // text
	vssVPN    = 1   // VPN identifier (RFC 2685): three bytes of organization, four of index
	vssGlobal = 255 // the global VRF
)

// vssKeys returns the selections that name a VRF, as they are sent. The text of a VPN identifier is
// such as 00005e:0000002a; a relay may send it in either form.
func vssKeys(name string) []string {
	if name == "" {
		return []string{string([]byte{vssGlobal})}
	}
	keys := []string{string(append([]byte{vssName}, name...))}
	org, index, ok := strings.Cut(name, ":")
	if id, err := hex.DecodeString(org + index); ok && err == nil && len(org) == 6 && len(index) == 8 {
		keys = append(keys, string(append([]byte{vssVPN}, id...)))
	}
	return keys
}

// maxVRF is the longest name that fits into a suboption of a relay, with its type.
const maxVRF = 254

func checkVRF(name string) error {
	if len(name) > maxVRF || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("VRF %q: write up to %d printable ASCII characters without spaces", name, maxVRF)
	}
	return nil
}

// newVRF makes a VRF with an empty snapshot. The caller holds s.mu, except in [New].
func (s *Server) newVRF(name string) *vrf {
	d := &vrf{name: name, v4: newTable(), v6: newTable6()}
	d.v4.vrf, d.v6.vrf = name, name
	d.v4.ahead, d.v6.ahead = s.keepAhead() > 0, s.keepAhead() > 0
	d.v6.heard, d.v4.cur.v6 = d.v4.heard, d.v6.cur
	d.v4.hosts, d.v6.hosts = s.hosts, s.hosts
	at, _ := slices.BinarySearchFunc(s.vrfs, name, func(d *vrf, name string) int { return cmp.Compare(d.name, name) })
	s.vrfs = slices.Insert(s.vrfs, at, d)
	return d
}

// vrf returns a VRF by its name, or nil. The caller holds s.mu or s.updating.
func (s *Server) vrf(name string) *vrf {
	i := slices.IndexFunc(s.vrfs, func(d *vrf) bool { return d.name == name })
	if i < 0 {
		return nil
	}
	return s.vrfs[i]
}

// global returns the VRF of all that names none. It sorts first.
func (s *Server) global() *vrf { return s.vrfs[0] }

// empty reports whether nothing is served or leased in a VRF.
func (v *vrf) empty() bool {
	return len(v.v4.cur.subnets)+len(v.v6.cur.subnets)+len(v.v4.byAddr)+len(v.v6.byAddr) == 0
}

// selectVRF returns the VRF of a packet: the one that it selects, else the one of the link it was
// heard on. The caller holds s.mu.
func (s *Server) selectVRF(vss []byte, link string) (*vrf, Reason) {
	local := s.byLink[link]
	switch {
	case vss == nil && local != nil:
		return local, 0
	case vss == nil:
		return s.global(), 0
	}
	d := s.byVSS[string(vss)]
	switch {
	case d == nil:
		return nil, dropUnknownVRF
	// A host of one VRF could take the addresses of another by posing as a relay.
	case local != nil && local != d:
		return nil, dropElsewhere
	}
	return d, 0
}

// findVSS finds the selection of a VRF in a packet of IPv4: that of the relay, else of the client
// (RFC 6607 section 7). What the relay sends to learn whether the server knows of VRFs (suboption
// 152) is left out of option 82, so that the reply does not hold it.
func (r *request) findVSS() {
	if control := wire.SubOption(r.relayAgent, wire.SubVSSControl); control != nil {
		r.relayAgent = wire.WithoutSubOption(r.agentBuf[:0], r.relayAgent, wire.SubVSSControl)
	}
	r.vss, r.vssOwn = wire.SubOption(r.relayAgent, wire.SubVSS), false
	if r.vss == nil {
		r.vss = r.Option(wire.OptVSS)
		r.vssOwn = r.vss != nil
	}
	r.vss = trimVSS(r.vss)
}

// findVSS finds the selection of a VRF in a packet of IPv6: that of the relay nearest to the client
// that sends one, else of the client.
func (r *request6) findVSS() {
	r.vss = nil
	for r.vssFrom = len(r.Relays) - 1; r.vssFrom >= 0 && r.vss == nil; r.vssFrom-- {
		if r.vss = r.Relays[r.vssFrom].Options.Find(wire6.OptVSS); r.vss != nil {
			break
		}
	}
	if r.vss == nil {
		r.vss = r.Options.Find(wire6.OptVSS)
	}
	r.vss = trimVSS(r.vss)
}

// trimVSS takes the zero off the end of a name, which some relays send.
func trimVSS(v []byte) []byte {
	if len(v) > 1 && v[0] == vssName {
		return bytes.TrimRight(v, "\x00")
	}
	return v
}

// compileAll checks a snapshot and builds what each VRF serves from.
func compileAll(snap *Snapshot) (map[string]*serving, error) {
	parts, err := snap.split()
	if err != nil {
		return nil, err
	}
	out := make(map[string]*serving, len(parts))
	for name, part := range parts {
		if out[name], err = compile(part); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// split returns the parts of a snapshot by VRF. The global VRF always has one.
func (snap *Snapshot) split() (map[string]*Snapshot, error) {
	names, links := make(map[string]string, len(snap.Subnets)), make(map[string]string)
	only := true // the global VRF alone
	for i := range snap.Subnets {
		sub := &snap.Subnets[i]
		if err := checkVRF(sub.VRF); err != nil {
			return nil, fmt.Errorf("subnet %q: %w", sub.Name, err)
		}
		if _, twice := names[sub.Name]; twice {
			return nil, fmt.Errorf("subnet %q: two subnets have this name", sub.Name)
		}
		if other, known := links[sub.Link]; known && sub.Link != "" && other != sub.VRF {
			return nil, fmt.Errorf("subnet %q: link %q already belongs to VRF %q, not %q", sub.Name, sub.Link, other, sub.VRF)
		}
		names[sub.Name], links[sub.Link] = sub.VRF, sub.VRF
		only = only && sub.VRF == ""
	}
	parts := map[string]*Snapshot{"": snap}
	for i := range snap.Reservations {
		r := &snap.Reservations[i]
		if _, err := r.vrfIn(names); err != nil {
			return nil, fmt.Errorf("reservation %s: %w", r.label(), err)
		}
		only = only && r.VRF == ""
	}
	if only {
		return parts, nil
	}
	rest := *snap
	rest.Subnets, rest.Reservations = nil, nil
	clear(parts)
	part := func(name string) *Snapshot {
		if parts[name] == nil {
			p := rest
			parts[name] = &p
		}
		return parts[name]
	}
	part("")
	for _, sub := range snap.Subnets {
		p := part(sub.VRF)
		p.Subnets = append(p.Subnets, sub)
	}
	for _, r := range snap.Reservations {
		name, _ := r.vrfIn(names)
		if parts[name] == nil {
			return nil, fmt.Errorf("reservation %s: no subnet is in VRF %q", r.label(), name)
		}
		parts[name].Reservations = append(parts[name].Reservations, r)
	}
	return parts, nil
}

// vrfIn returns the VRF that a reservation is for, by the VRFs of the subnets.
func (r *Reservation) vrfIn(subnets map[string]string) (string, error) {
	of, known := subnets[r.Subnet]
	switch {
	case !known || r.VRF == of:
		return r.VRF, nil
	case r.VRF == "":
		return of, nil
	}
	return "", fmt.Errorf("subnet %q is in VRF %q, not in %q", r.Subnet, of, r.VRF)
}

// indexVRFs makes the VRFs findable by what packets say. The caller holds s.mu.
func (s *Server) indexVRFs() {
	s.byLink, s.byVSS = nil, make(map[string]*vrf)
	for _, d := range s.vrfs {
		for _, key := range vssKeys(d.name) {
			if d.name == "" || len(d.v4.cur.subnets)+len(d.v6.cur.subnets) > 0 {
				s.byVSS[key] = d
			}
		}
		if d.name == "" {
			continue
		}
		if s.byLink == nil {
			s.byLink = make(map[string]*vrf)
		}
		for link := range d.v4.cur.byLink {
			s.byLink[link] = d
		}
		for link := range d.v6.cur.byLink {
			s.byLink[link] = d
		}
	}
}

// VRF is a view of the leases of one routing domain. Make one with [Server.VRF].
type VRF struct {
	s    *Server
	name string
}

// VRF returns the leases of a routing domain by its name, "" for the global one. A domain that no
// snapshot names has none.
func (s *Server) VRF(name string) VRF { return VRF{s, name} }

// Leases is [Server.Leases] of the VRF alone.
func (v VRF) Leases(filters ...LeaseFilter) iter.Seq[Lease] {
	return v.s.leasesOf(func(name string) bool { return name == v.name }, filters)
}

// Lookup is [Server.Lookup] in the VRF.
func (v VRF) Lookup(addr netip.Addr) (Lease, bool) { return v.s.lookup(v.name, addr) }

// Release is [Server.Release] in the VRF.
func (v VRF) Release(ctx context.Context, addr netip.Addr) error {
	return v.s.releaseIn(ctx, v.name, addr)
}

// Heard is [Server.Heard] in the VRF.
func (v VRF) Heard(addr netip.Addr) { v.s.heardIn(v.name, addr) }
