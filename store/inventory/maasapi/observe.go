package maasapi

import (
	"net/http"
	"time"
)

// observed tells Config.Observe and Config.Begin of each request to an endpoint.
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

// statusWriter notes the status.
type statusWriter struct {
	http.ResponseWriter
	code int
}

// WriteHeader notes the first status.
func (s *statusWriter) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
