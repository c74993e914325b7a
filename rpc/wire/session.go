package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/gomaas/maas/rpc"
)

// session is one connection of a rack, as the region sees it. It calls the rack.
type session struct {
	conn  net.Conn
	began time.Time
	bulky chan struct{} // holds one for each large request
	out   chan outgoing // what the open announcement stream is to write

	mu      sync.Mutex        // guards the fields below
	rack    string            // empty before hello
	cert    *x509.Certificate // what it showed; nil before hello
	expiry  *time.Timer
	ended   bool
	region  rpc.Conn
	lastID  uint64
	waiting map[uint64]chan answer
}

// outgoing is one message for the rack, with the arguments of a call.
type outgoing struct {
	kind byte
	call announcement
	args []byte
}

// announcement announces a call to the rack.
type announcement struct {
	ID     uint64 `json:"id"`
	Method string `json:"method,omitempty"`
	// Timeout is the caller's patience, in milliseconds; 0 = not known.
	Timeout int64 `json:"timeout,omitempty"`
	// Metadata comes along with the call, see rpc.WithMetadata.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// answer is the outcome of a call.
type answer struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  *rpc.Error      `json:"error,omitempty"`
}

func (a answer) unpack() ([]byte, error) {
	if a.Error != nil {
		return nil, a.Error
	}
	return a.Result, nil
}

func answerOf(method string, out []byte, err error) answer {
	if err != nil {
		return answer{Error: rpc.AsError(method, err)}
	}
	return answer{Result: out}
}

// cut closes the connection without a word, so that nothing can hold it up.
func (s *session) cut() {
	if c, ok := s.conn.(*tls.Conn); ok {
		c.NetConn().Close()
		return
	}
	s.conn.Close()
}

func newSession(conn net.Conn) *session {
	return &session{conn: conn, began: time.Now(), bulky: make(chan struct{}, maxBulky), out: make(chan outgoing), waiting: map[uint64]chan answer{}}
}

// identity is the rack's name and what it may do; nil before hello.
func (s *session) identity() (string, rpc.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rack, s.region
}

// certificate returns the rack's certificate; nil before hello.
func (s *session) certificate() *x509.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cert
}

// begin makes it the session of a rack until its certificate ends.
func (s *session) begin(rack string, region rpc.Conn, cert *x509.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rack, s.region, s.cert = rack, region, cert
	if s.expiry == nil && !s.ended {
		s.expiry = time.AfterFunc(time.Until(cert.NotAfter), s.cut)
	}
}

func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.expiry != nil {
		s.expiry.Stop()
	}
}

// caller calls the rack through one announcement stream, until that has gone.
type caller struct {
	*session
	gone <-chan struct{}
}

// Call announces the call and waits for its answer.
func (c caller) Call(ctx context.Context, method string, in []byte) ([]byte, error) {
	if len(in) > maxCall {
		return nil, rpc.AsError(method, fmt.Errorf("%w: arguments of %d bytes, at most %d can be sent", rpc.ErrInvalid, len(in), maxCall))
	}
	// Before the announcement, since the answer may arrive before Call goes on.
	call, answered := c.expect(method)
	defer c.forget(call.ID)
	call.Metadata = rpc.Metadata(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		call.Timeout = max(1, time.Until(deadline).Milliseconds())
	}
	select {
	case c.out <- outgoing{kindCall, call, in}:
	case <-ctx.Done():
		return nil, rpc.AsError(method, ctx.Err())
	case <-c.gone:
		return nil, c.lost(method)
	}
	select {
	case a := <-answered:
		return a.unpack()
	case <-c.gone:
		return nil, c.lost(method)
	case <-ctx.Done():
		select { // best effort: the rack has the deadline, too
		case c.out <- outgoing{kind: kindCancel, call: announcement{ID: call.ID}}:
		case <-c.gone:
		case <-time.After(time.Second):
		}
		return nil, rpc.AsError(method, ctx.Err())
	}
}

func (c caller) lost(method string) error {
	return rpc.AsError(method, fmt.Errorf("the connection of the rack ended: %w", rpc.ErrUnavailable))
}

func (s *session) expect(method string) (announcement, <-chan answer) {
	answered := make(chan answer, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	s.waiting[s.lastID] = answered
	return announcement{ID: s.lastID, Method: method}, answered
}

func (s *session) forget(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, id)
}

// expects reports whether a call waits for an answer.
func (s *session) expects(id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting[id] != nil
}

// resolve hands an answer to its caller, if that still waits. A second answer is discarded.
func (s *session) resolve(id uint64, a answer) {
	s.mu.Lock()
	answered := s.waiting[id]
	delete(s.waiting, id)
	s.mu.Unlock()
	if answered != nil {
		answered <- a
	}
}
