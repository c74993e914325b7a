package powertest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gomaas/maas/power"
)

// maxSessions is how many sessions a simulated Redfish BMC has; real ones have as few.
const maxSessions = 8

// ServeRedfish starts a BMC with Redfish over TLS on a free port of 127.0.0.1. Its certificate is self-signed; the target
// pins it.
func ServeRedfish(c *Chassis, user, password string) (*BMC, error) {
	r := &redfishBMC{chassis: c, user: user, password: password, sessions: map[string]string{}}
	return serveTLS(c, "redfish", user, password, r.handler(), r.count, r.endSessions)
}

// redfishBMC is the service.
type redfishBMC struct {
	chassis        *Chassis
	user, password string

	mu       sync.Mutex // guards following
	sessions map[string]string
	next     int
	version  int // of the system, for its ETag
}

func (r *redfishBMC) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sessions)
}

func (r *redfishBMC) endSessions() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.sessions)
}

const (
	root          = "/redfish/v1/"
	sessionsPath  = root + "SessionService/Sessions"
	systemPath    = root + "Systems/1"
	resetPath     = systemPath + "/Actions/ComputerSystem.Reset"
	resetTypeList = "On,ForceOff,GracefulShutdown,ForceRestart,PowerCycle"
)

type object = map[string]any

func link(path string) object { return object{"@odata.id": path} }

func (r *redfishBMC) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /redfish/v1/{$}", r.root)
	mux.HandleFunc("GET "+root+"SessionService", r.authorized(func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, object{"@odata.id": root + "SessionService", "Id": "SessionService", "Sessions": link(sessionsPath)})
	}))
	mux.HandleFunc("POST "+sessionsPath, r.login)
	mux.HandleFunc("DELETE "+sessionsPath+"/{id}", r.authorized(r.logout))
	mux.HandleFunc("GET "+root+"Systems", r.authorized(func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, object{"@odata.id": root + "Systems", "Name": "Systems", "Members@odata.count": 1, "Members": []object{link(systemPath)}})
	}))
	mux.HandleFunc("GET "+systemPath, r.authorized(r.system))
	mux.HandleFunc("PATCH "+systemPath, r.authorized(r.patch))
	mux.HandleFunc("POST "+resetPath, r.authorized(r.reset))
	return mux
}

// root needs no session (DSP0266 section 13.3.1).
func (r *redfishBMC) root(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, object{
		"@odata.id": root, "@odata.type": "#ServiceRoot.v1_15_0.ServiceRoot", "Id": "RootService", "Name": "Simulated BMC",
		"RedfishVersion": "1.15.0", "Systems": link(root + "Systems"), "SessionService": link(root + "SessionService"),
		"Links": object{"Sessions": link(sessionsPath)},
	})
}

func (r *redfishBMC) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		user, password, basic := req.BasicAuth()
		r.mu.Lock()
		ok := basic && user == r.user && password == r.password
		for _, token := range r.sessions {
			ok = ok || token == req.Header.Get("X-Auth-Token")
		}
		r.mu.Unlock()
		if !ok {
			fail(w, http.StatusUnauthorized, "Base.1.0.NoValidSession", "There is no valid session for this request.")
			return
		}
		next(w, req)
	}
}

func (r *redfishBMC) login(w http.ResponseWriter, req *http.Request) {
	var in struct{ UserName, Password string }
	if json.NewDecoder(http.MaxBytesReader(w, req.Body, 64<<10)).Decode(&in) != nil {
		fail(w, http.StatusBadRequest, "Base.1.0.MalformedJSON", "The body is not JSON.")
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case in.UserName != r.user || in.Password != r.password:
		fail(w, http.StatusUnauthorized, "Base.1.0.ResourceAtUriUnauthorized", "The user or password is wrong.")
	case len(r.sessions) >= maxSessions:
		fail(w, http.StatusServiceUnavailable, "Base.1.0.SessionLimitExceeded", "All sessions are in use.")
	default:
		r.next++
		id, token := strconv.Itoa(r.next), rand.Text()
		r.sessions[id] = token
		w.Header().Set("X-Auth-Token", token)
		w.Header().Set("Location", sessionsPath+"/"+id)
		reply(w, http.StatusCreated, object{"@odata.id": sessionsPath + "/" + id, "Id": id, "Name": "Session", "UserName": in.UserName})
	}
}

func (r *redfishBMC) logout(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	delete(r.sessions, req.PathValue("id"))
	r.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// redfishTargets are the boot sources by device.
var redfishTargets = map[power.BootDevice]string{
	power.Default: "None", power.Network: "Pxe", power.NetworkHTTP: "UefiHttp", power.Disk: "Hdd", power.Setup: "BiosSetup",
}

func (r *redfishBMC) etag() string { return fmt.Sprintf(`"%d"`, r.version) }

func (r *redfishBMC) system(w http.ResponseWriter, _ *http.Request) {
	state := "Off"
	if r.chassis.On() {
		state = "On"
	}
	boot, enabled := r.chassis.BootOnce(), "Once"
	if boot == power.Default {
		enabled = "Disabled"
	}
	r.mu.Lock()
	etag := r.etag()
	r.mu.Unlock()
	w.Header().Set("ETag", etag)
	reply(w, http.StatusOK, object{
		"@odata.id": systemPath, "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem", "@odata.etag": etag,
		"Id": "1", "Name": "System", "PowerState": state,
		"Boot": object{
			"BootSourceOverrideEnabled": enabled, "BootSourceOverrideTarget": redfishTargets[boot], "BootSourceOverrideMode": "UEFI",
			"BootSourceOverrideTarget@Redfish.AllowableValues": slices.Sorted(maps.Values(redfishTargets)),
		},
		"Actions": object{"#ComputerSystem.Reset": object{
			"target": resetPath, "ResetType@Redfish.AllowableValues": strings.Split(resetTypeList, ","),
		}},
	})
}

func (r *redfishBMC) patch(w http.ResponseWriter, req *http.Request) {
	var in struct {
		Boot struct{ BootSourceOverrideEnabled, BootSourceOverrideTarget string }
	}
	if json.NewDecoder(http.MaxBytesReader(w, req.Body, 64<<10)).Decode(&in) != nil {
		fail(w, http.StatusBadRequest, "Base.1.0.MalformedJSON", "The body is not JSON.")
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if match := req.Header.Get("If-Match"); match != "" && match != r.etag() {
		fail(w, http.StatusPreconditionFailed, "Base.1.0.PreconditionFailed", "The ETag is out of date.")
		return
	}
	for device, target := range redfishTargets {
		if target == in.Boot.BootSourceOverrideTarget {
			if in.Boot.BootSourceOverrideEnabled == "Disabled" {
				device = power.Default
			}
			r.chassis.SetBootOnce(device)
			r.version++
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	fail(w, http.StatusBadRequest, "Base.1.0.PropertyValueNotInList", "BootSourceOverrideTarget is not one of the allowable values.")
}

func (r *redfishBMC) reset(w http.ResponseWriter, req *http.Request) {
	var in struct{ ResetType string }
	if json.NewDecoder(http.MaxBytesReader(w, req.Body, 64<<10)).Decode(&in) != nil {
		fail(w, http.StatusBadRequest, "Base.1.0.MalformedJSON", "The body is not JSON.")
		return
	}
	switch in.ResetType {
	case "On":
		r.chassis.SetPower(true)
	case "ForceOff", "GracefulShutdown":
		r.chassis.SetPower(false)
	case "ForceRestart", "PowerCycle":
		r.chassis.Cycle()
	default:
		fail(w, http.StatusBadRequest, "Base.1.0.ActionParameterNotSupported", "ResetType is not one of "+resetTypeList+".")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func reply(w http.ResponseWriter, code int, body object) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("OData-Version", "4.0")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client is gone
}

func fail(w http.ResponseWriter, code int, id, message string) {
	reply(w, code, object{"error": object{"code": id, "message": message, "@Message.ExtendedInfo": []object{{"MessageId": id, "Message": message}}}})
}
