package power

import (
	"context"
	"errors"
	"fmt"
)

// Class says what kind of failure an error is, and so whether trying again can help.
type Class string

// The classes of failure.
const (
	// Auth: the BMC refused the user or password. Trying again locks accounts.
	Auth Class = "auth"
	// Connection: the BMC could not be reached, or stopped answering. Trying again may help.
	Connection Class = "connection"
	// Unsupported: this BMC, or this kind of power control, cannot do that.
	Unsupported Class = "unsupported"
	// Settings: the parameters are missing, malformed or name something that is not there.
	Settings Class = "settings"
	// ActionFailed: the BMC was reached and refused, or accepted and did not do it. Trying again
	// may help.
	ActionFailed Class = "action"
)

// An Error is a failure of power control. It never holds a password.
type Error struct {
	Class Class
	// Op names the operation that failed, for example "set power on".
	Op string
	// Err is the cause.
	Err error
}

// Error is "power: OP: cause".
func (e *Error) Error() string { return fmt.Sprintf("power: %s: %v", e.Op, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Temporary reports whether the same request may succeed later without a change of settings.
func (e *Error) Temporary() bool { return e.Class == Connection || e.Class == ActionFailed }

// Errorf makes an error of a class; format works as in fmt.Errorf.
func Errorf(class Class, op, format string, args ...any) *Error {
	return &Error{Class: class, Op: op, Err: fmt.Errorf(format, args...)}
}

// ClassOf returns the class of the [*Error] in an error's chain, Connection for an ended context,
// and ActionFailed for all others. It is empty for nil.
func ClassOf(err error) Class {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Class
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return Connection
	}
	return ActionFailed
}
