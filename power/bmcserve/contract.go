package bmcserve

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gomaas/maas/power"
)

// Contract returns the handler of one power type by the contract of MAAS' external power drivers.
// MAAS sends the settings of the machine with each request, so a client that reaches the handler
// acts with them: serve it on a UNIX socket that only MAAS may open. version is what the driver
// reports as its own.
func Contract(c *power.Controller, kind, version string) (http.Handler, error) {
	k, err := c.Registry().Kind(kind)
	if err != nil {
		return nil, err
	}
	d := &contract{controller: c, kind: k}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metadata", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, d.metadata(version)) })
	mux.HandleFunc("POST /query", d.do(func(r *http.Request, t power.Target, _ request) (object, error) {
		result, err := c.Do(r.Context(), t, power.ActionQuery, power.Options{})
		state := result.State
		if state != power.On && state != power.Off { // the contract has no other
			state = power.Unknown
		}
		return object{"state": state}, err
	}))
	for _, action := range []power.Action{power.ActionOn, power.ActionOff, power.ActionCycle, power.ActionReset} {
		mux.HandleFunc("POST /"+string(action), d.do(func(r *http.Request, t power.Target, _ request) (object, error) {
			// Machines of MAAS boot from the network each time.
			_, err := c.Do(r.Context(), t, action, power.Options{Boot: power.Network, BootIfPossible: true})
			if action == power.ActionReset && power.ClassOf(err) == power.Unsupported {
				_, err = c.Do(r.Context(), t, power.ActionCycle, power.Options{Boot: power.Network, BootIfPossible: true})
			}
			return object{}, err
		}))
	}
	mux.HandleFunc("POST /set-boot-order", d.do(func(r *http.Request, t power.Target, in request) (object, error) {
		device, err := in.first()
		if err != nil {
			return nil, err
		}
		return object{}, c.SetBootAlways(r.Context(), t, device)
	}))
	return mux, nil
}

type contract struct {
	controller *power.Controller
	kind       power.Kind
}

// metadata describes the driver and its settings.
func (d *contract) metadata(version string) object {
	settings := []object{}
	for _, p := range d.kind.Params {
		field := object{"name": p.Name, "label": p.Label, "field_type": "string", "required": p.Required, "scope": cmp.Or(p.Scope, power.ScopeBMC)}
		if p.Default != "" {
			field["default"] = p.Default
		}
		if p.Secret {
			field["field_type"], field["secret"] = "password", true
		}
		if p.Choices != nil {
			choices := [][2]string{}
			for _, c := range p.Choices {
				choices = append(choices, [2]string{c, c})
			}
			field["field_type"], field["choices"] = "choice", choices
		}
		settings = append(settings, field)
	}
	chassis := false
	for _, p := range d.kind.Params {
		chassis = chassis || p.Scope == power.ScopeNode // several machines have one address
	}
	return object{
		"name": d.kind.Name, "description": d.kind.Title, "version": version, "actions": []string{"query", "on", "off", "cycle", "reset"}, "settings": settings,
		"capabilities": object{"queryable": !d.kind.Blind, "chassis": chassis, "can_probe": false, "can_set_boot_order": d.kind.BootOrder},
		"ip_extractor": object{"field_name": "power_address", "pattern": `^(?:[a-z0-9+]+://)?(?:[^@/]*@)?(?P<address>[^/:]+|\[[^\]]*\])`},
	}
}

// request is the body of each request.
type request struct {
	SystemID string         `json:"system_id"`
	Context  map[string]any `json:"context"`
	Order    []any          `json:"order"`
}

// params returns the settings as text.
func (r request) params() (power.Params, error) {
	p := power.Params{}
	for name, value := range r.Context {
		switch v := value.(type) {
		case nil:
		case string:
			p[name] = v
		case bool:
			p[name] = map[bool]string{true: "yes", false: "no"}[v]
		case float64:
			p[name] = strconv.FormatFloat(v, 'f', -1, 64)
		case []any: // several choices, such as workarounds
			words := make([]string, len(v))
			for i := range v {
				words[i] = fmt.Sprint(v[i])
			}
			p[name] = strings.Join(words, ",")
		default:
			return nil, power.Errorf(power.Settings, "settings", "%s is neither text nor a number", name)
		}
	}
	delete(p, "system_id") // MAAS puts it beside the settings
	return p, nil
}

// first returns the device of the first entry of an order: its name, or what MAAS knows of it.
func (r request) first() (power.BootDevice, error) {
	if len(r.Order) > 0 {
		switch v := r.Order[0].(type) {
		case string:
			if v == string(power.Network) || v == string(power.Disk) {
				return power.BootDevice(v), nil
			}
		case map[string]any: // a network card has a MAC address, a disk has not
			if v["mac_address"] != nil {
				return power.Network, nil
			}
			return power.Disk, nil
		}
	}
	return "", power.Errorf(power.Settings, "settings", "order begins neither with network nor with disk")
}

// do reads a request, acts and answers.
func (d *contract) do(act func(*http.Request, power.Target, request) (object, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in request
		err := readJSON(w, r, &in)
		if err != nil {
			var field *json.UnmarshalTypeError
			reason := "the body is not JSON"
			if errors.As(err, &field) {
				reason = "the field " + field.Field + " has another type than the contract's"
			}
			contractError(w, power.Errorf(power.Settings, "settings", "%s", reason))
			return
		}
		params, err := in.params()
		if err != nil {
			contractError(w, err)
			return
		}
		answer, err := act(r, power.Target{Kind: d.kind.Name, Name: in.SystemID, Params: params}, in)
		if err != nil {
			contractError(w, err)
			return
		}
		answer["status"] = "ok"
		reply(w, http.StatusOK, answer)
	}
}

// contractError answers with the contract's words for a class of failure.
func contractError(w http.ResponseWriter, err error) {
	code, kind := http.StatusInternalServerError, "power_action"
	switch power.ClassOf(err) {
	case power.Settings:
		code, kind = http.StatusBadRequest, "invalid_parameters"
	case power.Connection:
		code, kind = http.StatusServiceUnavailable, "unavailable"
	}
	reply(w, code, object{"status": "error", "error_type": kind, "error_message": err.Error()})
}
