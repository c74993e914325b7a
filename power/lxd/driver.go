package lxd

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

// driver is a dialog about one instance.
type driver struct {
	service bmchttp.Service
	path    string // of the instance's state
	project string // as a query
}

// do asks for the metadata of an answer, which holds what the answer is about.
func (d *driver) do(ctx context.Context, op, method, path string, in, out any) error {
	answer := struct {
		Metadata any `json:"metadata"`
	}{out}
	return d.service.Do(ctx, op, method, path, in, &answer)
}

// PowerState implements power.Driver.
func (d *driver) PowerState(ctx context.Context) (power.State, error) {
	var state struct {
		Status string `json:"status"`
	}
	if err := d.do(ctx, "read the power state", http.MethodGet, d.path+d.project, nil, &state); err != nil {
		return power.Unknown, err
	}
	switch state.Status {
	case "Running", "Frozen", "Freezing", "Thawed", "Ready": // a frozen instance holds its memory and devices
		return power.On, nil
	case "Stopped":
		return power.Off, nil
	case "Starting", "Stopping", "Aborting":
		return power.Transitioning, nil
	}
	return power.Unknown, nil
}

// waitSeconds is the time in which an operation is waited for; the state that is read afterwards
// counts.
const waitSeconds = "20"

// change asks for a state and waits for the operation, which alone reports a failure.
func (d *driver) change(ctx context.Context, op, action string, force bool) error {
	var operation struct {
		ID  string `json:"id"`
		Err string `json:"err"`
	}
	err := d.do(ctx, op, http.MethodPut, d.path+d.project, map[string]any{"action": action, "timeout": -1, "force": force}, &operation)
	if err != nil || operation.ID == "" {
		return err
	}
	if err := d.do(ctx, op, http.MethodGet, "/1.0/operations/"+url.PathEscape(operation.ID)+"/wait?timeout="+waitSeconds, nil, &operation); err != nil {
		return err
	}
	if operation.Err != "" {
		return power.Errorf(power.ActionFailed, op, "%s", strings.TrimSpace(operation.Err))
	}
	return nil
}

// SetPower implements power.Driver.
func (d *driver) SetPower(ctx context.Context, target power.State) error {
	action := "stop"
	if target == power.On {
		action = "start"
	}
	err := d.change(ctx, "set power "+string(target), action, true)
	// The server refuses to start what runs, while asking for the state that holds is no error
	// here.
	if power.ClassOf(err) == power.ActionFailed {
		if state, serr := d.PowerState(ctx); serr == nil && state == target {
			return nil
		}
	}
	return err
}

// Cycle implements power.Cycler.
func (d *driver) Cycle(ctx context.Context) error {
	return d.change(ctx, "power cycle", "restart", true)
}

// Reset implements power.Resetter.
func (d *driver) Reset(ctx context.Context) error { return d.change(ctx, "reset", "restart", true) }

// SoftOff implements power.SoftOffer. The system may take minutes, so the operation is not waited
// for.
func (d *driver) SoftOff(ctx context.Context) error {
	return d.do(ctx, "soft shutdown", http.MethodPut, d.path+d.project, map[string]any{"action": "stop", "timeout": -1, "force": false}, nil)
}

// Close implements power.Closer.
func (d *driver) Close(context.Context) error {
	d.service.HTTP.CloseIdleConnections()
	return nil
}
