package maasapi

import (
	"net/http"
	"time"
)

// observed calls Config.Observe and Config.Begin for each request to an endpoint.
func (a *API) observed(x route, h http.Handler) http.Handler {
	if a.observe == nil && a.begin == nil {
		return h
	}
	pattern := a.pattern(x)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, s := time.Now(), &statusWriter{ResponseWriter: w, code: http.StatusOK}
		if a.observe != nil {
			defer func() { a.observe(pattern, s.code, time.Since(start)) }()
		}
		if a.begin != nil {
			user := ""
			if !x.public {
				user = userOf(r)
			}
			ctx, end := a.begin(r, pattern, user)
			defer func() { end(s.code) }()
			r = r.WithContext(ctx)
		}
		h.ServeHTTP(s, r)
	})
}

// statusWriter remembers the status of a response.
type statusWriter struct {
	http.ResponseWriter
	code int
}

// WriteHeader remembers the status.
func (s *statusWriter) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController reach the connection.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
