package rfc9111

import "strings"

// dictionary reports whether a field is a structured dictionary, as far as directives need it: keys
// in lower case, and values that are absent, integers, tokens or strings (RFC 8941, 3.2). Of a
// field that is none, RFC 9213 lets nothing count.
func dictionary(lines []string) bool {
	list := strings.Join(lines, ",")
	for list != "" {
		var member string
		member, list = cutMember(list)
		member, _, _ = strings.Cut(member, ";") // parameters are of no concern
		key, value, valued := strings.Cut(member, "=")
		if key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_-.*") != "" || valued && !bareItem(value) || seconds[key] && !integer(value) {
			return false
		}
	}
	return len(lines) > 0
}

// seconds are the directives whose value has to be an integer.
var seconds = map[string]bool{"max-age": true, "s-maxage": true, "stale-while-revalidate": true, "stale-if-error": true}

func integer(value string) bool {
	_, ok := deltaSeconds(value)
	return ok
}

func bareItem(value string) bool {
	return value != "" && !strings.ContainsAny(value, " \t") && strings.Count(value, `"`)%2 == 0
}
