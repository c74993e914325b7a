package ipmi

import (
	"context"
	"errors"
	"io"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi/internal/rmcp"
)

// Console implements power.Consoler by serial over LAN (IPMI 2.0 section 15). The session belongs
// to the console from then on, and ends with it.
func (d *lanPlus) Console(ctx context.Context, steal bool) (io.ReadWriteCloser, error) {
	const op = "open the console"
	var session *rmcp.Session
	switch s := d.session.(type) {
	case *rmcp.Session:
		session = s
	case recorded: // what a console shows is not recorded
		session = s.Session
	default:
		return nil, power.Errorf(power.Unsupported, op, "a transcript has no console")
	}
	console, err := session.Activate(ctx, steal)
	switch {
	case errors.Is(err, rmcp.ErrTaken):
		return nil, power.Errorf(power.ActionFailed, op, "%w; steal it, or wait for its end", err)
	case errors.Is(err, rmcp.Completion(0xd4)): // many BMCs keep consoles for administrators
		return nil, power.Errorf(power.Auth, op, "%w; set %s=ADMIN if the user is an administrator of the BMC", err, paramLevel)
	case err != nil:
		return nil, classify(op, err)
	}
	d.session = ended{}
	return console, nil
}

// ended takes the place of a session that belongs to a console.
type ended struct{}

func (ended) Command(context.Context, byte, byte, []byte) ([]byte, error) {
	return nil, errors.New("the session belongs to the console")
}

func (ended) Close(context.Context) error { return nil }
