package dhcpsrv

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
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

// merge joins levels of options, the more specific ones later, in the order of their codes.
func merge(levels ...Options) Options {
	var out Options
	for _, level := range levels {
		for _, o := range level {
			if have := out.find(o.Code); have != nil {
				*have = o
			} else {
				out = append(out, o)
			}
		}
	}
	slices.SortFunc(out, func(a, b Option) int { return int(a.Code) - int(b.Code) })
	return out
}

// ownOption reports whether the server makes the option itself for every reply, so that no level
// may set it.
func ownOption(code uint8) bool {
	switch code {
	case 0, wire.OptRequestedIP, wire.OptLeaseTime, wire.OptOverload, wire.OptMessageType, wire.OptServerID,
		wire.OptParameterList, wire.OptMessage, wire.OptMaxSize, wire.OptT1, wire.OptT2, wire.OptClientID,
		wire.OptRapidCommit, wire.OptRelayAgent, wire.OptClientUUID, wire.OptEnd:
		return true
	}
	return false
}

func checkOptions(where string, opts Options) error { return checkLevel(where, "", opts, ownOption) }

// checkLevel checks the options of one level. own reports the options that the server makes itself
// for the protocol.
func checkLevel(where, protocol string, opts Options, own func(code uint8) bool) error {
	for i, o := range opts {
		switch {
		case own(o.Code):
			return fmt.Errorf("%s: option %d%s is made by the server itself", where, o.Code, protocol)
		case len(o.Data) > 1024:
			return fmt.Errorf("%s: option %d has %d bytes, more than 1024", where, o.Code, len(o.Data))
		case opts[:i].find(o.Code) != nil:
			return fmt.Errorf("%s: option %d is given twice", where, o.Code)
		}
	}
	return nil
}
