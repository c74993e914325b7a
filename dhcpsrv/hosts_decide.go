package dhcpsrv

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// consult applies the answer of Hosts about the client of a packet and reports whether it may be
// served. Without an answer the decision awaits one.
func (t *table) consult(d *decision, r *request) bool {
	if t.hosts == nil || d.res != nil || r.kind == wire.Decline || r.kind == wire.Release {
		return true
	}
	// A client that chose another server is none of this one's; the inventory need not be asked.
	if r.serverID.IsValid() && !d.seg.hasServer(r, d.now) {
		return true
	}
	a := d.answer
	if a == nil {
		t.hosts.key = t.appendHostKey(t.hosts.key[:0], d, r)
		a = t.hosts.find(d.now)
	}
	switch {
	case a == nil:
		d.awaits = true
		d.silent(dropHostPending)
	case a.err != nil:
		d.noteHost("no usable answer: %v", a.err)
		d.silent(dropHostFailed)
	case a.host.Action == HostIgnore:
		d.noteHost("the client is ignored")
		d.silent(dropHostIgnored)
	case a.host.Action == HostRefuse && r.kind == wire.Request && !d.bootOnly:
		d.noteHost("the client is refused")
		d.nak(nakRefused)
	case a.host.Action == HostRefuse:
		d.noteHost("the client is refused")
		d.silent(nakRefused)
	default:
		return t.useHost(d, a)
	}
	return false
}

func (d *decision) noteHost(format string, args ...any) {
	if d.trace {
		d.note("Hosts: "+format, args...)
	}
}

// useHost gives the client what the answer says, as its reservation. An address that the client
// cannot have leaves it without an answer: one of the pools would hide the mistake.
func (t *table) useHost(d *decision, a *hostAnswer) bool {
	d.host = a
	if !d.bootOnly {
		if err := t.checkHostAddr(d, a.host.Addr); err != nil {
			d.noteHost("%v", err)
			d.hostErr = err
			d.silent(dropHostFailed)
			return false
		}
	}
	d.res = a.res
	d.noteHost("address %v", a.host.Addr)
	return true
}

// checkHostAddr checks an address against subnets, reservations and leases.
func (t *table) checkHostAddr(d *decision, addr netip.Addr) error {
	if !addr.IsValid() {
		return nil
	}
	a := addr4From(addr)
	sub := t.cur.find(a)
	if sub == nil || sub.seg != d.seg {
		return fmt.Errorf("field Addr %v is in no subnet of the client's link: answer an address of %v, or none for the pools", addr, d.sub.Prefix)
	}
	if !sub.usable(a) || addr == sub.Server || addr == sub.PartnerServer {
		return fmt.Errorf("field Addr %v is of the network or of a server itself: answer another address of %v", addr, sub.Prefix)
	}
	if res := t.cur.byAddr[a]; res != nil {
		return fmt.Errorf("field Addr %v is reserved for %s: answer another address, or remove that reservation", addr, res.label())
	}
	if e := t.blocker(a, d.key, d.now); e != nil {
		return fmt.Errorf("field Addr %v is %s until %s: answer another address, or release it", addr, e.describe(), until(e))
	}
	return nil
}

// hostPlace returns what a relay says about where the client is. A renewal past the relay has only
// the lease to tell.
func (t *table) hostPlace(d *decision, r *request) (relay addr4, circuit, subscriber []byte) {
	if e := t.byAddr[r.held]; r.routed() && e != nil && e.mine(d.key) {
		return e.relay, []byte(e.circuit()), []byte(e.subscriber())
	}
	return r.giaddr, wire.SubOption(r.relayAgent, 1), r.subscriber()
}

// appendHostKey appends what distinguishes the queries of clients, each part with its length.
func (t *table) appendHostKey(b []byte, d *decision, r *request) []byte {
	relay, circuit, subscriber := t.hostPlace(d, r)
	b = binary.BigEndian.AppendUint32(append(b, 4), uint32(relay))
	b = appendPart(b, []byte(d.sub.Name))
	if relay == 0 {
		b = appendPart(b, []byte(r.pkt.Link))
	}
	b = appendPart(b, r.CHAddr())
	b = appendPart(b, r.Option(wire.OptClientID))
	b = appendPart(b, circuit)
	b = appendPart(b, subscriber)
	b = appendPart(b, wire.SubOption(r.relayAgent, 2))
	b = appendPart(b, r.Option(wire.OptVendorClass))
	b = appendPart(b, r.Option(wire.OptUserClass))
	b = appendPart(b, r.Option(wire.OptClientArch))
	b = appendPart(b, r.First(wire.OptClientUUID))
	if r.Has(wire.OptIPXE) {
		b = append(b, 1)
	}
	return b
}

func appendPart(b, part []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(part))), part...)
}

// hostQuery returns the question about the client of a packet.
func (t *table) hostQuery(d *decision, r *request) HostQuery {
	b := bootQuery(d, r)
	relay, circuit, subscriber := t.hostPlace(d, r)
	q := HostQuery{
		VRF: t.vrf, ClientID: bytes.Clone(r.Option(wire.OptClientID)), CircuitID: bytes.Clone(circuit), Subscriber: string(subscriber),
		RemoteID: bytes.Clone(wire.SubOption(r.relayAgent, 2)),
	}
	if relay != 0 {
		q.Relay, b.Link = relay.addr(), ""
	}
	return q.withFirmware(&b)
}

// withFirmware completes a query by the fields of a boot query.
func (q HostQuery) withFirmware(b *BootQuery) HostQuery {
	q.MAC, q.Subnet, q.Link = bytes.Clone(b.MAC), b.Subnet, strings.Clone(b.Link)
	q.VendorClass, q.UserClasses, q.Arch, q.ClientUUID, q.HasIPXE = b.VendorClass, b.UserClasses, b.Arch, bytes.Clone(b.ClientUUID), b.HasIPXE
	return q
}

// consult is [table.consult] for IPv6. A refused client is told so by a status.
func (t *table6) consult(d *decision6, r *request6) bool {
	if t.hosts == nil || d.res != nil || r.duid == nil {
		return true
	}
	switch r.Type {
	case wire6.Confirm, wire6.Release, wire6.Decline:
		return true // about addresses that the client has
	}
	a := d.answer
	if a == nil {
		t.hosts.key = appendHostKey6(t.hosts.key[:0], d, r)
		a = t.hosts.find(d.now.UnixNano())
	}
	switch {
	case a == nil:
		d.awaits = true
		d.silent(dropHostPending)
	case a.err != nil:
		d.note("Hosts: no usable answer: %v", a.err)
		d.silent(dropHostFailed)
	case a.host.Action == HostIgnore:
		d.note("Hosts: the client is ignored")
		d.silent(dropHostIgnored)
	case a.host.Action == HostRefuse:
		d.note("Hosts: the client is refused")
		d.refused = true
		return true
	default:
		return t.useHost(d, a)
	}
	return false
}

func (t *table6) useHost(d *decision6, a *hostAnswer) bool {
	d.host, d.res = a, a.res
	if err := t.checkHostAddr(d, a.host.Addr); err != nil {
		d.note("Hosts: %v", err)
		d.hostErr = err
		d.silent(dropHostFailed)
		return false
	}
	if d.trace {
		d.note("Hosts: address %v", a.host.Addr)
	}
	return true
}

// checkHostAddr is [table.checkHostAddr] for IPv6.
func (t *table6) checkHostAddr(d *decision6, a netip.Addr) error {
	if !a.IsValid() {
		return nil
	}
	sub := t.cur.find(a)
	if sub == nil || sub.seg != d.sub.seg {
		return fmt.Errorf("field Addr %v is in no subnet of the client's link: answer an address of %v, or none for the pools", a, d.sub.Prefix)
	}
	if !sub.usable(a) || a == sub.Server || a == sub.PartnerServer {
		return fmt.Errorf("field Addr %v is of the routers or of a server itself: answer another address of %v", a, sub.Prefix)
	}
	if res := t.cur.byAddr[a]; res != nil {
		return fmt.Errorf("field Addr %v is reserved for %s: answer another address, or remove that reservation", a, res.label())
	}
	held := func(ia ia6) bool { return t.mayTake(d, a, ia.key) }
	if len(d.ias) > 0 && !slices.ContainsFunc(d.ias, held) {
		return fmt.Errorf("field Addr %v is leased to another client: answer another address, or release it", a)
	}
	return nil
}

func appendHostKey6(b []byte, d *decision6, r *request6) []byte {
	b = appendPart(append(b, 6), []byte(d.sub.Name))
	if r.relay() == nil {
		b = appendPart(b, []byte(r.pkt.Link))
	}
	b = appendPart(b, r.duid)
	for _, mac := range r.macs {
		b = appendPart(b, mac)
	}
	if relay := r.relay(); relay != nil {
		b = append(b, relay.Link.AsSlice()...)
		b = appendPart(b, r.circuitID())
		b = appendPart(b, r.subscriber())
		b = appendPart(b, clip(relay.Options.Find(wire6.OptRemoteID), 255))
	}
	b = appendPart(b, r.Options.Find(wire6.OptVendorClass))
	b = appendPart(b, r.Options.Find(wire6.OptUserClass))
	return appendPart(b, r.Options.Find(wire6.OptClientArch))
}

func (r *request6) hostQuery(d *decision6) HostQuery {
	b := r.bootQuery(d)
	q := HostQuery{VRF: d.vrf.name, DUID: bytes.Clone(r.duid), CircuitID: bytes.Clone(r.circuitID()), Subscriber: string(r.subscriber()), Relay: r.linkAddress()}
	if relay := r.relay(); relay != nil {
		q.RemoteID, b.Link = bytes.Clone(clip(relay.Options.Find(wire6.OptRemoteID), 255)), ""
	}
	return q.withFirmware(&b)
}
