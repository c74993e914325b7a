package wire

import (
	"encoding/binary"
	"net/netip"
)

// Sizes of messages, UDP payload.
const (
	MinSize = 300       // minimum of a BOOTP reply; some relays drop shorter ones
	MaxSize = 1500 - 28 // a full Ethernet frame
	minMax  = 576 - 28  // what every client accepts (RFC 2131 section 2)
	fileCap = offCookie - offFile
	snamCap = offFile - offSname
)

// SizeLimit turns option 57 of a request (0 when absent) into the largest UDP payload of a reply.
// The option counts the whole IP datagram; values under the minimum of 576 are not believed, and
// values over one frame are not used up.
func SizeLimit(option57 uint16) int {
	return max(minMax, min(int(option57)-28, MaxSize))
}

// Writer builds a reply to a request. Options that do not fit into the options field go to the
// unused "file" and "sname" fields (option overload, RFC 2131 section 4.1).
type Writer struct {
	b      []byte // the main part so far
	max    int    // size limit of the whole message
	tail   int    // bytes kept free at the end: END, overload, relay agent option
	over   [2]int // bytes used of file and sname
	closed [2]bool
	have   [4]uint64 // codes already written
}

// Reset starts a reply to req in buf[:0] with the size limit, keeping reserve bytes for what
// [Writer.Finish] appends. buf must have the capacity of the limit. Every field that RFC 2131
// section 4.3.1 copies is copied.
func (w *Writer) Reset(buf []byte, req *Msg, limit, reserve int) {
	*w = Writer{b: buf[:HeaderLen], max: limit, tail: 1 + 3 + reserve}
	clear(w.b)
	w.b[0] = OpReply
	copy(w.b[1:3], req.raw[1:3])     // htype, hlen
	copy(w.b[4:8], req.raw[4:8])     // xid
	copy(w.b[10:12], req.raw[10:12]) // flags
	copy(w.b[24:44], req.raw[24:44]) // giaddr, chaddr
	copy(w.b[offCookie:], cookie[:])
}

// SetCIAddr sets the address the client already uses. As with the other address fields, anything
// but IPv4 leaves it zero.
func (w *Writer) SetCIAddr(a netip.Addr) { w.setAddr(12, a) }

// SetYIAddr sets the address given to the client.
func (w *Writer) SetYIAddr(a netip.Addr) { w.setAddr(16, a) }

// SetSIAddr sets the address of the next server.
func (w *Writer) SetSIAddr(a netip.Addr) { w.setAddr(20, a) }

func (w *Writer) setAddr(off int, a netip.Addr) {
	if a.Is4() {
		v := a.As4()
		copy(w.b[off:], v[:])
	}
}

// SetBroadcast sets the broadcast flag.
func (w *Writer) SetBroadcast() { w.b[10] |= 0x80 }

// SetFile puts the boot file name into its header field and reports whether it fits. The field is
// then not used for options; call it before the first option that may overflow.
func (w *Writer) SetFile(name string) bool {
	if len(name) >= fileCap || name == "" {
		return false
	}
	copy(w.b[offFile:offCookie], name)
	w.closed[0] = true
	return true
}

// Has reports whether an option has been written.
func (w *Writer) Has(code uint8) bool { return w.have[code>>6]&(1<<(code&63)) != 0 }

// Option appends an option, in pieces of at most 255 bytes, and reports whether it fits; when not,
// nothing is written. An option that has already been written is left as it is.
func (w *Writer) Option(code uint8, data []byte) bool {
	if w.Has(code) {
		return true
	}
	need := len(data) + 2*max(1, (len(data)+254)/255)
	if isFirmwareText(code) {
		need++
	}
	switch {
	case len(w.b)+need+w.tail <= w.max:
		w.b = appendOption(w.b, code, data)
	case need+1 <= fileCap-w.over[0] && !w.closed[0]:
		appendOption(w.b[:offFile+w.over[0]], code, data)
		w.over[0] += need
	case need+1 <= snamCap-w.over[1] && !w.closed[1]:
		appendOption(w.b[:offSname+w.over[1]], code, data)
		w.over[1] += need
	default:
		return false
	}
	w.have[code>>6] |= 1 << (code & 63)
	return true
}

// Addr appends an option with one address.
func (w *Writer) Addr(code uint8, a netip.Addr) bool {
	v := a.As4()
	return w.Option(code, v[:])
}

// Uint32 appends an option with a 32-bit number.
func (w *Writer) Uint32(code uint8, v uint32) bool {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return w.Option(code, b[:])
}

// Byte appends an option with one byte.
func (w *Writer) Byte(code, v uint8) bool {
	b := [1]byte{v}
	return w.Option(code, b[:])
}

// isFirmwareText reports whether firmware takes the option for a C string: some ROMs read on to the
// next zero byte and ask for the name with whatever follows. A pad option behind it is that byte; a
// zero that the length counts would be part of the name for other firmware.
func isFirmwareText(code uint8) bool {
	switch code {
	case OptRootPath, OptVendorInfo, OptTFTPServer, OptBootFile, OptConfigFile, OptPathPrefix:
		return true
	}
	return false
}

// appendOption appends an option, and the pad behind a text of firmware.
func appendOption(b []byte, code uint8, data []byte) []byte {
	for {
		n := min(len(data), 255)
		b = append(append(b, code, byte(n)), data[:n]...)
		if data = data[n:]; len(data) > 0 {
			continue
		}
		if isFirmwareText(code) {
			b = append(b, 0)
		}
		return b
	}
}

// Finish appends the overload option when it is needed, the relay agent option (nil = none, always
// the last: RFC 3046 section 2.2) and END, pads to [MinSize], and returns the message.
func (w *Writer) Finish(relayAgent []byte) []byte {
	if mode := w.overload(); mode != 0 {
		w.b = append(w.b, OptOverload, 1, mode)
	}
	if relayAgent != nil {
		w.b = appendOption(w.b, OptRelayAgent, relayAgent)
	}
	w.b = append(w.b, OptEnd)
	for len(w.b) < MinSize {
		w.b = append(w.b, 0)
	}
	return w.b
}

func (w *Writer) overload() (mode byte) {
	if w.over[0] > 0 {
		w.b[offFile+w.over[0]] = OptEnd
		mode |= 1
	}
	if w.over[1] > 0 {
		w.b[offSname+w.over[1]] = OptEnd
		mode |= 2
	}
	return mode
}
