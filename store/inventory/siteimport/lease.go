package siteimport

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
)

// Lease is a lease of the old server that had not ended when its file was written. What a client
// sends to renew it is kept as it was sent, so that a rack knows the client again.
type Lease struct {
	Addr     netip.Addr
	Bits     int              // length of the delegated prefix that begins with Addr; 0 = an address
	MAC      net.HardwareAddr // nil = the file has none
	ClientID []byte           // option 61 of IPv4, type byte included; nil = it was not sent
	DUID     []byte           // of IPv6
	IAID     uint32           // of IPv6
	Hostname string           // "" = none
	Subnet   string           // prefix of the imported subnet that has it; "" = none has
	Start    time.Time        // of the latest renewal; zero = the file has none
	End      time.Time        // in 2200 for leases without end
	Declined bool             // no client has it: another host was found to use it
}

// forever is the end of leases without one. Clients of these never renew, so the address stays
// theirs. Records of leases count nanoseconds in 64 bits, which end in 2262.
var forever = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// unix returns the time of a lease file.
func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// DHCP returns the lease as a rack's journal has it.
func (l Lease) DHCP() dhcpsrv.Lease {
	state := dhcpsrv.Bound
	if l.Declined {
		state = dhcpsrv.Declined
	}
	// A record counts nanoseconds since 1970, so the zero time has no place in it. Leases of
	// dnsmasq have an end alone: they began at the latest now, and any version with a time is
	// newer.
	start := l.Start
	if start.IsZero() {
		start = time.Now()
		if l.End.Before(start) {
			start = l.End
		}
	}
	return dhcpsrv.Lease{
		Addr: l.Addr, Bits: uint8(l.Bits), State: state, MAC: l.MAC, ClientID: l.ClientID, DUID: l.DUID, IAID: l.IAID,
		Hostname: dhcpsrv.ClientName(l.Hostname, ""), Subnet: l.Subnet, Start: start, Changed: l.Start, End: l.End,
	}
}

// MarshalJSON writes the lease with identities in hexadecimal.
func (l Lease) MarshalJSON() ([]byte, error) {
	addr := l.Addr.String()
	if l.Bits > 0 {
		addr = netip.PrefixFrom(l.Addr, l.Bits).String()
	}
	return json.Marshal(struct {
		Addr     string    `json:"address"`
		MAC      string    `json:"mac_address,omitempty"`
		ClientID string    `json:"client_id,omitempty"`
		DUID     string    `json:"duid,omitempty"`
		IAID     uint32    `json:"iaid,omitempty"`
		Hostname string    `json:"hostname,omitempty"`
		Subnet   string    `json:"subnet,omitempty"`
		Start    time.Time `json:"start,omitzero"`
		End      time.Time `json:"end"`
		Declined bool      `json:"declined,omitempty"`
	}{addr, l.MAC.String(), hex.EncodeToString(l.ClientID), hex.EncodeToString(l.DUID), l.IAID, l.Hostname, l.Subnet, l.Start, l.End, l.Declined})
}

// leaseKey identifies an address or a prefix: it has one lease.
type leaseKey struct {
	addr netip.Addr
	bits int
}

// addLease adds a lease in the place of an earlier one of its address: lease files are logs, in
// which the last entry counts.
func (b *builder) addLease(p place, l Lease) {
	key := leaseKey{l.Addr, l.Bits}
	if len(l.MAC) == 0 {
		l.MAC = duidMAC(l.DUID)
	}
	switch {
	case !l.Addr.IsValid() || l.Addr.Zone() != "" || l.Bits < 0 || l.Bits > 128:
		b.put(p, LeftOut, "is no lease of an address; correct it")
		return
	case len(l.MAC) == 0 && len(l.ClientID) == 0 && len(l.DUID) == 0 && !l.Declined:
		b.put(p, LeftOut, "the lease has no client")
		return
	}
	if b.put(p, Taken, "lease of %s", l.Addr); l.Bits > 0 {
		b.settle(len(b.out.Report)-1, Taken, "lease of %s/%d", l.Addr, l.Bits)
	}
	// The last entry of an address counts; the order of leases is made at the end.
	if at, ok := b.leases[key]; ok {
		b.out.Leases[at] = l
		return
	}
	b.leases[key] = len(b.out.Leases)
	b.out.Leases = append(b.out.Leases, l)
}

// endLease forgets the lease of an address that a later entry of the file ends.
func (b *builder) endLease(p place, addr netip.Addr, bits int, why string) {
	b.put(p, LeftOut, "%s", why)
	if at, ok := b.leases[leaseKey{addr, bits}]; ok {
		b.out.Leases[at].Addr = netip.Addr{}
		delete(b.leases, leaseKey{addr, bits})
	}
}

// duidMAC returns the MAC address in a DUID of the kinds that have one (RFC 8415 section 11: 1 is a
// link address with time, 3 one without; hardware type 1 is Ethernet).
func duidMAC(duid []byte) net.HardwareAddr {
	if len(duid) < 4 || binary.BigEndian.Uint16(duid[2:]) != 1 {
		return nil
	}
	switch at := map[uint16]int{1: 8, 3: 4}[binary.BigEndian.Uint16(duid)]; {
	case at > 0 && len(duid) == at+6:
		return net.HardwareAddr(slices.Clone(duid[at:]))
	}
	return nil
}

func (b *builder) finishLeases() {
	b.out.Leases = slices.DeleteFunc(b.out.Leases, func(l Lease) bool { return !l.Addr.IsValid() })
	for i := range b.out.Leases {
		if s := b.subnetOf(b.out.Leases[i].Addr); s != nil {
			b.out.Leases[i].Subnet = s.prefix.String()
		}
	}
	slices.SortFunc(b.out.Leases, func(x, y Lease) int { return cmp.Or(x.Addr.Compare(y.Addr), cmp.Compare(x.Bits, y.Bits)) })
}
