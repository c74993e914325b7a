package rfc9111

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// settled is the least time between the last change and the response for the change to be a strong
// validator (RFC 9110, 8.8.2.2): within one second a file can change twice.
const settled = time.Minute

// StrongValidator returns what If-Range can name: a strong entity tag, or a time of the last change
// that is strong. Empty means that parts of the response cannot be put together.
func StrongValidator(h http.Header) string {
	if etag := h.Get("Etag"); etag != "" {
		if strings.HasPrefix(etag, `"`) {
			return etag
		}
		return ""
	}
	modified := h.Get("Last-Modified")
	changed, err1 := http.ParseTime(modified)
	date, err2 := http.ParseTime(h.Get("Date"))
	if err1 != nil || err2 != nil || date.Sub(changed) < settled {
		return ""
	}
	return modified
}

// SameStrongly reports whether two responses have the same strong validator, so that their parts
// belong together (3.4).
func SameStrongly(a, b http.Header) bool {
	v := StrongValidator(a)
	if v == "" {
		return false
	}
	if a.Get("Etag") != "" {
		return b.Get("Etag") == v
	}
	return b.Get("Etag") == "" && b.Get("Last-Modified") == v
}

// ContentRange reads the field of a response with one part (RFC 9110, 14.4): first and last byte
// and the whole size, which has to be known.
func ContentRange(field string) (first, last, total int64, ok bool) {
	rest, ok1 := strings.CutPrefix(field, "bytes ")
	positions, size, ok2 := strings.Cut(rest, "/")
	a, b, ok3 := strings.Cut(positions, "-")
	if !ok1 || !ok2 || !ok3 {
		return 0, 0, 0, false
	}
	var err [3]error
	first, err[0] = digits(a)
	last, err[1] = digits(b)
	total, err[2] = digits(size)
	ok = err == [3]error{} && first <= last && last < total
	return first, last, total, ok
}

func digits(text string) (int64, error) {
	if len(text) == 0 || len(text) > 18 || strings.Trim(text, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(text, 10, 64)
}
