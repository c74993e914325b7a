package pdu

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/bmchttp"
	"github.com/gomaas/maas/power/internal/outlet"
)

// digitalLoggers is the make whose switches are driven over HTTP.
const digitalLoggers = "digital-loggers"

// web is a switch of Digital Loggers, by its REST interface.
type web struct {
	service bmchttp.Service
	outlets []string // numbers as on the switch, which count from 1
	delay   time.Duration
}

func openWeb(ctx context.Context, p power.Params, outlets []string, delay time.Duration) (power.Driver, error) {
	base, err := webBase(p[paramAddress])
	if err != nil {
		return nil, err
	}
	client, err := bmchttp.New(ctx, p)
	if err != nil {
		return nil, err
	}
	bmchttp.UseDigest(client, p[paramUser], p[paramPass])
	return &web{
		service: bmchttp.Service{
			HTTP: client, Base: base, Name: "a Digital Loggers switch", Param: paramAddress,
			// The switch refuses changes without this header, which pages of other sites cannot
			// set.
			Sign: func(r *http.Request) { r.Header.Set("X-CSRF", "x") },
		},
		outlets: outlets, delay: delay,
	}, nil
}

// path of an outlet; the interface counts from 0.
func (*web) path(number, attribute string) string {
	n, _ := strconv.Atoi(number) // it was checked
	return "/restapi/relay/outlets/" + strconv.Itoa(n-1) + "/" + attribute + "/"
}

// PowerState implements power.Driver.
func (w *web) PowerState(ctx context.Context) (power.State, error) {
	on := 0
	for _, number := range w.outlets {
		var closed bool
		if err := w.service.Do(ctx, "read the state of the outlet", http.MethodGet, w.path(number, "physical_state"), nil, &closed); err != nil {
			return power.Unknown, err
		}
		if closed {
			on++
		}
	}
	return outlet.State(on, len(w.outlets)), nil
}

// SetPower implements power.Driver.
func (w *web) SetPower(ctx context.Context, target power.State) error {
	value := url.Values{"value": {strconv.FormatBool(target == power.On)}}
	for _, number := range w.outlets {
		if err := w.service.Do(ctx, "switch the outlet "+string(target), http.MethodPut, w.path(number, "state"), value, nil); err != nil {
			return err
		}
	}
	return nil
}

// Cycle implements power.Cycler.
func (w *web) Cycle(ctx context.Context) error { return outlet.Cycle(ctx, w.delay, w.SetPower) }

// Close implements power.Closer.
func (w *web) Close(context.Context) error {
	w.service.HTTP.CloseIdleConnections()
	return nil
}
