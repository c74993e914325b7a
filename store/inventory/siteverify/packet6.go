package siteverify

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
)

// Message types of DHCPv6 (RFC 8415 section 7.3).
const (
	solicit      = 1
	advertise    = 2
	request6     = 3
	renew        = 5
	rebind       = 6
	reply6       = 7
	inform       = 11
	relayForward = 12
	relayReply   = 13
)

// Codes of options of DHCPv6 that have a part in asking and comparing.
const (
	opt6Client      = 1
	opt6Server      = 2
	opt6IA          = 3
	opt6Addr        = 5
	opt6Requested   = 6
	opt6Preference  = 7
	opt6Elapsed     = 8
	opt6Relayed     = 9
	opt6Status      = 13
	opt6VendorClass = 16
	opt6Interface   = 18
	opt6BootURL     = 59
	opt6Arch        = 61
)

// asked6 are the options that questions of IPv6 request.
var asked6 = []byte{0, 23, 0, 24, 0, 31, 0, 32, 0, 56, 0, opt6BootURL, 0, 60}

// packet6 writes the question as a relay does whose link address is of the subnet (RFC 8415 section
// 9). What follows an answer names its address, and a request and a renewal its server, too:
// rebinding asks any server.
func (q Question) packet6(xid uint32, first Answer) []byte {
	b := []byte{q.kind, byte(xid >> 16), byte(xid >> 8), byte(xid)}
	duid := q.duid
	if duid == nil {
		duid = append([]byte{0, 3, 0, 1}, q.mac...) // DUID-LL of Ethernet
	}
	b = option6(b, opt6Client, duid)
	if q.kind == request6 || q.kind == renew {
		b = option6(b, opt6Server, first.Options[opt6Server])
	}
	if q.kind != inform {
		ia := append(binary.BigEndian.AppendUint32(nil, q.iaid), make([]byte, 8)...) // IAID and times
		addr := first.Addr
		if q.have.IsValid() {
			addr = q.have
		}
		if addr.IsValid() {
			ia = option6(ia, opt6Addr, append(addr.AsSlice(), make([]byte, 8)...))
		}
		b = option6(b, opt6IA, ia)
	}
	b = option6(option6(b, opt6Requested, asked6), opt6Elapsed, []byte{0, 0})
	for _, code := range slices.Sorted(maps.Keys(q.extra)) {
		b = option6(b, code, q.extra[code])
	}
	peer := [16]byte{0: 0xfe, 1: 0x80, 15: 1}
	copy(peer[10:], q.mac)
	relayed := append(append([]byte{relayForward, 0}, q.Relay.AsSlice()...), peer[:]...)
	return option6(relayed, opt6Relayed, b)
}

func option6(b []byte, code byte, data []byte) []byte {
	b = binary.BigEndian.AppendUint16(append(b, 0, code), uint16(len(data)))
	return append(b, data...)
}

// parseAnswer6 reads what a server sends to a relay; false = it is no answer.
func parseAnswer6(b []byte) (xid uint32, a Answer, ok bool) {
	if len(b) < 34 || b[0] != relayReply {
		return 0, a, false
	}
	outer, ok := options6(b[34:])
	inner := outer[opt6Relayed]
	if !ok || len(inner) < 4 {
		return 0, a, false
	}
	xid, a.Type = binary.BigEndian.Uint32(inner)&0xffffff, inner[0]
	if a.Options, ok = options6(inner[4:]); !ok {
		return 0, a, false
	}
	a.File = string(a.Options[opt6BootURL])
	if ia := a.Options[opt6IA]; len(ia) > 12 {
		in, _ := options6(ia[12:])
		if addr := in[opt6Addr]; len(addr) >= 24 {
			a.Addr = netip.AddrFrom16([16]byte(addr[:16]))
			a.Lease = binary.BigEndian.Uint32(addr[20:])
		}
	}
	return xid, a, true
}

// options6 reads options; of several with a code the first one, and none with a code beyond 255.
func options6(b []byte) (map[byte][]byte, bool) {
	out := map[byte][]byte{}
	for len(b) > 0 {
		if len(b) < 4 || len(b) < 4+int(binary.BigEndian.Uint16(b[2:])) {
			return nil, false
		}
		end := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if _, have := out[b[1]]; b[0] == 0 && !have {
			out[b[1]] = slices.Clone(b[4:end]) // the buffer is read into again
		}
		b = b[end:]
	}
	return out, true
}
