package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// NotFoundError says that an object is not there. It is fs.ErrNotExist.
type NotFoundError struct {
	Kind string // such as "subnet"
	What string // how it was asked for, such as "7" or "10.0.0.0/24"
}

// Error has the words of MAAS: its clients take what "does not exist" for deleted, and anything
// else for a failure.
func (e *NotFoundError) Error() string {
	return fmt.Sprintf("inventory: %s %s does not exist", e.Kind, e.What)
}

// Is makes errors.Is(err, fs.ErrNotExist) true.
func (e *NotFoundError) Is(target error) bool { return target == fs.ErrNotExist }

// ExistsError says that a name or link address is taken. It is fs.ErrExist.
type ExistsError struct {
	Kind string // such as "machine"
	What string // such as "name node1" or "MAC 52:54:00:00:00:01 (of node2)"
}

func (e *ExistsError) Error() string {
	return fmt.Sprintf("inventory: there is already %s with %s", oneOf(e.Kind), e.What)
}

// oneOf is a kind with its article.
func oneOf(kind string) string {
	if strings.ContainsAny(kind[:min(1, len(kind))], "aeio") { // not "u": a user
		return "an " + kind
	}
	return "a " + kind
}

// Is makes errors.Is(err, fs.ErrExist) true.
func (e *ExistsError) Is(target error) bool { return target == fs.ErrExist }

// InUseError says what is in the way of a delete.
type InUseError struct {
	Kind   string   // of what was to be deleted
	Name   string   // of what was to be deleted
	By     []string // what is in the way, such as "subnet 10.0.0.0/24"; at most a dozen
	More   int      // how many more there are
	Remedy string   // what to do; "" = remove what is in the way first
}

func (e *InUseError) Error() string {
	s := fmt.Sprintf("inventory: %s %s cannot be deleted", e.Kind, e.Name)
	if len(e.By) > 0 {
		s += ": in the way are " + strings.Join(e.By, ", ")
	}
	if e.More > 0 {
		s += fmt.Sprintf(" and %d more", e.More)
	}
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// inUse makes an InUseError, or nil if nothing is in the way.
func inUse(kind, name, remedy string, by []string) error {
	const most = 12
	if len(by) == 0 {
		return nil
	}
	e := &InUseError{Kind: kind, Name: name, By: by, Remedy: remedy}
	if len(by) > most {
		e.By, e.More = by[:most], len(by)-most
	}
	return e
}

// StaleError reports that an object changed after the caller read it. Nothing was written; read the
// object again and repeat the decision.
type StaleError struct {
	Kind       string
	Name       string
	Have, Want int64 // the version in the database, and the caller's
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("inventory: %s %s was changed by somebody else (it is at version %d, not %d); read it again", e.Kind, e.Name, e.Have, e.Want)
}

// InvalidError says that a field of an object breaks a rule.
type InvalidError struct {
	Kind, Name string
	Field      string // in the spelling of the MAAS API
	Why        string
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("inventory: %s %q: %s %s", e.Kind, e.Name, e.Field, e.Why)
}

func invalid(kind, name, field, why string) error {
	return &InvalidError{Kind: kind, Name: name, Field: field, Why: why}
}

// taken names what is taken in the place of the database's constraint.
func taken(err error, kind, what string) error {
	if errors.Is(err, fs.ErrExist) {
		return &ExistsError{Kind: kind, What: what}
	}
	return err
}

func isExist(err error) bool  { return errors.Is(err, fs.ErrExist) }
func notFound(err error) bool { return errors.Is(err, fs.ErrNotExist) }
