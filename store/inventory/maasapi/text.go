package maasapi

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"unicode/utf8"
)

// unfit reports whether a text is none that every database keeps: PostgreSQL refuses NUL, and what is not UTF-8.
func unfit(text string) bool { return !utf8.ValidString(text) || strings.ContainsRune(text, 0) }

// unfitMessage is why a text is refused.
const unfitMessage = "is no text in UTF-8, or has a NUL in it"

// textual refuses requests whose path or query is no text, or whose query cannot be read, of which pairs would be overlooked.
func textual(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			fields(w, "", "the query of the request cannot be read: "+err.Error())
			return
		}
		if unfit(r.URL.Path) || unfitIn(reflect.ValueOf(query)) || unfit(r.Header.Get(keyHeader)) {
			fields(w, "", "the address of the request, or its "+keyHeader+", "+unfitMessage)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// unfitIn is unfit for any text in a value of the kinds that JSON is decoded into.
func unfitIn(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return unfit(v.String())
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && unfitIn(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && unfitIn(v.Field(i)) {
				return true
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if unfitIn(v.Index(i)) {
				return true
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if unfitIn(key) || unfitIn(v.MapIndex(key)) {
				return true
			}
		}
	}
	return false
}
