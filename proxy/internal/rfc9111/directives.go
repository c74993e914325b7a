package rfc9111

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Directives are the members of a Cache-Control field, by lower-case name. Of a repeated one the
// first counts (4.2.1).
type Directives map[string]string

// ParseDirectives reads the Cache-Control field. What it cannot read it skips, as 5.2 asks of
// unknown directives.
func ParseDirectives(h http.Header) Directives { return parse(h["Cache-Control"]) }

func parse(lines []string) Directives {
	if len(lines) == 0 {
		return nil
	}
	d := make(Directives, 4)
	for _, line := range lines {
		for line != "" {
			var member string
			member, line = cutMember(line)
			name, value, _ := strings.Cut(member, "=")
			name = strings.ToLower(strings.TrimRight(name, " \t"))
			if _, seen := d[name]; name != "" && !seen {
				d[name] = unquote(value)
			}
		}
	}
	return d
}

// cutMember splits a list at its first comma that is not inside a quoted string.
func cutMember(list string) (member, rest string) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch {
		case quoted && list[i] == '\\':
			i++
		case list[i] == '"':
			quoted = !quoted
		case list[i] == ',' && !quoted:
			return strings.Trim(list[:i], " \t"), list[i+1:]
		}
	}
	return strings.Trim(list, " \t"), ""
}

func unquote(value string) string {
	if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
		return value
	}
	return value[1 : len(value)-1]
}

// Has reports whether the directive is present, with or without a value.
func (d Directives) Has(name string) bool {
	_, ok := d[name]
	return ok
}

// Seconds is the directive's delta-seconds. One that cannot be read counts as 0, which makes
// responses stale (4.2.1).
func (d Directives) Seconds(name string) (v time.Duration, ok bool) {
	text, ok := d[name]
	if !ok {
		return 0, false
	}
	v, _ = deltaSeconds(text)
	return v, true
}

// maxDelta replaces all larger numbers, as 1.2.2 recommends.
const maxDelta = (1 << 31) * time.Second

func deltaSeconds(text string) (time.Duration, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return maxDelta, true // only its size is left to be wrong
	}
	return time.Duration(n) * time.Second, true
}
