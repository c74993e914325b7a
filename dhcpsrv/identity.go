package dhcpsrv

import (
	"encoding/hex"
	"fmt"
	"net"
	"slices"
)

// Keys of clients: a letter for the kind, then the bytes. Link addresses of different types share a
// kind: firmware and systems of one machine do not agree on the type.

func macKey(mac []byte) string      { return "m" + string(mac) }
func clientIDKey(id []byte) string  { return "i" + string(id) }
func usableID(clientID []byte) bool { return len(clientID) >= 2 }

// usableMAC reports whether a link address identifies a client: it is not empty and not all zeros.
func usableMAC(mac []byte) bool {
	return slices.ContainsFunc(mac, func(b byte) bool { return b != 0 })
}

// identify returns the reservation of a client in a shared network, if it has one, and the key of
// its leases there, appended to buf[:0]. The key is empty when nothing identifies the client. All
// clients of one reservation share a key, so that they share its address.
func (c *serving) identify(buf []byte, seg *sharedNetwork, prefer *subnet, mac, clientID, subscriber []byte) (key []byte, res *Reservation) {
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

// reservation returns the client's reservation for a shared network: with an address in the
// preferred subnet, with an address in another one, for the shared network or for any subnet, in
// this order.
func (c *serving) reservation(seg *sharedNetwork, prefer *subnet, key []byte) (best *Reservation) {
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

// label names a reservation in messages.
func (r *Reservation) label() string {
	switch {
	case r.Name != "":
		return fmt.Sprintf("%q", r.Name)
	case len(r.MAC) > 0:
		return r.MAC.String()
	}
	if len(r.DUID) > 0 {
		return "client " + hex.EncodeToString(r.DUID)
	}
	if len(r.ClientID) == 0 {
		return fmt.Sprintf("subscriber %q", r.Subscriber)
	}
	return "client " + hex.EncodeToString(r.ClientID)
}

// identities returns the keys that the client of a reservation may have.
func (r *Reservation) identities() []string {
	var ids []string
	if len(r.ClientID) > 0 {
		ids = append(ids, clientIDKey(r.ClientID))
	}
	if r.Subscriber != "" {
		ids = append(ids, "s"+r.Subscriber)
	}
	for _, mac := range append([]net.HardwareAddr{r.MAC}, r.Aliases...) {
		if len(mac) > 0 && !slices.Contains(ids, macKey(mac)) {
			ids = append(ids, macKey(mac))
		}
	}
	return ids
}

func (r *Reservation) identities6() (ids []string) {
	if len(r.DUID) > 0 {
		ids = append(ids, duidKey(r.DUID))
	}
	for _, id := range r.identities() {
		if id[0] == 'm' || id[0] == 's' {
			ids = append(ids, id)
		}
	}
	return ids
}

func duidKey(duid []byte) string { return "d" + string(duid) }
