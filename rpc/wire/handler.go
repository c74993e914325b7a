package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/rpc"
)

// Paths of the requests. The number changes when an older peer could misread what a newer one says.
const (
	pathHello  = "/rpc/1/hello"
	pathNext   = "/rpc/1/next"
	pathFacts  = "/rpc/1/facts"
	pathCall   = "/rpc/1/call/"
	pathAccept = "/rpc/1/accept"
	pathAnswer = "/rpc/1/answer/"
)

const (
	// timeoutHeader says how long the caller waits, in milliseconds.
	timeoutHeader = "Rpc-Timeout"
	// metadataHeader holds the metadata of a call, encoded as the query of a URL.
	metadataHeader = "Rpc-Metadata"
	// maxFacts bounds a batch of facts, in bytes. One fact alone may not be larger.
	maxFacts = 16 << 20
)

// helloAnswer says who the region is.
type helloAnswer struct {
	Region string `json:"region,omitempty"`
}

// nextRequest asks for state.
type nextRequest struct {
	Topic string       `json:"topic"`
	From  rpc.Position `json:"from"`
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+pathHello, s.hello)
	for path, serve := range map[string]func(http.ResponseWriter, *http.Request, *session, rpc.Conn){
		pathNext: s.next, pathFacts: s.facts, pathCall + "{method}": s.call, pathAccept: s.accept, pathAnswer + "{id}": s.answer,
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			session := r.Context().Value(sessionKey{}).(*session)
			_, conn := session.identity()
			if conn == nil {
				http.Error(w, "hello comes first", http.StatusForbidden)
				return
			}
			body := &bulkBody{ReadCloser: r.Body, ctx: r.Context(), places: session.bulky}
			defer body.release()
			// An answer belongs to a call of the region, of which it makes no more than it can
			// take. Waiting for a place, it might wait for the request that made the call.
			if path != pathAnswer+"{id}" {
				r.Body = body
			}
			serve(w, r, session, conn)
		})
	}
	return mux
}

// hello decides who the client is.
func (s *Server) hello(w http.ResponseWriter, r *http.Request) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		http.Error(w, "no certificate", http.StatusForbidden)
		return
	}
	cert := r.TLS.PeerCertificates[0]
	rack, err := s.cfg.Authorize(r.Context(), cert)
	if err != nil {
		s.refusals.warn("rack refused", "rack", cert.Subject.CommonName, "client", r.RemoteAddr, "err", err)
		refuse(w, err)
		return
	}
	session := r.Context().Value(sessionKey{}).(*session)
	if !bounds.Admit(session.conn) {
		s.refusals.warn("rack refused", "rack", rack, "client", r.RemoteAddr, "err", errTooMany)
		refuse(w, errTooMany)
		return
	}
	if known, _ := session.identity(); known == "" {
		s.cfg.Log.Info("rack connected", "rack", rack, "client", r.RemoteAddr)
	}
	session.begin(rack, s.cfg.Region.Conn(rack), cert)
	s.cutOldest(rack)
	// Disconnect may have looked for its sessions before this was one of them: what it was called
	// for is known by now.
	if _, err := s.cfg.Authorize(r.Context(), cert); err != nil {
		s.refusals.warn("rack refused", "rack", cert.Subject.CommonName, "client", r.RemoteAddr, "err", err)
		session.cut()
		return
	}
	reply(w, helloAnswer{s.cfg.Name})
}

var errTooMany = fmt.Errorf("%w: the region has too many sessions", rpc.ErrUnavailable)

func refuse(w http.ResponseWriter, err error) {
	w.WriteHeader(http.StatusForbidden)
	reply(w, answer{Error: rpc.AsError("", err)})
}

// reply writes a JSON document. Its error does not matter: the client has disconnected.
func reply(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

func (s *Server) next(w http.ResponseWriter, r *http.Request, _ *session, conn rpc.Conn) {
	var request nextRequest
	if !read(w, r, &request, 64<<10) {
		return
	}
	u, err := conn.Next(r.Context(), request.Topic, request.From)
	if err != nil {
		return // the rack has gone
	}
	if err := writeUpdate(w, u); err != nil {
		panic(http.ErrAbortHandler) // what was written so far must not look complete
	}
}

func (s *Server) facts(w http.ResponseWriter, r *http.Request, _ *session, conn rpc.Conn) {
	var facts []rpc.Fact
	if !read(w, r, &facts, maxFacts) {
		return
	}
	behind := clockBehind(r.Header.Get(clockHeader), time.Now())
	for i := range facts {
		facts[i].Behind = behind
	}
	// The answer is the acknowledgement: the rack drops these facts when it arrives.
	reply(w, answerOf("facts", nil, conn.Deliver(r.Context(), facts)))
}

// clockHeader holds the time of a rack's clock, in RFC 3339.
const clockHeader = "Maas-Clock"

// minBehind is the difference of clocks that counts: what is less may be the time of the request.
const minBehind = 10 * time.Second

// clockBehind returns by how much a clock is behind. A host whose battery is empty may have years.
func clockBehind(shown string, now time.Time) time.Duration {
	clock, err := time.Parse(time.RFC3339Nano, shown)
	if err != nil {
		return 0 // of a rack that does not send it
	}
	if behind := now.Sub(clock); behind.Abs() >= minBehind {
		return behind
	}
	return 0
}

// read decodes a request's body and refuses one that is too large or malformed.
func read(w http.ResponseWriter, r *http.Request, v any, limit int64) bool {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit)).Decode(v)
	if err == nil {
		return true
	}
	status := http.StatusBadRequest
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		status = http.StatusRequestEntityTooLarge
	}
	http.Error(w, http.StatusText(status), status)
	return false
}

func (s *Server) call(w http.ResponseWriter, r *http.Request, _ *session, conn rpc.Conn) {
	method := r.PathValue("method")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCall))
	if err != nil {
		http.Error(w, http.StatusText(http.StatusRequestEntityTooLarge), http.StatusRequestEntityTooLarge)
		return
	}
	ctx := rpc.WithMetadata(r.Context(), decodeMetadata(r.Header.Get(metadataHeader)))
	if ms, err := strconv.ParseInt(r.Header.Get(timeoutHeader), 10, 64); err == nil && ms > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
		defer cancel()
	}
	out, err := conn.Call(ctx, method, body)
	reply(w, answerOf(method, out, err))
}

// accept announces the region's calls for as long as the request lasts.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, session *session, _ rpc.Conn) {
	rack, _ := session.identity()
	// From here on the region can call the rack, and no longer once the stream ends.
	defer s.cfg.Region.Attach(rack, caller{session, r.Context().Done()})()
	e := newEncoder(w)
	flush := http.NewResponseController(w).Flush
	// Without a flush the header stays in a buffer, and the rack waits for the answer to begin.
	if flush() != nil {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case out := <-session.out:
			err := e.json(out.kind, out.call)
			if err == nil && out.kind == kindCall {
				err = e.message(kindArgs, out.args)
			}
			if errors.Join(err, e.w.Flush(), flush()) != nil {
				return
			}
		}
	}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, session *session, _ rpc.Conn) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	var a answer
	if err != nil {
		http.Error(w, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
	} else if !session.expects(id) {
		http.Error(w, "no call waits for this answer", http.StatusNotFound)
	} else if read(w, r, &a, maxCall+maxMessage) {
		session.resolve(id, a)
	}
}
