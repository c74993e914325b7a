package bmcserve

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/power"
)

// Limits of a listener for HTTP.
const (
	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
	maxHeader  = 16 << 10
	maxBody    = 64 << 10
)

// Serve answers Redfish and webhooks on a listener until ctx ends, with TLS unless config is nil.
// It returns nil when ctx ended.
func (s *Server) Serve(ctx context.Context, ln net.Listener, config *tls.Config) error {
	ln = bounds.Listen(ln, bounds.Limits{Log: s.cfg.Log})
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	srv := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headerTime, ReadTimeout: time.Minute, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	err := srv.Serve(ln)
	if ctx.Err() != nil && errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Handler returns the handler of Redfish and webhooks, for servers of the caller's.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	s.handleRedfish(mux)
	s.handleWebhooks(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.gate.requests.Take(source(r.RemoteAddr)) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests", http.StatusTooManyRequests)
			return
		}
		// Redfish clients write paths with and without a slash at the end, and ServeMux would
		// redirect one to the other.
		for len(r.URL.Path) > 1 && r.URL.Path[len(r.URL.Path)-1] == '/' {
			r.URL.Path = r.URL.Path[:len(r.URL.Path)-1]
		}
		mux.ServeHTTP(w, r)
	})
}

// basic authenticates a request by user and password. Its answer is written if it fails.
func (s *Server) basic(w http.ResponseWriter, r *http.Request, protocol string, fail func(code int, text string)) (client, bool) {
	user, password, given := r.BasicAuth()
	if !given {
		w.Header().Set("WWW-Authenticate", `Basic realm="maas"`)
		fail(http.StatusUnauthorized, "the request has no credentials")
		return client{}, false
	}
	c, ok := s.proved(w, r.RemoteAddr, user, password, protocol, fail)
	return c, ok
}

// proved logs in and writes the answer if that fails.
func (s *Server) proved(w http.ResponseWriter, from, user, password, protocol string, fail func(code int, text string)) (client, bool) {
	c, ok, limited := s.login(source(from), user, password)
	c.protocol, c.source = protocol, hostOf(from)
	switch {
	case limited:
		w.Header().Set("Retry-After", "10")
		fail(http.StatusTooManyRequests, "too many wrong passwords; wait")
		s.audit(Entry{Protocol: protocol, Source: c.source, Action: "log in", Err: errors.New("too many guesses")})
	case !ok:
		w.Header().Set("WWW-Authenticate", `Basic realm="maas"`)
		fail(http.StatusUnauthorized, "the user or password is wrong")
		s.audit(Entry{Protocol: protocol, Source: c.source, Action: "log in", Err: errors.New("the user or password is wrong")})
	}
	return c, ok
}

// hostOf is the address of a client without its port.
func hostOf(address string) string {
	if at, err := netip.ParseAddrPort(address); err == nil {
		return at.Addr().Unmap().String()
	}
	return address
}

// statusOf is the status of HTTP for an error.
func statusOf(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, errBusy):
		return http.StatusConflict
	}
	switch power.ClassOf(err) {
	case power.Unsupported:
		return http.StatusNotImplemented
	case power.Settings:
		return http.StatusInternalServerError // the server's settings, not the client's
	case power.Connection:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client has gone
}

// readJSON reads the body of a request.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	return json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(into)
}
