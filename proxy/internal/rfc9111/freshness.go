package rfc9111

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// A Response holds the parts of a stored response that the rules read.
type Response struct {
	Status int
	Header http.Header
	// Requested and Received are the times, by this clock, at which the request was sent and the
	// header of the response had arrived.
	Requested, Received time.Time
	// Targeted is for responses of origins that this cache serves for: CDN-Cache-Control replaces
	// Cache-Control and Expires (RFC 9213).
	Targeted bool
}

// directives are those that count for this cache.
func (r Response) directives() (cc Directives, targeted bool) {
	if lines := r.Header["Cdn-Cache-Control"]; r.Targeted && dictionary(lines) {
		return parse(lines), true
	}
	return ParseDirectives(r.Header), false
}

// Freshness holds the fields of a response that govern its reuse. It is computed once for each
// stored response.
type Freshness struct {
	received     time.Time
	initialAge   time.Duration
	lifetime     time.Duration
	explicit     bool          // the lifetime is the origin's own
	suggested    bool          // the lifetime is an operator's, for responses without one
	settled      bool          // an operator knows that it does not change
	noCache      bool          // never without validation
	strict       bool          // never stale, not even when the origin is away
	whileRefresh time.Duration // RFC 5861 stale-while-revalidate
	ifError      time.Duration // RFC 5861 stale-if-error
}

// The share of the time since the last change that a response without explicit lifetime is taken as
// fresh, and its bound.
const (
	heuristicShare = 10
	heuristicMost  = 24 * time.Hour
)

// FreshnessOf reads the fields of a response. A shared cache prefers s-maxage to max-age, and both
// to Expires (4.2.1).
func FreshnessOf(r Response) Freshness {
	cc, targeted := r.directives()
	f := Freshness{received: r.Received, initialAge: initialAge(r)}
	_, shared := cc["s-maxage"]
	f.noCache = cc.Has("no-cache")
	f.strict = cc.Has("must-revalidate") || cc.Has("proxy-revalidate") || shared
	f.whileRefresh, _ = cc.Seconds("stale-while-revalidate")
	f.ifError, _ = cc.Seconds("stale-if-error")
	lifetime, explicit := explicitLifetime(cc, targeted, r)
	f.explicit = explicit
	if f.lifetime = lifetime; !explicit && (heuristicStatus(r.Status) || cc.Has("public")) {
		f.lifetime = heuristicLifetime(r)
	}
	return f
}

func explicitLifetime(cc Directives, targeted bool, r Response) (time.Duration, bool) {
	if v, ok := cc.Seconds("s-maxage"); ok {
		return v, true
	}
	if v, ok := cc.Seconds("max-age"); ok {
		return v, true
	}
	expires, ok := r.Header["Expires"]
	if !ok || targeted {
		return 0, false
	}
	at, valid := parseDate(expires[0])
	if !valid || len(expires) > 1 {
		return 0, true // 5.3: an invalid date, "0" above all, means already expired
	}
	return max(0, at.Sub(dateOf(r))), true
}

func heuristicLifetime(r Response) time.Duration {
	modified, err := http.ParseTime(r.Header.Get("Last-Modified"))
	if err != nil {
		return 0
	}
	return min(max(0, dateOf(r).Sub(modified)/heuristicShare), heuristicMost)
}

// dateOf is the Date field, or when the response came (RFC 9110, 6.6.1).
func dateOf(r Response) time.Time {
	if date, err := http.ParseTime(r.Header.Get("Date")); err == nil {
		return date
	}
	return r.Received
}

// initialAge is corrected_initial_age of 4.2.3.
func initialAge(r Response) time.Duration {
	apparent := max(0, r.Received.Sub(dateOf(r)))
	first, _, _ := strings.Cut(r.Header.Get("Age"), ",")
	age, _ := deltaSeconds(strings.TrimSpace(first))
	return max(apparent, age+r.Received.Sub(r.Requested))
}

// Age is the current age at now (4.2.3).
func (f Freshness) Age(now time.Time) time.Duration {
	return f.initialAge + max(0, now.Sub(f.received))
}

// heuristicStatus are the statuses that are cacheable without explicit freshness (RFC 9110, 15.1)
// and complete.
func heuristicStatus(status int) bool {
	return slices.Contains([]int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}, status)
}

// Suggest returns the freshness with a lifetime that an operator's rule gives instead of a guess,
// counted from when the response came or was last validated. What the origin says explicitly
// counts, and clients may ask for validation.
func (f Freshness) Suggest(lifetime time.Duration) Freshness {
	if !f.explicit {
		f.lifetime, f.initialAge, f.suggested = lifetime, 0, true
	}
	return f
}

// arriving is the least time for which a response with a suggested lifetime is reused while its
// body is on its way.
const arriving = time.Minute

// Arriving returns the freshness of a response whose body still arrives. Many machines want a new
// package at once; those that ask while the first gets it would else each fetch it.
func (f Freshness) Arriving() Freshness {
	if f.suggested {
		f.lifetime = max(f.lifetime, arriving)
	}
	return f
}

// Override returns the freshness with a lifetime that an operator's rule gives, counted from when
// the response came or was last validated. Zero means that each use needs validation; the origin
// may still be away. While any other lifetime lasts, no request can ask for validation: apt does so
// for each index, under a name that holds its hash as well.
func (f Freshness) Override(lifetime time.Duration) Freshness {
	f.lifetime, f.noCache, f.strict, f.initialAge = lifetime, false, false, 0
	f.settled = lifetime > 0
	if lifetime == 0 {
		f.whileRefresh = 0
	}
	return f
}

// Useful reports whether a stored response can ever spare something: it is fresh for a while, or
// can be validated.
func (f Freshness) Useful(h http.Header) bool {
	return !f.noCache && f.lifetime > f.initialAge || h.Get("Etag") != "" || h.Get("Last-Modified") != ""
}
