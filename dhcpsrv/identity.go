package dhcpsrv

import (
	"slices"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
)

// Keys of clients: a letter for the kind, then the bytes. Link addresses of different types are not told apart: firmware
// and systems of one machine do not agree on the type.

func macKey(mac []byte) string          { return "m" + string(mac) }
func clientIDKey(id []byte) string      { return "i" + string(id) }
func usableID(clientID []byte) bool     { return len(clientID) >= 2 }
func clip(b []byte, n int) []byte       { return b[:min(len(b), n)] }
func hasPrefix(b []byte, p string) bool { return len(b) >= len(p) && string(b[:len(p)]) == p }

// usableMAC reports whether a link address is one: not empty, not all zeros.
func usableMAC(mac []byte) bool {
	return slices.ContainsFunc(mac, func(b byte) bool { return b != 0 })
}

// identify returns the reservation of a client in a segment, if it has one, and the key of its leases there, appended to
// buf[:0]; empty when the client cannot be told from others. All clients of one reservation share a key, so that they share
// its address.
func (c *serving) identify(buf []byte, seg *segment, prefer *subnet, mac, clientID, subscriber []byte) (key []byte, res *Reservation) {
	byID, byMAC := usableID(clientID), usableMAC(mac)
	buf = buf[:0]
	if len(c.byClient) > 0 {
		if byID {
			res = c.reservation(seg, prefer, append(append(buf, 'i'), clientID...))
		}
		if byMAC && res == nil {
			res = c.reservation(seg, prefer, append(append(buf, 'm'), mac...))
		}
		if len(subscriber) > 0 && res == nil {
			res = c.reservation(seg, prefer, append(append(buf, 's'), subscriber...))
		}
	}
	switch {
	case res != nil && len(res.ClientID) > 0:
		return append(append(buf, 'i'), res.ClientID...), res
	case res != nil && len(res.MAC) > 0:
		return append(append(buf, 'm'), res.MAC...), res
	case res != nil:
		return append(append(buf, 's'), res.Subscriber...), res
	case byID && (seg.byClientID || !byMAC):
		return append(append(buf, 'i'), clientID...), nil
	case byMAC:
		return append(append(buf, 'm'), mac...), nil
	}
	return buf, nil
}

// reservation returns the client's reservation for a segment: with an address in the preferred subnet, with an address
// in another one, for the segment or for any subnet, in this order.
func (c *serving) reservation(seg *segment, prefer *subnet, key []byte) (best *Reservation) {
	rank := 0
	for _, r := range c.byClient[string(key)] {
		scope := c.scope(r)
		this := 1
		switch {
		case scope == nil:
		case scope.seg != seg:
			continue
		case r.Addr.IsValid() && scope == prefer:
			this = 4
		case r.Addr.IsValid():
			this = 3
		default:
			this = 2
		}
		if this > rank {
			best, rank = r, this
		}
	}
	return best
}

// hostname appends the name a client gives itself to buf[:0]: option 81 (RFC 4702), else option 12.
func hostname(buf []byte, m *wire.Msg) []byte {
	v := m.Option(wire.OptFQDN)
	switch {
	case len(v) <= 3:
		return appendHostname(buf[:0], m.Option(wire.OptHostname))
	case v[0]&0x04 == 0:
		return appendHostname(buf[:0], v[3:])
	}
	return appendHostname(buf[:0], dnsLabels(v[3:]))
}

// dnsLabels turns a name in DNS wire form, possibly without its end, into text.
func dnsLabels(v []byte) (name []byte) {
	for len(v) > 0 && v[0] > 0 && int(v[0]) < len(v) {
		if len(name) > 0 {
			name = append(name, '.')
		}
		name = append(name, v[1:1+v[0]]...)
		v = v[1+v[0]:]
	}
	return name
}
