package rfc9111

import (
	"net/http"
	"strings"
)

// NotModified reports whether a stored 200 with these fields answers the request's If-None-Match or
// If-Modified-Since with 304. The first one rules out the second (RFC 9110, 13.2.2).
func NotModified(request, stored http.Header) bool {
	if lines := request["If-None-Match"]; len(lines) > 0 {
		return matches(strings.Join(lines, ","), stored.Get("Etag"))
	}
	since, err := http.ParseTime(request.Get("If-Modified-Since"))
	if err != nil {
		return false
	}
	changed, err := http.ParseTime(stored.Get("Last-Modified"))
	if err != nil {
		if changed, err = http.ParseTime(stored.Get("Date")); err != nil {
			return false
		}
	}
	return !changed.After(since)
}

// matches compares weakly, as If-None-Match does.
func matches(list, etag string) bool {
	for list != "" {
		var member string
		member, list = cutMember(list)
		if member == "*" || etag != "" && weak(member) == weak(etag) {
			return true
		}
	}
	return false
}

// RangeApplies reports whether the request's Range is for this stored response: If-Range is absent
// or names it strongly (RFC 9110, 13.1.5).
func RangeApplies(request, stored http.Header) bool {
	condition := request.Get("If-Range")
	switch {
	case condition == "":
		return true
	case strings.HasPrefix(condition, `"`):
		return condition == stored.Get("Etag")
	case strings.HasPrefix(condition, "W/"):
		return false
	}
	return condition == stored.Get("Last-Modified")
}
