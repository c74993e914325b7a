package tftp

import (
	"errors"
	"fmt"
	"io/fs"
)

// Code is the code of an ERROR packet (RFC 1350 section 5, RFC 2347).
type Code uint16

// The codes of RFC 1350 and RFC 2347.
const (
	CodeUndefined     Code = 0 // see the message
	CodeNotFound      Code = 1 // file not found
	CodeAccess        Code = 2 // access violation
	CodeDiskFull      Code = 3 // disk full
	CodeIllegal       Code = 4 // illegal operation
	CodeUnknownTID    Code = 5 // unknown transfer ID
	CodeExists        Code = 6 // file already exists
	CodeNoSuchUser    Code = 7 // no such user
	CodeOptionRefused Code = 8 // option negotiation refused; firmware also sends it to end a size probe
)

// Error is an ERROR packet, received or to be sent. A handler may return one to choose code and
// message. errors.Is finds fs.ErrNotExist in CodeNotFound, fs.ErrPermission in CodeAccess and
// fs.ErrExist in CodeExists.
type Error struct {
	Code    Code
	Message string // printable text, at most 200 bytes are sent
	Remote  bool   // the peer sent it
}

// Error returns the message and the code.
func (e *Error) Error() string {
	side := "tftp: "
	if e.Remote {
		side = "tftp: peer: "
	}
	return fmt.Sprintf("%s%s (code %d)", side, e.Message, e.Code)
}

// Is makes the standard absence and permission errors findable by errors.Is.
func (e *Error) Is(target error) bool {
	switch target {
	case fs.ErrNotExist:
		return e.Code == CodeNotFound
	case fs.ErrPermission:
		return e.Code == CodeAccess
	case fs.ErrExist:
		return e.Code == CodeExists
	}
	return false
}

// Errors that end a transfer without an ERROR packet of the peer.
var (
	// ErrTimeout says that the peer fell silent for longer than Config.Silence.
	ErrTimeout = errors.New("tftp: peer stopped answering")
	// ErrAborted says that the client gave up with ERROR 8 before the first block: a probe for the
	// size, which UEFI sends before each real read.
	ErrAborted = errors.New("tftp: client only asked for the size")
	// ErrBusy says that a request was left unanswered because of Config.MaxTransfers or
	// MaxPerClient. The client asks again.
	ErrBusy = errors.New("tftp: too many transfers")
	// errAgain leaves a stranger's request unanswered until it is repeated; see strangers.
	errAgain = fmt.Errorf("request to be repeated: %w", ErrBusy)
)

// wireError turns what a handler returned into the packet for the client. The text never shows
// paths or causes of this machine.
func wireError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, fs.ErrNotExist):
		return &Error{Code: CodeNotFound, Message: "file not found"}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrInvalid):
		return &Error{Code: CodeAccess, Message: "access violation"}
	}
	return &Error{Code: CodeUndefined, Message: "cannot read the file"}
}
