package rfc9111

import (
	"net/http"
	"time"
)

// A Verdict says how a stored response may answer a request.
type Verdict int

// The verdicts, from the best.
const (
	Fresh    Verdict = iota // as it is
	Refresh                 // as it is, and it is to be validated meanwhile
	Validate                // only after the origin has said that it is still good
)

// Reuse judges a stored response for a request with these directives (4.2, 5.2.1).
func (f Freshness) Reuse(request Directives, now time.Time) Verdict {
	if f.settled && f.Age(now) < f.lifetime {
		return Fresh
	}
	if f.noCache || request.Has("no-cache") {
		return Validate
	}
	age, lifetime := f.Age(now), f.lifetime
	if most, ok := request.Seconds("max-age"); ok {
		if age >= most {
			return Validate
		}
	}
	if least, ok := request.Seconds("min-fresh"); ok {
		lifetime -= least
	}
	if age < lifetime {
		return Fresh
	}
	if f.strict {
		return Validate
	}
	if text, ok := request["max-stale"]; ok {
		if most, valid := deltaSeconds(text); text == "" || valid && age-lifetime <= most {
			return Fresh
		}
	}
	if age-lifetime < f.whileRefresh {
		return Refresh
	}
	return Validate
}

// DespiteError reports whether the response may be used stale since the origin failed: unreachable,
// or answering with a server error. Without stale-if-error only an unreachable origin excuses
// (4.2.4), and strict responses are never excused.
func (f Freshness) DespiteError(request Directives, unreachable bool, now time.Time) bool {
	if f.noCache || f.strict || request.Has("no-cache") {
		return false
	}
	if unreachable && f.ifError == 0 {
		return true
	}
	return f.Age(now)-f.lifetime < f.ifError
}

// RequestDirectives returns the directives of a request. Without the field, Pragma: no-cache counts
// as one (5.4).
func RequestDirectives(h http.Header) Directives {
	d := ParseDirectives(h)
	if d == nil && h.Get("Pragma") == "no-cache" {
		return Directives{"no-cache": ""}
	}
	return d
}
