package sitedoc

import (
	"errors"
	"reflect"
	"strings"
)

// partError is an error about a part of an object, with the path to the part within the object.
type partError struct {
	error
	path []any
}

func (e *partError) Unwrap() error { return e.error }

// below returns the path to the part that an error is about; nil = it is about the object.
func below(err error) []any {
	if part := (*partError)(nil); errors.As(err, &part) {
		return part.path
	}
	return nil
}

// located puts the key of the list in the place of the list itself in the path of an error. Steps
// know their list and not how the document calls it.
func located(err error, doc *Document) error {
	at := (*Error)(nil)
	if !errors.As(err, &at) || len(at.Path) == 0 {
		return err
	}
	for field, value := range reflect.ValueOf(doc).Elem().Fields() {
		if value.Addr().Interface() == at.Path[0] {
			at.Path[0], _, _ = strings.Cut(field.Tag.Get("yaml"), ",")
		}
	}
	return err
}
