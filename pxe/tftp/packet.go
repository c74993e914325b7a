package tftp

import (
	"encoding/binary"
	"errors"
)

// Operation codes, RFC 1350 section 5 and RFC 2347.
const (
	opRRQ   = 1
	opWRQ   = 2
	opDATA  = 3
	opACK   = 4
	opERROR = 5
	opOACK  = 6
)

const (
	headerSize       = 4     // op code and block number of DATA
	defaultBlockSize = 512   // RFC 1350
	minBlockSize     = 8     // RFC 2348
	maxBlockSize     = 65464 // RFC 2348
	maxWindowSize    = 65535 // RFC 7440
	maxRequest       = 2048  // RFC 2347 says 512; some firmware sends more
)

var errShort = errors.New("tftp: packet too short")

// opcode returns the operation of a packet, 0 when it holds none.
func opcode(p []byte) int {
	if len(p) < 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16(p))
}

// blockNumber returns the block of a DATA or ACK packet.
func blockNumber(p []byte) (uint16, error) {
	if len(p) < headerSize {
		return 0, errShort
	}
	return binary.BigEndian.Uint16(p[2:]), nil
}

func appendHeader(b []byte, op int, block uint16) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(op))
	return binary.BigEndian.AppendUint16(b, block)
}

func appendError(b []byte, e *Error) []byte {
	b = appendHeader(b, opERROR, uint16(e.Code))
	b = append(b, clean(e.Message)...)
	return append(b, 0)
}

func parseError(p []byte) *Error {
	if len(p) < headerSize {
		return &Error{Message: "malformed error packet"}
	}
	text, _, _ := cutString(p[headerSize:])
	return &Error{Code: Code(binary.BigEndian.Uint16(p[2:])), Message: clean(text), Remote: true}
}

// cutString takes a NUL-terminated string off b. A missing terminator is tolerated for the last
// string, as some firmware leaves it out.
func cutString(b []byte) (s string, rest []byte, terminated bool) {
	for i, c := range b {
		if c == 0 {
			return string(b[:i]), b[i+1:], true
		}
	}
	return string(b), nil, false
}

// clean makes text from the network printable and bounded, for messages.
func clean(s string) string {
	const limit = 200
	out := make([]byte, 0, min(len(s), limit))
	for i := 0; i < len(s) && len(out) < limit; i++ {
		if c := s[i]; c >= 0x20 && c < 0x7f {
			out = append(out, c)
		} else {
			out = append(out, '?')
		}
	}
	return string(out)
}
