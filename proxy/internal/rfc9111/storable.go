package rfc9111

import (
	"net/http"
	"slices"
	"strings"
)

// Storable reports whether a shared cache may keep the response to a GET with this header (3).
// Partial and conditional responses are not kept.
func Storable(request http.Header, r Response) bool {
	cc, _ := r.directives()
	switch {
	case r.Status < 200 || r.Status == http.StatusPartialContent || r.Status == http.StatusNotModified:
		return false
	case cc.Has("must-understand"): // 5.2.2.3: replaces no-store for those who know the status
		if !understood(r.Status) {
			return false
		}
	case cc.Has("no-store"):
		return false
	}
	if cc.Has("private") || ParseDirectives(request).Has("no-store") || variesOnEverything(r.Header) {
		return false
	}
	if request.Get("Authorization") != "" && !cc.Has("public") && !cc.Has("s-maxage") && !cc.Has("must-revalidate") {
		return false // 3.5
	}
	return heuristicStatus(r.Status) || cc.Has("public") || cc.Has("max-age") || cc.Has("s-maxage") || r.Header.Get("Expires") != ""
}

// understood are the statuses whose caching rules this package implements.
func understood(status int) bool {
	return heuristicStatus(status) || slices.Contains([]int{302, 303, 307}, status)
}

func variesOnEverything(h http.Header) bool { return slices.Contains(VaryNames(h), "*") }

// VaryNames are the canonical names of the request fields that selected a response, sorted, each
// once (4.1).
func VaryNames(h http.Header) []string {
	var names []string
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name != "" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// VaryValue is a request field in the form in which two requests are compared: lines joined, white
// space around commas gone.
func VaryValue(request http.Header, name string) string {
	lines := request[name]
	if len(lines) == 0 {
		return ""
	}
	parts := strings.Split(strings.Join(lines, ","), ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return strings.Join(parts, ",")
}
