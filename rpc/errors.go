package rpc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// ErrUnavailable is returned by a call when the other side cannot be reached now. Trying again
// later may help.
var ErrUnavailable = errors.New("unavailable")

// ErrUnknownMethod is returned by a call when the other side does not offer the method.
var ErrUnknownMethod = errors.New("unknown method")

// ErrInvalid is returned by a call when the other side refuses the arguments.
var ErrInvalid = errors.New("invalid argument")

// ErrRevoked is returned when a region has shut this rack out for good: its certificate was
// revoked. It is also fs.ErrPermission.
var ErrRevoked = fmt.Errorf("revoked: %w", fs.ErrPermission)

// codes maps the causes that survive a call to the names that travel. The first match wins.
var codes = []struct {
	name  string
	cause error
}{
	{"revoked", ErrRevoked},
	{"not-found", fs.ErrNotExist},
	{"exists", fs.ErrExist},
	{"permission", fs.ErrPermission},
	{"deadline", context.DeadlineExceeded},
	{"canceled", context.Canceled},
	{"unavailable", ErrUnavailable},
	{"unknown-method", ErrUnknownMethod},
	{"invalid", ErrInvalid},
}

// An Error is a failure reported by the other side of a call. errors.Is finds the cause by its
// code: fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, context.DeadlineExceeded, context.Canceled
// and this package's sentinels.
type Error struct {
	// Method is the name of the called method.
	Method string `json:"method,omitempty"`
	// Code names the cause, empty for one that has no code.
	Code string `json:"code,omitempty"`
	// Message is the text of the error on the other side.
	Message string `json:"message"`
}

// Error returns the method, if there is one, and the message.
func (e *Error) Error() string {
	if e.Method == "" {
		return "rpc: " + e.Message
	}
	return fmt.Sprintf("rpc: %s: %s", e.Method, e.Message)
}

// Is reports whether target is the sentinel of the error's code.
func (e *Error) Is(target error) bool {
	for _, c := range codes {
		if c.name == e.Code {
			return errors.Is(c.cause, target)
		}
	}
	return false
}

// AsError makes an error ready to travel: it keeps the cause as a code and the text. One that is an
// [*Error] stays as it is.
func AsError(method string, err error) *Error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	return encodeError(method, err)
}

func encodeError(method string, err error) *Error {
	e := &Error{Method: method, Message: err.Error()}
	for _, c := range codes {
		if errors.Is(err, c.cause) {
			e.Code = c.name
			break
		}
	}
	return e
}
