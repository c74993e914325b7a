package proxy

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

func (r Route) check() error {
	u, err := url.Parse(r.Origin)
	// Prefix and origin are joined as text, so that both end with a slash.
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || !strings.HasSuffix(u.Path, "/") || u.RawQuery != "" {
		return fmt.Errorf("proxy: policy: route origin %q is not a URL like http://images.example/ that ends with a slash", r.Origin)
	}
	if !strings.HasPrefix(r.Prefix, "/") || !strings.HasSuffix(r.Prefix, "/") {
		return fmt.Errorf("proxy: policy: route prefix %q does not begin and end with a slash", r.Prefix)
	}
	return nil
}

// route returns the request as it goes to the origin of the longest prefix that matches, nil when
// none does.
func (p *Policy) route(r *http.Request) *http.Request {
	path := r.URL.EscapedPath()
	var best Route
	for _, candidate := range p.Routes {
		if strings.HasPrefix(path, candidate.Prefix) && len(candidate.Prefix) > len(best.Prefix) {
			best = candidate
		}
	}
	// The origin would resolve "..", and serve what is outside of the route.
	if best.Prefix == "" || climbs(r.URL.Path) {
		return nil
	}
	target, err := url.Parse(best.Origin + strings.TrimPrefix(path, best.Prefix))
	if err != nil {
		return nil
	}
	target.RawQuery = r.URL.RawQuery
	routed := r.WithContext(context.WithValue(r.Context(), routedKey{}, true))
	routed.URL, routed.Host = target, target.Host
	return routed
}

// climbs reports whether a path leaves the prefix that it begins with.
func climbs(path string) bool {
	for element := range strings.SplitSeq(path, "/") {
		if element == ".." {
			return true
		}
	}
	return false
}

// routedKey marks the context of a request whose origin the policy names.
type routedKey struct{}

func isRouted(r *http.Request) bool { return r.Context().Value(routedKey{}) != nil }
