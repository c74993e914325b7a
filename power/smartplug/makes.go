package smartplug

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

// foreign is the error of JSON that another program sent.
func (d *driver) foreign(op string) error {
	return power.Errorf(power.Settings, op, "the answer is none of %s; see %s and %s", d.plug.name, paramAddress, paramType)
}

// prepareShelly is for the second generation and later: methods over HTTP, digests with SHA-256.
func prepareShelly(d *driver, p power.Params) error {
	if p[paramPass] != "" {
		bmchttp.UseDigest(d.service.HTTP, user(p), p[paramPass])
	}
	return d.number(p)
}

func shellyState(ctx context.Context, d *driver) (power.State, error) {
	var status struct {
		Output *bool `json:"output"`
	}
	err := d.service.Do(ctx, opState, http.MethodPost, "/rpc/Switch.GetStatus", map[string]any{"id": d.outlet - 1}, &status)
	switch {
	case err != nil:
		return power.Unknown, err
	case status.Output == nil:
		return power.Unknown, d.foreign(opState)
	}
	return onOff(*status.Output), nil
}

func shellySet(ctx context.Context, d *driver, on bool) error {
	return d.service.Do(ctx, opSwitch, http.MethodPost, "/rpc/Switch.Set", map[string]any{"id": d.outlet - 1, "on": on}, nil)
}

// prepareShelly1 is for the first generation: relays as resources, basic authentication.
func prepareShelly1(d *driver, p power.Params) error {
	if p[paramPass] != "" {
		d.service.Sign = func(r *http.Request) { r.SetBasicAuth(user(p), p[paramPass]) }
	}
	return d.number(p)
}

func (d *driver) relay(ctx context.Context, op, query string) (power.State, error) {
	var relay struct {
		On *bool `json:"ison"`
	}
	err := d.ask(ctx, op, "/relay/"+strconv.Itoa(d.outlet-1)+query, &relay)
	switch {
	case err != nil:
		return power.Unknown, err
	case relay.On == nil:
		return power.Unknown, d.foreign(op)
	}
	return onOff(*relay.On), nil
}

func shelly1State(ctx context.Context, d *driver) (power.State, error) {
	return d.relay(ctx, opState, "")
}

func shelly1Set(ctx context.Context, d *driver, on bool) error {
	_, err := d.relay(ctx, opSwitch, "?turn="+string(onOff(on)))
	return err
}

// prepareTasmota puts user and password beside the command in the query.
func prepareTasmota(d *driver, p power.Params) error {
	if p[paramPass] != "" {
		d.secret = "&" + url.Values{"user": {user(p)}, "password": {p[paramPass]}}.Encode()
	}
	return d.number(p)
}

func (d *driver) tasmota(ctx context.Context, op, argument string) (power.State, error) {
	name := "POWER" + strconv.Itoa(d.outlet)
	var answer map[string]any
	if err := d.ask(ctx, op, "/cm?cmnd="+url.QueryEscape(strings.TrimSpace(name+" "+argument))+d.secret, &answer); err != nil {
		return power.Unknown, err
	}
	// Refusals are successes of HTTP with a warning in the answer.
	if _, refused := answer["WARNING"]; refused {
		return power.Unknown, power.Errorf(power.Auth, op, "the plug refused the user or password")
	}
	value, ok := answer[name]
	if !ok && d.outlet == 1 { // a plug with one outlet leaves the number out
		value, ok = answer["POWER"]
	}
	if _, unknown := answer["Command"]; !ok && unknown {
		return power.Unknown, power.Errorf(power.Settings, op, "the plug has no outlet %d; see %s", d.outlet, paramOutlet)
	}
	switch value {
	case "ON":
		return power.On, nil
	case "OFF":
		return power.Off, nil
	}
	return power.Unknown, d.foreign(op)
}

func tasmotaState(ctx context.Context, d *driver) (power.State, error) {
	return d.tasmota(ctx, opState, "")
}

func tasmotaSet(ctx context.Context, d *driver, on bool) error {
	_, err := d.tasmota(ctx, opSwitch, string(onOff(on)))
	return err
}

// entity is an entity of Home Assistant: a domain and a name.
var entity = regexp.MustCompile(`^[a-z_]+\.[a-z0-9_]+$`)

// prepareHome is for entities with a state and services that change it, and signs with a token.
func prepareHome(d *driver, p power.Params) error {
	switch {
	case p[paramToken] == "":
		return power.Errorf(power.Settings, "settings", "%s=homeassistant needs %s", paramType, paramToken)
	case !entity.MatchString(p[paramOutlet]):
		return power.Errorf(power.Settings, "settings", "%s=homeassistant needs an entity such as switch.desk as %s", paramType, paramOutlet)
	}
	d.entity = p[paramOutlet]
	d.service.Sign = func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+p[paramToken]) }
	return nil
}

func homeState(ctx context.Context, d *driver) (power.State, error) {
	var state struct {
		State string `json:"state"`
	}
	if err := d.ask(ctx, opState, "/api/states/"+d.entity, &state); err != nil {
		return power.Unknown, err
	}
	switch state.State {
	case "on":
		return power.On, nil
	case "off":
		return power.Off, nil
	case "":
		return power.Unknown, d.foreign(opState)
	case "unavailable": // Home Assistant does not reach the plug
		return power.Unknown, power.Errorf(power.Connection, opState, "the entity %s is unavailable", d.entity)
	}
	return power.Unknown, nil
}

func homeSet(ctx context.Context, d *driver, on bool) error {
	return d.service.Do(ctx, opSwitch, http.MethodPost, "/api/services/homeassistant/turn_"+string(onOff(on)), map[string]string{"entity_id": d.entity}, nil)
}
