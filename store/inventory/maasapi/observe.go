package maasapi

import (
	"net/http"
	"time"
)

// observed tells Config.Observe of each request to an endpoint.
func (a *API) observed(pattern string, h http.Handler) http.Handler {
	if a.observe == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, s := time.Now(), &statusWriter{ResponseWriter: w, code: http.StatusOK}
		defer func() { a.observe(pattern, s.code, time.Since(start)) }()
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
