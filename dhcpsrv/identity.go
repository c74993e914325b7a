package dhcpsrv

import (
	"strings"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
)

// Keys of clients: a letter for the kind, then the bytes. Link addresses of different types are not told apart: firmware
// and systems of one machine do not agree on the type.

func macKey(mac []byte) string          { return "m" + string(mac) }
func clientIDKey(id []byte) string      { return "i" + string(id) }
func usableMAC(mac []byte) bool         { return strings.Trim(string(mac), "\x00") != "" }
func usableID(clientID []byte) bool     { return len(clientID) >= 2 }
func clone(b []byte) string             { return string(b) }
func clip(b []byte, n int) []byte       { return b[:min(len(b), n)] }
func hasPrefix(b []byte, p string) bool { return len(b) >= len(p) && string(b[:len(p)]) == p }

// identify returns the reservation of a client in a segment, if it has one, and the key of its leases there; "" when the
// client cannot be told from others. All clients of one reservation share a key, so that they share its address.
func (c *serving) identify(seg *segment, prefer *subnet, mac, clientID []byte) (key string, res *Reservation) {
	var byID, byMAC string
	if usableID(clientID) {
		byID = clientIDKey(clientID)
		res = c.reservation(seg, prefer, byID)
	}
	if usableMAC(mac) {
		byMAC = macKey(mac)
		if res == nil {
			res = c.reservation(seg, prefer, byMAC)
		}
	}
	switch {
	case res != nil && len(res.ClientID) > 0:
		return clientIDKey(res.ClientID), res
	case res != nil:
		return macKey(res.MAC), res
	case byID != "" && (seg.byClientID || byMAC == ""):
		return byID, nil
	}
	return byMAC, nil
}

// reservation returns the client's reservation for a segment: with an address in the preferred subnet, with an address
// in another one, for the segment or for any subnet, in this order.
func (c *serving) reservation(seg *segment, prefer *subnet, key string) (best *Reservation) {
	rank := 0
	for _, r := range c.byClient[key] {
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

// hostname returns the name a client gives itself: option 81 (RFC 4702), else option 12.
func hostname(m *wire.Msg) string {
	if v := m.Option(wire.OptFQDN); len(v) > 3 {
		if v[0]&0x04 == 0 {
			return cleanHostname(v[3:])
		}
		return cleanHostname(dnsLabels(v[3:]))
	}
	return cleanHostname(m.Option(wire.OptHostname))
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
