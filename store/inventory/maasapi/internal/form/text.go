package form

import (
	"reflect"
	"strings"
	"unicode/utf8"
)

// Unfit reports whether a database could refuse a text: PostgreSQL refuses NUL and everything that
// is not UTF-8. Such a text is refused at the door with a message that names its field, instead of
// failing in the middle of a transaction.
func Unfit(text string) bool { return !utf8.ValidString(text) || strings.ContainsRune(text, 0) }

// UnfitMessage describes a text that [Unfit] reports.
const UnfitMessage = "is no text in UTF-8, or has a NUL in it"

// UnfitIn reports whether any text in a value is [Unfit]. It follows the kinds of values that JSON
// and YAML are decoded into.
func UnfitIn(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return Unfit(v.String())
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && UnfitIn(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && UnfitIn(v.Field(i)) {
				return true
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if UnfitIn(v.Index(i)) {
				return true
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if UnfitIn(key) || UnfitIn(v.MapIndex(key)) {
				return true
			}
		}
	}
	return false
}
