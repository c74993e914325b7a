package dhcpsrv

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// Option is one DHCP option with its payload as it goes on the wire.
type Option struct {
	Code uint8
	Data []byte // up to 1,024 bytes; more than 255 are split over several options (RFC 3396)
	// Always sends the option even to clients that do not ask for it and when the packet is tight.
	Always bool
}

// Options is a set of options of one level (site, subnet, pool, host). A code may occur once.
type Options []Option

// TextOption makes an option of text, without a terminating zero.
func TextOption(code uint8, text string) Option { return Option{Code: code, Data: []byte(text)} }

// AddrOption makes an option of IPv4 addresses; anything that is not IPv4 is left out.
func AddrOption(code uint8, addrs ...netip.Addr) Option {
	data := make([]byte, 0, 4*len(addrs))
	for _, a := range addrs {
		if a = a.Unmap(); a.Is4() {
			data = append(data, a.AsSlice()...)
		}
	}
	return Option{Code: code, Data: data}
}

// uint8Option makes an option of one byte.
func uint8Option(code, v uint8) Option { return Option{Code: code, Data: []byte{v}} }

// uint16Option makes an option of a 16-bit number.
func uint16Option(code uint8, v uint16) Option {
	return Option{Code: code, Data: binary.BigEndian.AppendUint16(nil, v)}
}

// DomainsOption makes an option of domain names in DNS wire form, as option 119 has them (RFC
// 3397), without compression. Empty labels and labels over 63 bytes are left out.
func DomainsOption(code uint8, names ...string) Option {
	var data []byte
	for _, name := range names {
		for label := range strings.SplitSeq(strings.Trim(name, "."), ".") {
			if len(label) > 0 && len(label) < 64 {
				data = append(append(data, byte(len(label))), label...)
			}
		}
		data = append(data, 0)
	}
	return Option{Code: code, Data: data}
}

// routesOption makes an option of classless routes, as option 121 has them (RFC 3442).
func routesOption(code uint8, routes ...Route) Option {
	var data []byte
	for _, r := range routes {
		dest := r.Dest.Masked().Addr().As4()
		via := r.Via.As4()
		data = append(data, byte(r.Dest.Bits()))
		data = append(data, dest[:(r.Dest.Bits()+7)/8]...)
		data = append(data, via[:]...)
	}
	return Option{Code: code, Data: data}
}

// find returns the option with the code, or nil.
func (o Options) find(code uint8) *Option {
	for i := range o {
		if o[i].Code == code {
			return &o[i]
		}
	}
	return nil
}

func clip(b []byte, n int) []byte { return b[:min(len(b), n)] }

func hasPrefix(b []byte, p string) bool { return len(b) >= len(p) && string(b[:len(p)]) == p }
