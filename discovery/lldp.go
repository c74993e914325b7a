package discovery

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"
)

// TLV types of LLDP (IEEE 802.1AB section 8.4).
const (
	lldpEnd         = 0
	lldpChassis     = 1
	lldpPort        = 2
	lldpTTL         = 3
	lldpPortText    = 4
	lldpSystem      = 5
	lldpDescription = 6
	lldpManagement  = 8
	lldpOrganised   = 127
)

// decodeLLDP reads a switch's word of which of its ports this is (IEEE 802.1AB). The observation
// has no address: what the switch names as its management address belongs to another MAC of it, if
// it has one at all.
func decodeLLDP(f Frame) (Observation, error) {
	if f.Type != etherLLDP || !f.Src.Unicast() {
		return Observation{}, ErrMalformed
	}
	sw := &Switch{}
	seen := 0
	for b := f.Payload; ; {
		if len(b) < 2 {
			return Observation{}, ErrMalformed
		}
		head := binary.BigEndian.Uint16(b)
		kind, length := head>>9, int(head&0x1ff)
		if kind == lldpEnd {
			break
		}
		if len(b) < 2+length {
			return Observation{}, ErrMalformed
		}
		// Chassis, port and time to live come first, in this order.
		if seen < 3 && int(kind) != seen+1 {
			return Observation{}, ErrMalformed
		}
		seen++
		if !sw.take(int(kind), b[2:2+length]) {
			return Observation{}, ErrMalformed
		}
		b = b[2+length:]
	}
	if seen < 3 {
		return Observation{}, ErrMalformed
	}
	s := Observation{MAC: f.Src, VID: f.VID, Source: LLDP, Gone: sw.TTL == 0, Info: &Info{Switch: sw, ttl: sw.TTL}}
	if name := hostname([]byte(sw.System)); name != "" {
		s.Info.Names, s.Info.flush = []Name{{name, LLDP}}, LLDP
	}
	return s, nil
}

// take reads one TLV and reports whether it is well formed.
func (s *Switch) take(kind int, v []byte) bool {
	switch kind {
	case lldpChassis, lldpPort:
		if len(v) < 2 {
			return false
		}
		macKind := byte(4)
		if kind == lldpPort {
			macKind = 3
		}
		text := lldpID(v, macKind)
		if kind == lldpChassis {
			s.Chassis = text
		} else {
			s.Port = text
		}
	case lldpTTL:
		if len(v) < 2 {
			return false
		}
		s.TTL = time.Duration(binary.BigEndian.Uint16(v)) * time.Second
	case lldpPortText:
		s.PortText = clean(v)
	case lldpSystem:
		s.System = clean(v)
	case lldpDescription:
		s.Description = clean(v)
	case lldpManagement:
		// The length in front counts the subtype too. A switch may name several addresses; the
		// first one that can be used is kept.
		if len(v) >= 2 && len(v) > int(v[0]) && v[0] > 1 && !s.Management.IsValid() {
			if a, ok := netip.AddrFromSlice(v[2 : 1+int(v[0])]); ok && usable(a) {
				s.Management = a
			}
		}
	case lldpOrganised:
		// IEEE 802.1, subtype 1: VLAN of untagged frames.
		if len(v) == 6 && [4]byte(v[:4]) == [4]byte{0, 0x80, 0xc2, 1} {
			s.VID = binary.BigEndian.Uint16(v[4:]) & 0x0fff
		}
	}
	return true
}

// lldpID is the text of a chassis or port ID: a MAC where its subtype says so, else as it is.
func lldpID(v []byte, macKind byte) string {
	if v[0] == macKind && len(v) == 7 {
		return net.HardwareAddr(v[1:]).String()
	}
	return clean(v[1:])
}
