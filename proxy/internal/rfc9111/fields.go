package rfc9111

import (
	"net/http"
	"net/textproto"
	"strings"
)

// hopByHop are the fields that concern one connection only (RFC 9110, 7.6.1), beside those that
// Connection names.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// RemoveHopByHop removes from h what must not be forwarded or stored.
func RemoveHopByHop(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.TrimString(name); name != "" {
				h.Del(name)
			}
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// Conditional are the fields that make a request conditional or partial; a cache that wants a whole
// response drops them.
var Conditional = []string{"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range"}

// AddValidators makes a request ask whether the stored response is still good (4.3.1). It reports
// whether it can.
func AddValidators(request, stored http.Header) bool {
	for _, name := range Conditional {
		delete(request, name)
	}
	etag, modified := stored.Get("Etag"), stored.Get("Last-Modified")
	if etag != "" {
		request["If-None-Match"] = []string{etag}
	}
	if modified != "" {
		request["If-Modified-Since"] = []string{modified}
	}
	return etag != "" || modified != ""
}

// kept are fields of a stored response that a 304 does not change, since they describe the stored
// body (3.2).
var kept = map[string]bool{
	"Content-Length": true, "Content-Encoding": true, "Content-Type": true, "Content-Range": true, "Content-Md5": true, "Etag": true,
}

// Update returns the stored fields, replaced by the fields of a 304 (3.2, 4.3.4).
func Update(stored, notModified http.Header) http.Header {
	updated := stored.Clone()
	fresh := notModified.Clone()
	RemoveHopByHop(fresh)
	delete(updated, "Age") // what the origin now says, or nothing
	for name, lines := range fresh {
		if !kept[name] {
			updated[name] = lines
		}
	}
	return updated
}

// Answers reports whether a 304 speaks of the stored response: an entity tag in it must be the
// stored one (4.3.4).
func Answers(stored, notModified http.Header) bool {
	etag := notModified.Get("Etag")
	return etag == "" || weak(etag) == weak(stored.Get("Etag"))
}

func weak(etag string) string { return strings.TrimPrefix(etag, "W/") }
