package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
	"net/netip"
)

// Layout of the fixed part of a message (RFC 2131 section 2).
const (
	HeaderLen = 240 // with the magic cookie
	offSname  = 44
	offFile   = 108
	offCookie = 236
)

// Op codes.
const (
	OpRequest = 1
	OpReply   = 2
)

// Type is the DHCP message type, option 53.
type Type uint8

// The message types of RFC 2131; 0 is a BOOTP message without option 53.
const (
	BOOTP Type = iota
	Discover
	Offer
	Request
	Decline
	Ack
	Nak
	Release
	Inform
)

var typeNames = [...]string{"BOOTP", "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM"}

// String returns the name as RFC 2131 writes it, without the DHCP in front.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "UNKNOWN"
}

// Codes of the options that the server itself handles.
const (
	OptMask           = 1
	OptRouter         = 3
	OptDNS            = 6
	OptHostname       = 12
	OptDomain         = 15
	OptRootPath       = 17
	OptMTU            = 26
	OptBroadcast      = 28
	OptNTP            = 42
	OptRequestedIP    = 50
	OptLeaseTime      = 51
	OptOverload       = 52
	OptMessageType    = 53
	OptServerID       = 54
	OptParameterList  = 55
	OptMessage        = 56
	OptMaxSize        = 57
	OptT1             = 58
	OptT2             = 59
	OptVendorInfo     = 43
	OptVendorClass    = 60
	OptClientID       = 61
	OptTFTPServer     = 66
	OptBootFile       = 67
	OptUserClass      = 77
	OptRapidCommit    = 80
	OptFQDN           = 81
	OptRelayAgent     = 82
	OptClientArch     = 93
	OptClientNDI      = 94
	OptClientUUID     = 97
	OptSubnetSelect   = 118
	OptSearch         = 119
	OptClasslessRoute = 121
	OptIPXE           = 175
	OptVSS            = 221
	OptConfigFile     = 209
	OptPathPrefix     = 210
	OptEnd            = 255

	// Suboptions of OptRelayAgent (RFC 6607).
	SubVSS        = 151
	SubVSSControl = 152
)

// Why a packet is not a DHCPv4 message.
var (
	ErrShort = errors.New("shorter than a BOOTP header")
	ErrHLen  = errors.New("link address longer than 16 bytes")
)

var cookie = [4]byte{99, 130, 83, 99}

type span struct{ off, len uint16 }

// Msg is a view of a received message.
type Msg struct {
	raw   []byte
	opts  [256]span
	joint map[uint8][]byte // options that came in several pieces (RFC 3396); nil as a rule
}

// Parse makes m a view of b. An END option is not required: some old clients leave it out.
func (m *Msg) Parse(b []byte) error {
	*m = Msg{raw: b}
	switch {
	case len(b) < offCookie || len(b) > 1<<16-1:
		return ErrShort
	case b[2] > 16:
		return ErrHLen
	case len(b) < HeaderLen || [4]byte(b[offCookie:]) != cookie:
		return nil // plain BOOTP: the vendor area may hold anything (RFC 951 section 3)
	}
	m.scan(HeaderLen, len(b))
	// Option 52 says that file (1), sname (2) or both (3) carry options too; they are read in this
	// order.
	overload := m.First(OptOverload)
	if len(overload) != 1 {
		return nil
	}
	if overload[0]&1 != 0 {
		m.scan(offFile, offCookie)
	}
	if overload[0]&2 != 0 {
		m.scan(offSname, offFile)
	}
	return nil
}

// scan enters the options of a field. A last option that runs over the end is left out, as dnsmasq
// does: the options before it are good.
func (m *Msg) scan(from, to int) {
	for i := from; i < to; {
		code := m.raw[i]
		if code == OptEnd {
			return
		}
		if code == 0 {
			i++
			continue
		}
		if i+2 > to || i+2+int(m.raw[i+1]) > to {
			return
		}
		m.add(code, i+2, int(m.raw[i+1]))
		i += 2 + int(m.raw[i+1])
	}
}

func (m *Msg) add(code uint8, off, n int) {
	if m.opts[code].off == 0 {
		m.opts[code] = span{uint16(off), uint16(n)}
		return
	}
	if m.joint == nil {
		m.joint = make(map[uint8][]byte)
	}
	part, ok := m.joint[code]
	if !ok {
		s := m.opts[code]
		part = append(part, m.raw[s.off:s.off+s.len]...)
	}
	m.joint[code] = append(part, m.raw[off:off+n]...)
}

// Has reports whether the option is present.
func (m *Msg) Has(code uint8) bool { return m.opts[code].off != 0 }

// Option returns the payload of an option, nil when it is absent.
func (m *Msg) Option(code uint8) []byte {
	s := m.opts[code]
	if s.off == 0 {
		return nil
	}
	if m.joint != nil {
		if v, ok := m.joint[code]; ok {
			return v
		}
	}
	return m.raw[s.off : s.off+s.len : s.off+s.len]
}

// First returns the first piece of an option, or nil. An option of fixed length is never split, so
// that a second one is a copy: servers take the first.
func (m *Msg) First(code uint8) []byte {
	s := m.opts[code]
	if s.off == 0 {
		return nil
	}
	return m.raw[s.off : s.off+s.len : s.off+s.len]
}

// Addr returns the payload of an option that is one IPv4 address; invalid when it is absent or
// malformed.
func (m *Msg) Addr(code uint8) netip.Addr {
	if v := m.First(code); len(v) == 4 {
		return netip.AddrFrom4([4]byte(v))
	}
	return netip.Addr{}
}

// Uint16 returns the payload of an option that is a 16-bit number.
func (m *Msg) Uint16(code uint8) (uint16, bool) {
	if v := m.First(code); len(v) == 2 {
		return binary.BigEndian.Uint16(v), true
	}
	return 0, false
}

// Uint32 returns the payload of an option that is a 32-bit number.
func (m *Msg) Uint32(code uint8) (uint32, bool) {
	if v := m.First(code); len(v) == 4 {
		return binary.BigEndian.Uint32(v), true
	}
	return 0, false
}

// Type returns the message type: BOOTP without option 53, an unknown value when it is malformed.
func (m *Msg) Type() Type {
	if !m.Has(OptMessageType) {
		return BOOTP
	}
	if v := m.First(OptMessageType); len(v) == 1 && v[0] != 0 {
		return Type(v[0])
	}
	return 255
}

// Op returns the op code.
func (m *Msg) Op() byte { return m.raw[0] }

// HType returns the hardware type.
func (m *Msg) HType() byte { return m.raw[1] }

// Hops returns how many relays the message has passed.
func (m *Msg) Hops() byte { return m.raw[3] }

// XID returns the transaction ID.
func (m *Msg) XID() uint32 { return binary.BigEndian.Uint32(m.raw[4:]) }

// Secs returns the seconds since the client began to ask.
func (m *Msg) Secs() uint16 { return binary.BigEndian.Uint16(m.raw[8:]) }

// Broadcast reports whether the client asks for a broadcast reply.
func (m *Msg) Broadcast() bool { return m.raw[10]&0x80 != 0 }

// CIAddr returns the address the client already uses; 0.0.0.0 for none.
func (m *Msg) CIAddr() netip.Addr { return netip.AddrFrom4([4]byte(m.raw[12:])) }

// GIAddr returns the address of the relay agent; 0.0.0.0 for none.
func (m *Msg) GIAddr() netip.Addr { return netip.AddrFrom4([4]byte(m.raw[24:])) }

// CHAddr returns the client's link address, of the length the message gives.
func (m *Msg) CHAddr() []byte { return m.raw[28 : 28+m.raw[2] : 28+m.raw[2]] }

// SubOption returns a sub-option of an option that holds code-length-value triples, such as the
// relay agent's; nil when it is absent. A truncated rest is ignored.
func SubOption(v []byte, code uint8) []byte {
	for len(v) >= 2 && int(v[1])+2 <= len(v) {
		n := 2 + int(v[1])
		if v[0] == code {
			return v[2:n:n]
		}
		v = v[n:]
	}
	return nil
}

// WithoutSubOption appends the suboptions of option 82 to b, except those with a code.
func WithoutSubOption(b, v []byte, code uint8) []byte {
	for len(v) >= 2 && int(v[1])+2 <= len(v) {
		n := 2 + int(v[1])
		if v[0] != code {
			b = append(b, v[:n]...)
		}
		v = v[n:]
	}
	return append(b, v...)
}

// YIAddr returns the address given to the client; 0.0.0.0 for none.
func (m *Msg) YIAddr() netip.Addr { return netip.AddrFrom4([4]byte(m.raw[16:])) }

// SIAddr returns the address of the next server; 0.0.0.0 for none.
func (m *Msg) SIAddr() netip.Addr { return netip.AddrFrom4([4]byte(m.raw[20:])) }

// File returns the boot file name of the header field, "" when the field carries options.
func (m *Msg) File() string {
	if v := m.First(OptOverload); len(v) == 1 && v[0]&1 != 0 {
		return ""
	}
	name, _, _ := bytes.Cut(m.raw[offFile:offCookie], []byte{0})
	return string(name)
}

// Options returns all options by code.
func (m *Msg) Options() iter.Seq2[uint8, []byte] {
	return func(yield func(uint8, []byte) bool) {
		for code := range uint8(OptEnd) {
			if m.Has(code) && !yield(code, m.Option(code)) {
				return
			}
		}
	}
}
