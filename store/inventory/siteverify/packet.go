package siteverify

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Message types of option 53 (RFC 2132 section 9.6).
const (
	discover = 1
	offer    = 2
	request  = 3
	ack      = 5
	nak      = 6
)

// Codes of options that have a part in asking and comparing.
const (
	optHostname    = 12
	optWanted      = 50
	optLeaseTime   = 51
	optType        = 53
	optServer      = 54
	optRequested   = 55
	optMaxSize     = 57
	optT1          = 58
	optT2          = 59
	optVendorClass = 60
	optClientID    = 61
	optBootFile    = 67
	optUserClass   = 77
	optRelay       = 82
	optArch        = 93
)

// Question is a packet with what it asks.
type Question struct {
	Name  string // for people, such as "known host 02:00:5e:00:00:10"
	Known bool   // the client has one address: equal ones are demanded
	Relay netip.Addr
	mac   net.HardwareAddr
	kind  byte
	want  netip.Addr // option 50
	have  netip.Addr // ciaddr, or the address that is rebound
	extra map[byte][]byte
	six   bool   // of IPv6
	after int    // one more than the index of the question whose answer it follows; 0 = none
	duid  []byte // of IPv6; nil = it is made of mac
	iaid  uint32 // of IPv6
}

// asked are the options that questions request, since servers may leave out the others: all that
// configurations set, but the server's own and answers to options that no question has.
var asked = func() (out []byte) {
	for code := byte(1); code < 255; code++ {
		if code < 50 || code > 61 && code != 77 && code != 80 && code != 81 && code != 82 && code != 90 && code != 93 && code != 94 && code != 97 && code != 108 && code != 118 {
			out = append(out, code)
		}
	}
	return out
}()

// packet writes the question. A relay counts one hop and puts its address into giaddr.
func (q Question) packet(xid uint32) []byte {
	b := make([]byte, 240, 400)
	b[0], b[1], b[2], b[3] = 1, 1, 6, 1 // BOOTREQUEST, Ethernet, 6 bytes, 1 hop
	binary.BigEndian.PutUint32(b[4:], xid)
	if q.have.IsValid() {
		copy(b[12:], q.have.AsSlice())
	}
	copy(b[24:], q.Relay.AsSlice())
	copy(b[28:], q.mac)
	copy(b[236:], []byte{99, 130, 83, 99}) // RFC 2131 section 3
	options := map[byte][]byte{optType: {q.kind}, optRequested: asked, optMaxSize: {1500 >> 8, 1500 & 255}}
	if q.want.IsValid() {
		options[optWanted] = q.want.AsSlice()
	}
	maps.Copy(options, q.extra)
	for _, code := range slices.Sorted(maps.Keys(options)) {
		b = append(append(b, code, byte(len(options[code]))), options[code]...)
	}
	b = append(b, 255)
	return append(b, make([]byte, max(0, 300-len(b)))...) // some servers drop what is shorter than BOOTP
}

// Answer holds the answer of a server to a question. Its zero value is silence.
type Answer struct {
	Type    byte
	Addr    netip.Addr
	Next    netip.Addr
	File    string
	Lease   uint32 // seconds
	Options map[byte][]byte
}

// parseAnswer reads a reply; false = it is none.
func parseAnswer(b []byte) (xid uint32, a Answer, ok bool) {
	if len(b) < 240 || b[0] != 2 {
		return 0, a, false
	}
	a.Addr, a.Next = netip.AddrFrom4([4]byte(b[16:20])), netip.AddrFrom4([4]byte(b[20:24]))
	file, _, _ := bytes.Cut(b[108:236], []byte{0})
	a.File, a.Options = string(file), map[byte][]byte{}
	for rest := b[240:]; len(rest) > 1 && rest[0] != 255; {
		if rest[0] == 0 {
			rest = rest[1:]
			continue
		}
		end := 2 + int(rest[1])
		if end > len(rest) {
			return 0, a, false
		}
		a.Options[rest[0]] = append(a.Options[rest[0]], rest[2:end]...) // RFC 3396: parts are joined
		rest = rest[end:]
	}
	if t := a.Options[optLeaseTime]; len(t) == 4 {
		a.Lease = binary.BigEndian.Uint32(t)
	}
	if t := a.Options[optType]; len(t) == 1 {
		a.Type = t[0]
	}
	if name, ok := a.Options[optBootFile]; ok {
		a.File = strings.TrimRight(string(name), "\x00")
	}
	return binary.BigEndian.Uint32(b[4:]), a, true
}

// typeName is the type of an answer of a family for people.
func (a Answer) typeName(six bool) string {
	switch {
	case a.Type == 0:
		return "silence"
	case six && a.Type == advertise && !a.Addr.IsValid():
		return "ADVERTISE without an address"
	case six && a.Type == advertise:
		return "ADVERTISE"
	case six && a.Type == reply6:
		return "REPLY"
	}
	switch a.Type {
	case offer:
		return "OFFER"
	case ack:
		return "ACK"
	case nak:
		return "NAK"
	}
	return fmt.Sprintf("type %d", a.Type)
}

// follows reports whether the answer before it lets a client ask the question: an address must be
// offered before it is requested, and given before it is renewed.
func (q Question) follows(first Answer) bool {
	if q.kind == request6 {
		return first.Type == advertise
	}
	return first.Type == reply6 && first.Addr.IsValid()
}

// renews reports whether the client has the address already.
func (q Question) renews() bool {
	return q.have.IsValid() || q.six && (q.kind == renew || q.kind == rebind)
}
