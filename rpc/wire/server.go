package wire

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/rpc"
)

// ServerConfig holds the settings of a [Server].
type ServerConfig struct {
	// Region serves the racks. Required.
	Region *rpc.Region
	// Name is this region's name in the site, which racks learn however they reached it. Empty
	// sends no name.
	Name string
	// TLS has the region's certificate and, as ClientCAs, the site's CA. Required. Version,
	// protocols and the demand for a client's certificate are set by the server.
	TLS *tls.Config
	// Authorize returns the rack that a certificate of the CA belongs to, or the reason for
	// refusing it, which is sent to the rack. It is called twice a connection, concurrently.
	// Required.
	Authorize func(ctx context.Context, cert *x509.Certificate) (rack string, err error)
	// Enrol answers the question of a client without a certificate, see [Ask]. The error's text is
	// sent to the client. It may be called concurrently. Nil lets none in.
	Enrol func(ctx context.Context, question []byte) (answer []byte, err error)
	// MaxConns bounds the sessions of racks. Zero means 2,048. One more is closed.
	MaxConns int
	// MaxStrangers bounds the connections that have not proved to be a rack's, in all, and
	// MaxStrangersPerSource those of one address; an IPv6 /64 has half of all. At a bound, the one
	// that is silent longest is closed. Zero means 256 and 16.
	MaxStrangers, MaxStrangersPerSource int
	// Log receives sessions and refusals; of many refusals it receives some, and how many there
	// were more. Nil discards.
	Log *slog.Logger
}

// A Server is the region's end of connections. Its methods may be called concurrently.
type Server struct {
	cfg      ServerConfig
	refusals *refusals

	mu       sync.Mutex // guards the fields below
	sessions map[*session]struct{}
}

// Times after which a connection counts as dead. A rack notices first, since it has somewhere to
// go.
const (
	handshakeTime   = 10 * time.Second
	rackPingAfter   = 5 * time.Second
	regionPingAfter = 10 * time.Second
	pingTime        = 5 * time.Second
	stuckTime       = 15 * time.Second
)

// maxStreams bounds the requests of a rack in progress.
const maxStreams = 250

// NewServer checks the configuration. It starts nothing.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Region == nil || cfg.Authorize == nil || cfg.TLS == nil || cfg.TLS.ClientCAs == nil {
		return nil, errors.New("wire: a server needs Region, Authorize, and TLS with ClientCAs")
	}
	cfg.MaxConns = cmp.Or(cfg.MaxConns, 2048)
	cfg.MaxStrangers = cmp.Or(cfg.MaxStrangers, 256)
	cfg.MaxStrangersPerSource = cmp.Or(cfg.MaxStrangersPerSource, 16)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, refusals: newRefusals(cfg.Log), sessions: map[*session]struct{}{}}, nil
}

// tlsConfig demands a certificate from everyone who does not come to enrol, and gives those nothing
// else.
func (s *Server) tlsConfig() *tls.Config {
	racks := s.cfg.TLS.Clone()
	racks.MinVersion, racks.NextProtos, racks.ClientAuth = tls.VersionTLS13, []string{"h2"}, tls.RequireAndVerifyClientCert
	// a resumed session would not prove again that the rack has its key
	racks.SessionTicketsDisabled = true
	newcomers := s.cfg.TLS.Clone()
	newcomers.MinVersion, newcomers.NextProtos, newcomers.ClientAuth = tls.VersionTLS13, []string{enrolProtocol}, tls.NoClientCert
	newcomers.SessionTicketsDisabled = true
	// The application protocol decides: a client that offers enrolment is asked for no certificate,
	// and is served nothing else.
	racks.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if s.cfg.Enrol != nil && slices.Contains(hello.SupportedProtos, enrolProtocol) {
			return newcomers, nil
		}
		return nil, nil
	}
	return racks
}

// Serve takes connections until ctx ends, then ends them all and returns nil. It closes the
// listener.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	srv := &http.Server{
		Handler: s.handler(), Protocols: &protocols, ReadHeaderTimeout: handshakeTime, MaxHeaderBytes: 16 << 10,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, SendPingTimeout: regionPingAfter, PingTimeout: pingTime, WriteByteTimeout: stuckTime,
		},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){
			// net/http hands over connections of this protocol after the handshake; HTTP never sees
			// them.
			enrolProtocol: func(_ *http.Server, conn *tls.Conn, _ http.Handler) { s.enrol(ctx, conn) },
		},
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: s.connContext,
		ConnState:   s.connState,
		ErrorLog:    log.New(s.refusals, "", 0),
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	limits := bounds.Limits{Total: s.cfg.MaxStrangers, PerSource: s.cfg.MaxStrangersPerSource, Admitted: s.cfg.MaxConns, Log: s.cfg.Log}
	err := srv.Serve(tls.NewListener(bounds.Listen(ln, limits), s.tlsConfig()))
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	srv.Close()
	return err
}

type sessionKey struct{}

// CallingCertificate returns the certificate of the rack in whose session a region's method runs.
// It is nil in any other context, as in a call by a rack of the region's own process.
func CallingCertificate(ctx context.Context) *x509.Certificate {
	session, ok := ctx.Value(sessionKey{}).(*session)
	if !ok {
		return nil
	}
	return session.certificate()
}

func (s *Server) connContext(ctx context.Context, conn net.Conn) context.Context {
	session := newSession(conn)
	s.mu.Lock()
	s.sessions[session] = struct{}{}
	s.mu.Unlock()
	return context.WithValue(ctx, sessionKey{}, session)
}

func (s *Server) connState(conn net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for session := range s.sessions {
		if session.conn == conn {
			session.end()
			delete(s.sessions, session)
			if rack, _ := session.identity(); rack != "" {
				s.cfg.Log.Info("rack disconnected", "rack", rack)
			}
		}
	}
}

// maxSessions bounds the sessions of one rack. A rack has one, and a second while the first one's
// end is not noticed yet.
const maxSessions = 16

// cutOldest ends the oldest session of a rack that has too many, so that a stolen identity cannot
// take the places of all racks.
func (s *Server) cutOldest(rack string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest *session
	count := 0
	for session := range s.sessions {
		if name, _ := session.identity(); name != rack {
			continue
		}
		if count++; oldest == nil || session.began.Before(oldest.began) {
			oldest = session
		}
	}
	if count > maxSessions {
		oldest.cut()
	}
}

// Disconnect ends at once the sessions whose certificates the function says, as when they are
// revoked, whatever the racks do in them, and returns the names of these racks, one for each
// session. Calls in progress fail with [rpc.ErrUnavailable]. A certificate that Authorize refuses
// by the time of the call has no session afterwards, even if it was just coming.
//
// It asks about certificates since a name is not enough: another certificate of that name may be
// good.
func (s *Server) Disconnect(revoked func(cert *x509.Certificate) bool) (racks []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for session := range s.sessions {
		if cert := session.certificate(); cert != nil && revoked(cert) {
			session.cut()
			rack, _ := session.identity()
			racks = append(racks, rack)
		}
	}
	slices.Sort(racks)
	return racks
}
