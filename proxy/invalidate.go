package proxy

import (
	"net/http"
	"net/url"
)

// invalidate forgets what an unsafe request changed: its URL, and those that the response names on
// the same origin (RFC 9111, 4.4).
func (c *Cache) invalidate(resp *http.Response) {
	switch resp.Request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return
	}
	if resp.StatusCode < 200 || resp.StatusCode >= 400 {
		return
	}
	target := resp.Request.URL
	c.forget(keyOf(target))
	for _, name := range []string{"Location", "Content-Location"} {
		reference, err := url.Parse(resp.Header.Get(name))
		if err != nil || *reference == (url.URL{}) {
			continue
		}
		if named := target.ResolveReference(reference); named.Scheme == target.Scheme && named.Host == target.Host {
			c.forget(keyOf(named))
		}
	}
}
