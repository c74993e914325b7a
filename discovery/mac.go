package discovery

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
)

// A MAC is an Ethernet address. Unlike [net.HardwareAddr] it is a value: it can be compared, can be
// a map key, and costs no allocation. The zero value means "none".
type MAC [6]byte

// ParseMAC reads six octets in any notation that [net.ParseMAC] knows.
func ParseMAC(text string) (MAC, error) {
	hw, err := net.ParseMAC(text)
	if err != nil {
		return MAC{}, fmt.Errorf("discovery: %w", err)
	}
	mac, ok := MACOf(hw)
	if !ok {
		return MAC{}, fmt.Errorf("discovery: %s has %d octets, an Ethernet address has 6", text, len(hw))
	}
	return mac, nil
}

// MACOf converts; it reports false for addresses that are not of six octets.
func MACOf(hw net.HardwareAddr) (mac MAC, ok bool) {
	return mac, copy(mac[:], hw) == 6 && len(hw) == 6
}

// HardwareAddr returns a copy as the standard library's type, nil for the zero value.
func (m MAC) HardwareAddr() net.HardwareAddr {
	if m == (MAC{}) {
		return nil
	}
	return m[:]
}

// Unicast reports whether one device can have the address: it is neither a group's nor zero.
func (m MAC) Unicast() bool { return m[0]&1 == 0 && m != MAC{} }

// String is the address in lower case with colons, empty for the zero value.
func (m MAC) String() string {
	if m == (MAC{}) {
		return ""
	}
	return net.HardwareAddr(m[:]).String()
}

// MarshalText makes encodings show what String does.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (m *MAC) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*m = MAC{}
		return nil
	}
	*m, err = ParseMAC(string(text))
	return err
}

// A MACPrefix is the beginning of MACs, such as a vendor's 24 bits or one whole address of 48.
type MACPrefix struct {
	MAC  MAC
	Bits int // 1 to 48
}

// ParseMACPrefix reads a MAC ("02:00:00:00:00:01"), or its first octets as a prefix ("02:00:00").
func ParseMACPrefix(text string) (MACPrefix, error) {
	octets, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(text), []byte{':'}, nil)))
	if err != nil || len(octets) == 0 || len(octets) > 6 {
		return MACPrefix{}, fmt.Errorf("discovery: %q is not a MAC like 02:00:00:00:00:01 nor the beginning of one like 02:00:00", text)
	}
	p := MACPrefix{Bits: 8 * len(octets)}
	copy(p.MAC[:], octets)
	return p, nil
}

// Contains reports whether a MAC begins with the prefix.
func (p MACPrefix) Contains(m MAC) bool {
	for i := 0; i < p.Bits; i += 8 {
		mask := byte(0xff)
		if left := p.Bits - i; left < 8 {
			mask <<= 8 - left
		}
		if (p.MAC[i/8]^m[i/8])&mask != 0 {
			return false
		}
	}
	return true
}
