package powersim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// PlugMakes returns the makes that ServePlug can be, by the names that power/smartplug has for
// them.
func PlugMakes() []string { return []string{"homeassistant", "shelly", "shelly-gen1", "tasmota"} }

// ServePlug starts a smart plug of a make on a free port of 127.0.0.1, which feeds the chassis. The
// password is the access token of Home Assistant, where the plug is the entity switch.desk.
func ServePlug(c *Chassis, maker, password string) (*BMC, error) {
	mux := http.NewServeMux()
	var service http.Handler = mux
	param := "power_pass"
	switch maker {
	case "shelly":
		mux.HandleFunc("POST /rpc/{method}", shellyRPC(c))
		service = digestAuth(mux, "SHA-256", "admin", password)
	case "shelly-gen1":
		mux.HandleFunc("GET /relay/0", shellyRelay(c, password))
	case "tasmota":
		mux.HandleFunc("GET /cm", tasmota(c, password))
	case "homeassistant":
		param = "power_token"
		mux.HandleFunc("GET /api/states/{entity}", homeState(c, password))
		mux.HandleFunc("POST /api/services/homeassistant/{service}", homeService(c, password))
	default:
		return nil, fmt.Errorf("powersim: there is no plug %q; there are %q", maker, PlugMakes())
	}
	b, err := serveHTTP(c, "smartplug", service, nil)
	if err != nil {
		return nil, err
	}
	b.target.Params["plug_type"], b.target.Params["power_on_delay"], b.target.Params[param] = maker, "0", password
	if maker == "homeassistant" {
		b.target.Params["node_outlet"] = "switch.desk"
	}
	return b, nil
}

func shellyRPC(c *Chassis) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			ID int
			On bool
		}
		if json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in) != nil || in.ID != 0 {
			reply(w, http.StatusNotFound, object{"code": -105, "message": "Argument 'id', value 7 not found!"})
			return
		}
		switch was := c.On(); r.PathValue("method") {
		case "Switch.Set":
			c.SetPower(in.On)
			reply(w, http.StatusOK, object{"was_on": was})
		case "Switch.GetStatus":
			reply(w, http.StatusOK, object{"id": 0, "source": "HTTP_in", "output": was})
		default:
			reply(w, http.StatusNotFound, object{"code": 404, "message": "No handler"})
		}
	}
}

func shellyRelay(c *Chassis, password string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, given, _ := r.BasicAuth(); given != password {
			http.Error(w, "401 Unauthorized", http.StatusUnauthorized)
			return
		}
		if turn := r.URL.Query().Get("turn"); turn != "" {
			c.SetPower(turn == "on")
		}
		reply(w, http.StatusOK, object{"ison": c.On(), "has_timer": false})
	}
}

func tasmota(c *Chassis, password string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("password") != password {
			reply(w, http.StatusOK, object{"WARNING": "Need user=<username>&password=<password>"})
			return
		}
		command, argument, _ := strings.Cut(r.URL.Query().Get("cmnd"), " ")
		if command != "POWER1" {
			reply(w, http.StatusOK, object{"Command": "Unknown"})
			return
		}
		if argument != "" {
			c.SetPower(argument == "on")
		}
		reply(w, http.StatusOK, object{"POWER": map[bool]string{true: "ON", false: "OFF"}[c.On()]})
	}
}

func homeState(c *Chassis, token string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+token:
			http.Error(w, "401: Unauthorized", http.StatusUnauthorized)
		case r.PathValue("entity") != "switch.desk":
			reply(w, http.StatusNotFound, object{"message": "Entity not found."})
		default:
			reply(w, http.StatusOK, object{"entity_id": "switch.desk", "state": map[bool]string{true: "on", false: "off"}[c.On()]})
		}
	}
}

func homeService(c *Chassis, token string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Entity string `json:"entity_id"`
		}
		if r.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, "401: Unauthorized", http.StatusUnauthorized)
			return
		}
		if json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in) == nil && in.Entity == "switch.desk" {
			c.SetPower(r.PathValue("service") == "turn_on")
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("[]"))
	}
}
