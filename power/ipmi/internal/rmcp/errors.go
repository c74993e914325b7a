package rmcp

import (
	"errors"
	"fmt"
)

// Status is an answer of the handshake that is not a success (IPMI 2.0 table 13-15).
type Status byte

var statusText = map[Status]string{
	0x01: "the BMC has no session left", 0x02: "invalid session ID", 0x03: "invalid payload type", 0x04: "invalid authentication algorithm",
	0x05: "invalid integrity algorithm", 0x06: "no matching authentication payload", 0x07: "no matching integrity payload", 0x08: "inactive session ID",
	0x09: "invalid role", 0x0a: "the user may not have this privilege level", 0x0b: "the BMC has no session left at this privilege level",
	0x0c: "invalid length of the user's name", 0x0d: "unknown user", 0x0e: "unauthorized GUID", 0x0f: "invalid integrity check value",
	0x10: "invalid confidentiality algorithm", 0x11: "no cipher suite matches", 0x12: "illegal parameter",
}

func (s Status) Error() string {
	if text, ok := statusText[s]; ok {
		return text
	}
	return fmt.Sprintf("handshake status %#02x", byte(s))
}

// Suite reports whether the BMC may accept another cipher suite.
func (s Status) Suite() bool {
	return s >= 0x04 && s <= 0x07 || s == 0x10 || s == 0x11
}

// Busy reports whether the BMC has no session left.
func (s Status) Busy() bool { return s == 0x01 || s == 0x0b }

// Completion is the completion code of a command that failed (IPMI 2.0 table 5-2).
type Completion byte

var completionText = map[Completion]string{
	0x80: "parameter not supported", 0xc0: "the BMC is busy", 0xc1: "unknown command", 0xc3: "timeout inside the BMC", 0xc7: "wrong length of data",
	0xc9: "parameter out of range", 0xcc: "invalid field", 0xd4: "the user's privilege level is too low", 0xd5: "not possible in the present state",
}

func (c Completion) Error() string {
	if text, ok := completionText[c]; ok {
		return fmt.Sprintf("%s (completion code %#02x)", text, byte(c))
	}
	return fmt.Sprintf("completion code %#02x", byte(c))
}

// Errors of the handshake and of a session.
var (
	ErrConfig   = errors.New("settings of the session")
	ErrPassword = errors.New("the BMC's proof does not fit the password")
	ErrKey      = errors.New("the BMC's proof does not fit the BMC key (K_g)")
	ErrSilent   = errors.New("no answer")
	errForeign  = errors.New("not an answer of this session")
)
