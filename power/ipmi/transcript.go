package ipmi

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi/internal/rmcp"
)

// commander is a session as the driver uses it.
type commander interface {
	Command(ctx context.Context, netFn, command byte, data []byte) ([]byte, error)
	Close(ctx context.Context) error
}

// layer names exchanges of IPMI in a transcript. A request is network function, command and data;
// an answer is completion code and data. The handshake is not recorded: it proves knowledge of the
// password, and a password could be guessed from it offline.
const layer = "ipmi"

func describe(netFn, command byte, data []byte) string {
	return strings.TrimSpace(fmt.Sprintf("%02x %02x %x", netFn, command, data))
}

// recorded is a session that is written down.
type recorded struct {
	*rmcp.Session
	t *power.Transcript
}

func (r recorded) Command(ctx context.Context, netFn, command byte, data []byte) ([]byte, error) {
	began := time.Now()
	answer, err := r.Session.Command(ctx, netFn, command, data)
	e := power.Exchange{Time: began, Took: time.Since(began), Layer: layer, Request: describe(netFn, command, data)}
	var code rmcp.Completion
	switch {
	case err == nil:
		e.Answer = fmt.Sprintf("00%x", answer)
	case errors.As(err, &code):
		e.Answer = fmt.Sprintf("%02x", byte(code))
	default:
		e.Err = err.Error()
	}
	r.t.Record(e)
	return answer, err
}

// played is a session without a BMC.
type played struct{ t *power.Transcript }

func (p played) Command(_ context.Context, netFn, command byte, data []byte) ([]byte, error) {
	e, err := p.t.Replay(layer, describe(netFn, command, data))
	if err != nil {
		return nil, err
	}
	answer, err := hex.DecodeString(e.Answer)
	switch {
	case err != nil || len(answer) == 0:
		return nil, fmt.Errorf("the transcript's answer %q is not hexadecimal octets", e.Answer)
	case answer[0] != 0:
		return nil, rmcp.Completion(answer[0])
	}
	return answer[1:], nil
}

func (p played) Close(context.Context) error { return nil }
