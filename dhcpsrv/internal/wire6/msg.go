package wire6

import (
	"encoding/binary"
	"errors"
	"iter"
	"net/netip"
)

// Type is a message type.
type Type uint8

// Message types of RFC 8415 section 7.3.
const (
	Solicit Type = iota + 1
	Advertise
	Request
	Confirm
	Renew
	Rebind
	Reply
	Release
	Decline
	Reconfigure
	InformationRequest
	RelayForward
	RelayReply
)

var typeNames = [...]string{"", "SOLICIT", "ADVERTISE", "REQUEST", "CONFIRM", "RENEW", "REBIND", "REPLY", "RELEASE", "DECLINE",
	"RECONFIGURE", "INFORMATION-REQUEST", "RELAY-FORWARD", "RELAY-REPLY"}

// String returns the name in the RFC.
func (t Type) String() string {
	if t > 0 && int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "unknown"
}

// Option codes.
const (
	OptClientID       = 1
	OptServerID       = 2
	OptIANA           = 3
	OptIATA           = 4
	OptIAAddr         = 5
	OptRequest        = 6
	OptPreference     = 7
	OptRelayMessage   = 9
	OptUnicast        = 12
	OptElapsed        = 8
	OptStatus         = 13
	OptRapidCommit    = 14
	OptUserClass      = 15
	OptVendorClass    = 16
	OptInterfaceID    = 18
	OptReconfigure    = 20
	OptDNS            = 23
	OptDomains        = 24
	OptIAPD           = 25
	OptIAPrefix       = 26
	OptRemoteID       = 37
	OptSubscriber     = 38
	OptVSS            = 68
	OptFQDN           = 39
	OptNTP            = 56
	OptBootURL        = 59
	OptBootParam      = 60
	OptClientArch     = 61
	OptClientNII      = 62
	OptLinkAddr       = 79
	OptRelaySource    = 135
	headerLen         = 4
	relayHeaderLen    = 34
	maxDepth          = 9 // relays around one message: HOP_COUNT_LIMIT of RFC 8415 section 7.6, and one
	hopCountLimit     = 8
	ntpServerAddress  = 1
	statusHeader      = 2
	iaHeader          = 12
	iaTAHeader        = 4
	iaAddrHeader      = 24
	iaPrefixHeader    = 25
	relayPeerOffset   = 18
	relayLinkOffset   = 2
	optionHeaderBytes = 4
)

// Status codes of RFC 8415 section 21.13.
const (
	StatusSuccess      = 0
	StatusNoAddrsAvail = 2
	StatusNoBinding    = 3
	StatusNotOnLink    = 4
	StatusUseMulticast = 5
	StatusNoPrefix     = 6 // NoPrefixAvail
)

var errMalformed = errors.New("wire6: malformed message")

// Options is a run of options.
type Options []byte

// valid reports whether the options fill their bytes exactly.
func (o Options) valid() bool {
	for len(o) > 0 {
		if len(o) < optionHeaderBytes {
			return false
		}
		n := optionHeaderBytes + int(binary.BigEndian.Uint16(o[2:]))
		if n > len(o) {
			return false
		}
		o = o[n:]
	}
	return true
}

// All yields code and data of each option; it ends where options end too soon.
func (o Options) All() iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(o) >= optionHeaderBytes {
			n := optionHeaderBytes + int(binary.BigEndian.Uint16(o[2:]))
			if n > len(o) || !yield(binary.BigEndian.Uint16(o), o[optionHeaderBytes:n:n]) {
				return
			}
			o = o[n:]
		}
	}
}

// Find returns the data of the first option with the code, and nil only when it is absent. It is a
// plain loop, since a packet takes a dozen of them.
func (o Options) Find(code uint16) []byte {
	for len(o) >= optionHeaderBytes {
		n := optionHeaderBytes + int(binary.BigEndian.Uint16(o[2:]))
		if n > len(o) {
			return nil
		}
		if binary.BigEndian.Uint16(o) == code {
			return o[optionHeaderBytes:n:n]
		}
		o = o[n:]
	}
	return nil
}

// Has reports whether an option is present.
func (o Options) Has(code uint16) bool { return o.Find(code) != nil }

// Relay is one relay agent's envelope.
type Relay struct {
	Hops       uint8
	Link, Peer netip.Addr
	Options    Options
}

// Msg is a client's message with the relays it passed. It points into the bytes it was parsed from.
type Msg struct {
	Type    Type
	XID     [3]byte
	Options Options
	Relays  []Relay // the outermost first: the last one heard the client
}

// Parse reads a message and all its envelopes. It uses the memory of m again.
func (m *Msg) Parse(b []byte) error {
	*m = Msg{Relays: m.Relays[:0]}
	for range maxDepth + 1 {
		if len(b) < headerLen {
			return errMalformed
		}
		if Type(b[0]) != RelayForward {
			m.Type, m.XID, m.Options = Type(b[0]), [3]byte(b[1:4]), Options(b[headerLen:])
			if !m.Options.valid() {
				return errMalformed
			}
			return nil
		}
		if len(b) < relayHeaderLen || b[1] > hopCountLimit {
			return errMalformed
		}
		r := Relay{
			Hops: b[1], Link: netip.AddrFrom16([16]byte(b[relayLinkOffset:relayPeerOffset])),
			Peer: netip.AddrFrom16([16]byte(b[relayPeerOffset:relayHeaderLen])), Options: Options(b[relayHeaderLen:]),
		}
		if !r.Options.valid() {
			return errMalformed
		}
		m.Relays = append(m.Relays, r)
		b = r.Options.Find(OptRelayMessage)
	}
	return errMalformed
}

// IA is one identity association.
type IA struct {
	Code  uint16 // OptIANA, OptIATA or OptIAPD
	ID    uint32
	Addrs []netip.Addr // of IA_NA

	Prefixes []netip.Prefix // of IA_PD, masked; :: of some length asks for any of that length
}

// IAs returns the IA_NA options, and apart from them the associations of the other types, IA_PD
// with their prefixes, at most most of each, and each IA_NA with at most most addresses. It uses
// the memory of both slices again.
func (m *Msg) IAs(served, foreign []IA, most int) (na, others []IA) {
	served, foreign = served[:0], foreign[:0]
	for code, data := range m.Options.All() {
		switch {
		case code == OptIANA && len(data) >= iaHeader && len(served) < most:
			served = appendIA(served, code, data)
			ia := &served[len(served)-1]
			for code, sub := range Options(data[iaHeader:]).All() {
				if code == OptIAAddr && len(sub) >= iaAddrHeader && len(ia.Addrs) < most {
					ia.Addrs = append(ia.Addrs, netip.AddrFrom16([16]byte(sub)))
				}
			}
		case (code == OptIATA && len(data) >= iaTAHeader || code == OptIAPD && len(data) >= iaHeader) && len(foreign) < most:
			foreign = appendIA(foreign, code, data)
			if code == OptIAPD {
				foreign[len(foreign)-1].readPrefixes(Options(data[iaHeader:]), most)
			}
		}
	}
	return served, foreign
}

// readPrefixes reads at most most prefixes of an IA_PD.
func (ia *IA) readPrefixes(opts Options, most int) {
	for code, sub := range opts.All() {
		if code != OptIAPrefix || len(sub) < iaPrefixHeader || len(ia.Prefixes) >= most || sub[8] > 128 {
			continue
		}
		ia.Prefixes = append(ia.Prefixes, netip.PrefixFrom(netip.AddrFrom16([16]byte(sub[9:])), int(sub[8])).Masked())
	}
}

// appendIA appends an association without addresses, in the memory of an earlier one.
func appendIA(out []IA, code uint16, data []byte) []IA {
	if len(out) < cap(out) {
		out = out[:len(out)+1]
	} else {
		out = append(out, IA{})
	}
	ia := &out[len(out)-1]
	ia.Code, ia.ID, ia.Addrs = code, binary.BigEndian.Uint32(data), ia.Addrs[:0]
	ia.Prefixes = ia.Prefixes[:0]
	return out
}

// Requested returns the codes of the option request option.
func (m *Msg) Requested() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		for v := m.Options.Find(OptRequest); len(v) >= 2; v = v[2:] {
			if !yield(binary.BigEndian.Uint16(v)) {
				return
			}
		}
	}
}
