package wire

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gomaas/maas/rpc"
)

// enrolProtocol is the application protocol (RFC 7301) of a client that has no certificate yet.
const enrolProtocol = "maas-enrol/1"

const (
	// maxQuestion bounds a question and its answer, in bytes.
	maxQuestion = 64 << 10
	enrolTime   = 10 * time.Second
)

// Ask puts one question, a JSON document, to a region that [ServerConfig].Enrol answers. cfg says
// how to know the region. What the region refuses comes back as an [rpc.Error].
func Ask(ctx context.Context, address string, cfg *tls.Config, question []byte) ([]byte, error) {
	if cfg == nil {
		return nil, errors.New("wire: Ask needs a TLS configuration; it says how to know the region")
	}
	ctx, cancel := context.WithTimeout(ctx, enrolTime)
	defer cancel()
	cfg = cfg.Clone()
	cfg.MinVersion, cfg.NextProtos = tls.VersionTLS13, []string{enrolProtocol}
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	if _, err := conn.Write(append(question, '\n')); err != nil {
		return nil, err
	}
	var a answer
	if err := json.NewDecoder(io.LimitReader(conn, maxQuestion)).Decode(&a); err != nil {
		return nil, fmt.Errorf("the region did not answer: %w", err)
	}
	return a.unpack()
}

// enrol answers one question of a client whose handshake is done.
func (s *Server) enrol(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, enrolTime)
	defer cancel()
	conn.SetDeadline(time.Now().Add(enrolTime))
	var question json.RawMessage
	err := json.NewDecoder(io.LimitReader(conn, maxQuestion)).Decode(&question)
	var out []byte
	if err != nil {
		err = errors.New("malformed question")
	} else {
		out, err = s.cfg.Enrol(ctx, question)
	}
	if err != nil {
		s.refusals.warn("enrolment refused", "client", conn.RemoteAddr().String(), "err", err)
		err = rpc.AsError("enrol", err)
	}
	// A client that has gone needs no answer.
	_ = json.NewEncoder(conn).Encode(answerOf("enrol", out, err))
}
