package powersim

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

// maxSessions is the number of sessions of a simulated Redfish BMC; real ones have as few.
const maxSessions = 8

// ServeRedfish starts a BMC with Redfish over TLS on a free port of 127.0.0.1. Its certificate is
// self-signed; the target pins it.
func ServeRedfish(c *Chassis, user, password string) (*BMC, error) {
	return Shape{}.Serve(c, user, password)
}

// Serve is ServeRedfish for a BMC of a shape.
func (s Shape) Serve(c *Chassis, user, password string) (*BMC, error) {
	if s.System == "" {
		s.System = "1"
	}
	if s.ResetTypes == nil {
		s.ResetTypes = []string{"On", "ForceOff", "GracefulShutdown", "ForceRestart", "PowerCycle"}
	}
	r := &redfishBMC{Shape: s, chassis: c, user: user, password: password, sessions: map[string]string{}, mode: "UEFI"}
	return serveTLS(c, "redfish", user, password, r.handler(), r.count, r.endSessions)
}

// redfishBMC is the service.
type redfishBMC struct {
	Shape
	chassis        *Chassis
	user, password string

	mu       sync.Mutex // guards the fields below
	sessions map[string]string
	next     int
	version  int    // of the system, for its ETag
	mode     string // of the boot override
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
	root         = "/redfish/v1"
	sessionsPath = root + "/SessionService/Sessions"
	systemsPath  = root + "/Systems"
)

func (r *redfishBMC) systemPath() string { return systemsPath + "/" + r.System }

type object = map[string]any

// uri is a path as the service gives it out.
func (r *redfishBMC) uri(path string) string {
	if r.Slash {
		return path + "/"
	}
	return path
}

func (r *redfishBMC) link(path string) object { return object{"@odata.id": r.uri(path)} }

func (r *redfishBMC) handler() http.Handler {
	mux := http.NewServeMux()
	system := r.systemPath()
	for pattern, handle := range map[string]http.HandlerFunc{
		"GET " + root: r.root,
		"GET " + root + "/SessionService": r.authorized(func(w http.ResponseWriter, _ *http.Request) {
			reply(w, http.StatusOK, object{"@odata.id": r.uri(root + "/SessionService"), "Id": "SessionService", "Sessions": r.link(sessionsPath)})
		}),
		"POST " + sessionsPath:             r.login,
		"DELETE " + sessionsPath + "/{id}": r.authorized(r.logout),
		"GET " + systemsPath: r.authorized(func(w http.ResponseWriter, _ *http.Request) {
			reply(w, http.StatusOK, object{"@odata.id": r.uri(systemsPath), "Name": "Systems", "Members@odata.count": 1, "Members": []object{r.link(system)}})
		}),
		"GET " + system:                                    r.authorized(r.system),
		"GET " + system + "/Settings":                      r.authorized(r.system),
		"PATCH " + system:                                  r.authorized(r.patch),
		"PATCH " + system + "/Settings":                    r.authorized(r.patch),
		"GET " + system + "/ResetActionInfo":               r.authorized(r.resetInfo),
		"POST " + system + "/Actions/ComputerSystem.Reset": r.authorized(r.reset),
	} {
		mux.HandleFunc(pattern, handle)
	}
	r.handleSensors(mux)
	r.handleMedia(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		// Both forms of a URI name the resource, and ServeMux would redirect one to the other.
		req.URL.Path = strings.TrimSuffix(req.URL.Path, "/")
		if r.NoSessions && strings.HasPrefix(req.URL.Path, root+"/SessionService") {
			fail(w, http.StatusNotFound, "Base.1.0.ResourceMissingAtURI", "There is no such resource.")
			return
		}
		mux.ServeHTTP(w, req)
	})
}

// root needs no session (DSP0266 section 13.3.1).
func (r *redfishBMC) root(w http.ResponseWriter, _ *http.Request) {
	out := object{
		"@odata.id": root + "/", "@odata.type": "#ServiceRoot.v1_15_0.ServiceRoot", "Id": "RootService", "Name": "Simulated BMC",
		"RedfishVersion": "1.15.0", "Systems": r.link(systemsPath), "Managers": r.link(root + "/Managers"),
	}
	if !r.NoSessions {
		out["SessionService"], out["Links"] = r.link(root+"/SessionService"), object{"Sessions": r.link(sessionsPath)}
	}
	reply(w, http.StatusOK, out)
}

func (r *redfishBMC) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		user, password, basic := req.BasicAuth()
		r.mu.Lock()
		// Services take HTTP Basic as well as sessions (DSP0266 section 13.3).
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
	// A driver that forgets to log out is noticed here, after eight requests.
	case len(r.sessions) >= maxSessions:
		fail(w, http.StatusServiceUnavailable, "Base.1.0.SessionLimitExceeded", "All sessions are in use.")
	default:
		r.next++
		id, token := strconv.Itoa(r.next), rand.Text()
		r.sessions[id] = token
		w.Header().Set("X-Auth-Token", token)
		location := r.uri(sessionsPath + "/" + id)
		if r.AbsoluteLocation {
			location = "https://" + req.Host + location
		}
		w.Header().Set("Location", location)
		reply(w, http.StatusCreated, object{"@odata.id": r.uri(sessionsPath + "/" + id), "Id": id, "Name": "Session", "UserName": in.UserName})
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
	power.Default: "None", power.Network: "Pxe", power.NetworkHTTP: "UefiHttp", power.Disk: "Hdd", power.CD: "Cd", power.Setup: "BiosSetup",
}

// etag returns the version as the service reports it; "" = not at all. r.mu is held.
func (r *redfishBMC) etag() string {
	switch r.ETag {
	case NoETag:
		return ""
	case WeakETag:
		return fmt.Sprintf(`W/"%d"`, r.version)
	}
	return fmt.Sprintf(`"%d"`, r.version)
}

// powerState returns the state as the system reports it.
func (r *redfishBMC) powerState() string {
	on, changing := r.chassis.state()
	switch {
	case changing && r.Powering && on:
		return "PoweringOff"
	case changing && r.Powering:
		return "PoweringOn"
	case on:
		return "On"
	}
	return "Off"
}

// system is the system, and its settings resource, which is alike.
func (r *redfishBMC) system(w http.ResponseWriter, req *http.Request) {
	boot, enabled := r.chassis.BootOnce(), "Once"
	if boot == power.Default || r.Settings && !strings.HasSuffix(req.URL.Path, "/Settings") {
		boot, enabled = power.Default, "Disabled"
	}
	r.mu.Lock()
	etag, mode := r.etag(), r.mode
	if r.ETag == MovingETag {
		r.version++
		etag = r.etag()
	}
	r.mu.Unlock()
	bootObject := object{
		"BootSourceOverrideEnabled": enabled, "BootSourceOverrideTarget": redfishTargets[boot], "BootSourceOverrideMode": mode,
		"BootSourceOverrideTarget@Redfish.AllowableValues": slices.Sorted(maps.Values(redfishTargets)),
	}
	if !r.NoBootURL {
		bootObject["HttpBootUri"] = any(nil)
		if url := r.chassis.BootURL(); url != "" && boot == power.NetworkHTTP {
			bootObject["HttpBootUri"] = url
		}
	}
	reset := object{"target": r.uri(r.systemPath() + "/Actions/ComputerSystem.Reset")}
	if r.ActionInfo {
		reset["@Redfish.ActionInfo"] = r.uri(r.systemPath() + "/ResetActionInfo")
	} else {
		reset["ResetType@Redfish.AllowableValues"] = r.ResetTypes
	}
	out := object{
		"@odata.id": r.uri(req.URL.Path), "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem",
		"Id": r.System, "Name": "System", "PowerState": r.powerState(),
		"Boot":    bootObject,
		"Actions": object{"#ComputerSystem.Reset": reset}, "Links": object{"Chassis": []object{r.link(chassisPath)}, "ManagedBy": []object{r.link(managerPath)}},
	}
	if !r.Media.None && !r.Media.Manager {
		out["VirtualMedia"] = r.link(r.mediaPath())
	}
	r.addIndicator(out)
	if r.Settings {
		out["@Redfish.Settings"] = object{"@odata.type": "#Settings.v1_3_0.Settings", "SettingsObject": r.link(r.systemPath() + "/Settings")}
	}
	if etag != "" {
		w.Header().Set("ETag", etag)
		if r.ETag != HeaderETag {
			out["@odata.etag"] = etag
		}
	}
	reply(w, http.StatusOK, out)
}

func (r *redfishBMC) resetInfo(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, object{
		"@odata.id": r.uri(r.systemPath() + "/ResetActionInfo"), "@odata.type": "#ActionInfo.v1_3_0.ActionInfo", "Id": "ResetActionInfo", "Name": "Reset",
		"Parameters": []object{{"Name": "ResetType", "DataType": "String", "Required": true, "AllowableValues": r.ResetTypes}},
	})
}

func (r *redfishBMC) patch(w http.ResponseWriter, req *http.Request) {
	var in struct {
		Boot *struct {
			BootSourceOverrideEnabled, BootSourceOverrideTarget, BootSourceOverrideMode string

			BootURL string `json:"HttpBootUri"`
		}
		IndicatorLED            string
		LocationIndicatorActive *bool
	}
	if json.NewDecoder(http.MaxBytesReader(w, req.Body, 64<<10)).Decode(&in) != nil {
		fail(w, http.StatusBadRequest, "Base.1.0.MalformedJSON", "The body is not JSON.")
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	match := req.Header.Get("If-Match")
	switch {
	case in.Boot != nil && r.Settings && !strings.HasSuffix(req.URL.Path, "/Settings"):
		fail(w, http.StatusBadRequest, "Base.1.0.PropertyNotWritable", "Boot is changed at the settings resource.")
	case r.NeedsMatch && match == "":
		fail(w, http.StatusPreconditionRequired, "Base.1.0.PreconditionRequired", "The request needs an If-Match header.")
	case match != "" && match != "*" && strings.TrimPrefix(match, "W/") != strings.TrimPrefix(r.etag(), "W/"):
		fail(w, http.StatusPreconditionFailed, "Base.1.0.PreconditionFailed", "The ETag is out of date.")
	case in.Boot == nil:
		r.setLight(w, in.IndicatorLED, in.LocationIndicatorActive)
	case r.NeedsMode && in.Boot.BootSourceOverrideMode == "":
		fail(w, http.StatusBadRequest, "Base.1.0.PropertyMissing", "BootSourceOverrideMode is missing.")
	case r.NoBootURL && in.Boot.BootURL != "":
		fail(w, http.StatusBadRequest, "Base.1.0.PropertyUnknown", "HttpBootUri is not known.")
	default:
		r.chassis.SetBootURL(in.Boot.BootURL)
		r.setBoot(w, in.Boot.BootSourceOverrideEnabled, in.Boot.BootSourceOverrideTarget)
	}
}

// setBoot sets the override. r.mu is held.
func (r *redfishBMC) setBoot(w http.ResponseWriter, enabled, target string) {
	for device, name := range redfishTargets {
		if name != target {
			continue
		}
		switch enabled {
		case "Continuous":
			r.chassis.SetBootAlways(device)
			r.chassis.SetBootOnce("") // there is one override, and the last one holds
		case "Disabled":
			r.chassis.SetBootAlways(power.Default)
			r.chassis.SetBootOnce("")
		default:
			r.chassis.SetBootOnce(device)
		}
		r.version++
		w.WriteHeader(http.StatusNoContent)
		return
	}
	fail(w, http.StatusBadRequest, "Base.1.0.PropertyValueNotInList", "BootSourceOverrideTarget is not one of the allowable values.")
}

func (r *redfishBMC) reset(w http.ResponseWriter, req *http.Request) {
	var in struct{ ResetType string }
	if json.NewDecoder(http.MaxBytesReader(w, req.Body, 64<<10)).Decode(&in) != nil {
		fail(w, http.StatusBadRequest, "Base.1.0.MalformedJSON", "The body is not JSON.")
		return
	}
	if !slices.Contains(r.ResetTypes, in.ResetType) {
		fail(w, http.StatusBadRequest, "Base.1.0.ActionParameterNotSupported", "ResetType is not one of "+strings.Join(r.ResetTypes, ", ")+".")
		return
	}
	switch in.ResetType {
	case "On", "ForceOn":
		r.chassis.SetPower(true)
	case "ForceOff", "GracefulShutdown":
		r.chassis.SetPower(false)
	case "ForceRestart", "PowerCycle", "GracefulRestart":
		r.chassis.Cycle()
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
