package maasapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

// A Consoler is a [Power] that attaches to serial consoles.
type Consoler interface {
	// Console attaches to the console of a machine; ctx bounds that alone. Reads return what the
	// machine prints, and io.EOF when the console has ended; writes type, and Close detaches. Where
	// one client at a time has the console, steal takes it from another.
	Console(ctx context.Context, m inventory.Machine, steal bool) (io.ReadWriteCloser, error)
}

const consolePath = "/console"

// maxConsoles is the number of consoles that clients of the API may have at a time.
const maxConsoles = 64

// console attaches a client to the console of a machine until either ends. What the client sends is
// typed, and what the machine prints is the answer, both at once: the request has no length, and
// neither has the answer.
func (a *API) console(w http.ResponseWriter, r *http.Request) {
	select {
	case a.consoles <- struct{}{}:
		defer func() { <-a.consoles }()
	default:
		w.Header().Set("Retry-After", "30")
		http.Error(w, fmt.Sprintf("%d consoles are open, which is the most; detach from one", maxConsoles), http.StatusServiceUnavailable)
		return
	}
	console, m, err := a.attach(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.WriteHeader(http.StatusOK)
	stop := context.AfterFunc(r.Context(), func() { console.Close() })
	defer stop()
	typed := make(chan struct{})
	go func() {
		defer close(typed)
		_, _ = io.Copy(console, r.Body) // the end of either is the client's to decide
		console.Close()
	}()
	began := time.Now()
	if err := show(w, out, console); err != nil && r.Context().Err() == nil {
		a.log.Info("console ended", "machine", m.FQDN, "client", r.RemoteAddr, "err", err)
	}
	console.Close()
	_ = out.SetReadDeadline(time.Now()) // so that the reader of the request ends
	<-typed
	if err := a.auditConsole(r, m, fmt.Sprintf("console of %s detached after %v", m.FQDN, time.Since(began).Round(time.Second))); err != nil {
		a.log.Error("end of a console not audited", "machine", m.FQDN, "err", err)
	}
}

// attach opens the console of the request's machine, which is audited first: what is typed there
// may change the machine.
func (a *API) attach(r *http.Request) (io.ReadWriteCloser, inventory.Machine, error) {
	m, err := a.find(r)
	if err != nil {
		return nil, m, err
	}
	if err := own(r, "machine "+m.FQDN, m.Owner); err != nil {
		return nil, m, err
	}
	consoler, ok := a.power.(Consoler)
	if !ok {
		return nil, m, &unsupported{"the console of a machine"}
	}
	steal := r.URL.Query().Get("steal") == "true"
	what := "console of " + m.FQDN
	if steal {
		what += " taken over"
	} else {
		what += " opened"
	}
	console, err := consoler.Console(r.Context(), m, steal)
	if err != nil {
		what += ": failed"
	}
	if aerr := a.auditConsole(r, m, what); aerr != nil {
		if console != nil {
			console.Close()
		}
		return nil, m, errors.Join(err, aerr)
	}
	if err != nil {
		return nil, m, fmt.Errorf("%s: %w", controlOf(m), err)
	}
	return console, m, nil
}

// auditConsole records an entry, also for a client that has gone.
func (a *API) auditConsole(r *http.Request, m inventory.Machine, text string) error {
	return a.inv.Audit.Add(context.WithoutCancel(r.Context()), inventory.Event{NodeID: m.ID, Kind: "console", User: userOf(r), Description: text})
}

// show sends what a console prints. Its end is part of the text: the status has been sent.
func show(w io.Writer, out *http.ResponseController, console io.Reader) error {
	if err := out.Flush(); err != nil {
		return err
	}
	buf := make([]byte, 16<<10)
	for {
		n, err := console.Read(buf)
		if err != nil && !errors.Is(err, io.EOF) {
			n += copy(buf[n:], fmt.Sprintf("\r\n[the console ended: %v]\r\n", err))
		}
		// A client that does not read must not hold the place of another.
		if derr := out.SetWriteDeadline(time.Now().Add(streamSlow)); derr != nil && !errors.Is(derr, http.ErrNotSupported) {
			return derr
		}
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return werr
			}
			if werr := out.Flush(); werr != nil {
				return werr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
