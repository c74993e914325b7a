package wire6

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// Writer builds a message. Options may be nested: Open and Close come in pairs.
type Writer struct {
	B    []byte
	open [maxOpen]int // positions of the lengths of open options
	n    int          // number of open options
}

// maxOpen bounds the nesting of options: the relays of a message, an IA and its address.
const maxOpen = maxDepth + 4

// Reset starts over with the same memory.
func (w *Writer) Reset() { w.B, w.n = w.B[:0], 0 }

// Header starts a client's or server's message.
func (w *Writer) Header(t Type, xid [3]byte) { w.B = append(w.B, byte(t), xid[0], xid[1], xid[2]) }

// RelayHeader starts the envelope that answers r.
func (w *Writer) RelayHeader(r *Relay) {
	link, peer := r.Link.As16(), r.Peer.As16()
	w.B = append(append(append(w.B, byte(RelayReply), r.Hops), link[:]...), peer[:]...)
}

// Option appends an option.
func (w *Writer) Option(code uint16, data []byte) {
	w.Open(code)
	w.B = append(w.B, data...)
	w.Close()
}

// Open starts an option; what is written before Close is its data.
func (w *Writer) Open(code uint16) {
	w.B = binary.BigEndian.AppendUint16(w.B, code)
	w.open[w.n] = len(w.B)
	w.n++
	w.B = append(w.B, 0, 0)
}

// Close ends the option that was opened last.
func (w *Writer) Close() {
	w.n--
	at := w.open[w.n]
	binary.BigEndian.PutUint16(w.B[at:], uint16(len(w.B)-at-2))
}

// Uint16 and Uint32 append numbers to the data of an open option.
func (w *Writer) Uint16(v uint16) { w.B = binary.BigEndian.AppendUint16(w.B, v) }

// Uint32 appends a number.
func (w *Writer) Uint32(v uint32) { w.B = binary.BigEndian.AppendUint32(w.B, v) }

// Status appends a status code option.
func (w *Writer) Status(code uint16, text string) {
	w.Open(OptStatus)
	w.Uint16(code)
	w.B = append(w.B, text...)
	w.Close()
}

// IAAddr appends an address of an open IA.
func (w *Writer) IAAddr(a netip.Addr, preferred, valid uint32) {
	w.Open(OptIAAddr)
	v := a.As16()
	w.B = append(w.B, v[:]...)
	w.Uint32(preferred)
	w.Uint32(valid)
	w.Close()
}

// IAPrefix appends a prefix of an open IA_PD.
func (w *Writer) IAPrefix(p netip.Prefix, preferred, valid uint32) {
	w.Open(OptIAPrefix)
	w.Uint32(preferred)
	w.Uint32(valid)
	v := p.Addr().As16()
	w.B = append(append(w.B, byte(p.Bits())), v[:]...)
	w.Close()
}

// Addrs returns the data of an option of IPv6 addresses.
func Addrs(addrs []netip.Addr) (b []byte) {
	for _, a := range addrs {
		b = append(b, a.AsSlice()...)
	}
	return b
}

// NTPServers returns the data of option 56 (RFC 5908).
func NTPServers(addrs []netip.Addr) []byte {
	var w Writer
	for _, a := range addrs {
		w.Option(ntpServerAddress, a.AsSlice())
	}
	return w.B
}

// Domains returns the data of an option of domain names (RFC 8415 section 10).
func Domains(names []string) (b []byte) {
	for _, name := range names {
		for label := range strings.SplitSeq(strings.Trim(name, "."), ".") {
			if len(label) > 0 && len(label) < 64 {
				b = append(append(b, byte(len(label))), label...)
			}
		}
		b = append(b, 0)
	}
	return b
}

// Texts returns the data of an option of length-prefixed texts, such as 60 and 16, of at most most
// bytes: texts that do not fit are left out.
func Texts(texts []string, most int) (b []byte) {
	for _, text := range texts {
		if len(b)+2+len(text) <= most {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
		}
	}
	return b
}
