package bmcserve

import (
	"crypto/md5"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/power"
)

const (
	root         = "/redfish/v1"
	systemsPath  = root + "/Systems"
	managersPath = root + "/Managers"
	sessionsPath = root + "/SessionService/Sessions"
)

// webPatience is the time in which a failure is still the answer of a request to switch.
const webPatience = time.Second

// Sessions end after sessionIdle without a request. An account has at most maxSessions of them: the
// one that was silent for the longest time makes room.
const (
	sessionIdle = 30 * time.Minute
	maxSessions = 64
)

// session is a session of Redfish.
type session struct {
	id     string
	client client
	used   time.Time
}

type object = map[string]any

func link(path string) object { return object{"@odata.id": path} }

func (s *Server) handleRedfish(mux *http.ServeMux) {
	mux.HandleFunc("GET /redfish", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, object{"v1": root + "/"}) })
	mux.HandleFunc("GET "+root, s.serviceRoot)
	mux.HandleFunc("POST "+sessionsPath, s.openSession)
	const system = systemsPath + "/{machine}"
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request, client){
		"GET " + root + "/SessionService": func(w http.ResponseWriter, _ *http.Request, _ client) {
			answer(w, http.StatusOK, object{
				"@odata.id": root + "/SessionService", "@odata.type": "#SessionService.v1_1_8.SessionService", "Id": "SessionService", "Name": "Sessions",
				"ServiceEnabled": true, "SessionTimeout": int(sessionIdle.Seconds()), "Sessions": link(sessionsPath),
			})
		},
		"GET " + sessionsPath:                              s.listSessions,
		"DELETE " + sessionsPath + "/{id}":                 s.closeSession,
		"GET " + systemsPath:                               s.listSystems,
		"GET " + system:                                    s.system(s.showSystem),
		"PATCH " + system:                                  s.system(s.patchSystem),
		"POST " + system + "/Actions/ComputerSystem.Reset": s.system(s.resetSystem),
	} {
		mux.HandleFunc(pattern, s.authorized(handle))
	}
	s.handleMedia(mux)
}

// answer replies with the header that Redfish wants (DSP0266 section 8.1).
func answer(w http.ResponseWriter, code int, body object) {
	w.Header().Set("OData-Version", "4.0")
	w.Header().Set("Cache-Control", "no-store")
	reply(w, code, body)
}

// refuse answers with an error of Redfish.
func refuse(w http.ResponseWriter, code int, id, text string) {
	id = "Base.1.16." + id
	answer(w, code, object{"error": object{"code": id, "message": text, "@Message.ExtendedInfo": []object{{"MessageId": id, "Message": text, "Severity": "Critical"}}}})
}

// refusal is the part of refuse that depends on a request.
func refusal(w http.ResponseWriter) func(code int, text string) {
	return func(code int, text string) {
		id := "GeneralError"
		switch code {
		case http.StatusUnauthorized:
			id = "NoValidSession"
		case http.StatusForbidden:
			id = "InsufficientPrivilege"
		}
		refuse(w, code, id, text)
	}
}

// serviceRoot needs no session (DSP0266 section 13.3.1).
func (s *Server) serviceRoot(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, object{
		"@odata.id": root + "/", "@odata.type": "#ServiceRoot.v1_15_0.ServiceRoot", "Id": "RootService", "Name": "Machines", "RedfishVersion": "1.15.0",
		"Product": "gomaas", "Systems": link(systemsPath), "Managers": link(managersPath), "SessionService": link(root + "/SessionService"), "Links": object{"Sessions": link(sessionsPath)},
	})
}

// authorized finds the client of a request, by its session or by user and password.
func (s *Server) authorized(next func(http.ResponseWriter, *http.Request, client)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if token := r.Header.Get("X-Auth-Token"); token != "" {
			s.mu.Lock()
			found := s.sessions[token]
			ok := found != nil && time.Since(found.used) < sessionIdle
			var c client
			if ok {
				found.used, c = time.Now(), found.client
			}
			s.mu.Unlock()
			if !ok {
				refuse(w, http.StatusUnauthorized, "NoValidSession", "There is no valid session for this request.")
				return
			}
			c.source = hostOf(r.RemoteAddr)
			next(w, r, c)
			return
		}
		if c, ok := s.basic(w, r, "redfish", refusal(w)); ok {
			next(w, r, c)
		}
	}
}

func (s *Server) openSession(w http.ResponseWriter, r *http.Request) {
	var in struct{ UserName, Password string }
	if readJSON(w, r, &in) != nil {
		refuse(w, http.StatusBadRequest, "MalformedJSON", "The body is no JSON with UserName and Password.")
		return
	}
	c, ok := s.proved(w, r.RemoteAddr, in.UserName, in.Password, "redfish", refusal(w))
	if !ok {
		return
	}
	token := rand.Text()
	opened := &session{id: rand.Text(), client: c, used: time.Now()}
	s.mu.Lock()
	s.makeRoom(c.account)
	s.sessions[token] = opened
	s.mu.Unlock()
	path := sessionsPath + "/" + opened.id
	w.Header().Set("X-Auth-Token", token)
	w.Header().Set("Location", path)
	answer(w, http.StatusCreated, showSession(opened.id, in.UserName))
}

// makeRoom drops sessions that have ended, and the oldest one of an account that has all of its.
// s.mu is held.
func (s *Server) makeRoom(a *Account) {
	count, oldest := 0, ""
	for token, other := range s.sessions {
		switch {
		case time.Since(other.used) >= sessionIdle:
			delete(s.sessions, token)
		case other.client.account == a:
			count++
			if oldest == "" || other.used.Before(s.sessions[oldest].used) {
				oldest = token
			}
		}
	}
	if count >= maxSessions {
		delete(s.sessions, oldest)
	}
}

func showSession(id, user string) object {
	return object{"@odata.id": sessionsPath + "/" + id, "@odata.type": "#Session.v1_5_0.Session", "Id": id, "Name": "Session", "UserName": user}
}

func (s *Server) listSessions(w http.ResponseWriter, _ *http.Request, c client) {
	members := []object{}
	s.mu.Lock()
	for _, other := range s.sessions {
		if other.client.account == c.account {
			members = append(members, link(sessionsPath+"/"+other.id))
		}
	}
	s.mu.Unlock()
	answer(w, http.StatusOK, collection(sessionsPath, "SessionCollection", members))
}

func collection(path, kind string, members []object) object {
	return object{
		"@odata.id": path, "@odata.type": "#" + kind + "." + kind, "Name": kind, "Members": members, "Members@odata.count": len(members),
	}
}

func (s *Server) closeSession(w http.ResponseWriter, r *http.Request, c client) {
	id := r.PathValue("id")
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, other := range s.sessions {
		if other.id == id && other.client.account == c.account {
			delete(s.sessions, token)
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	refuse(w, http.StatusNotFound, "ResourceMissingAtURI", "There is no such session.")
}

func (s *Server) listSystems(w http.ResponseWriter, _ *http.Request, c client) {
	answer(w, http.StatusOK, collection(systemsPath, "ComputerSystemCollection", s.members(systemsPath, c)))
}

// members are links to what each machine that the client sees has below a path.
func (s *Server) members(path string, c client) []object {
	members := []object{}
	for _, name := range s.visible(c) {
		members = append(members, link(path+"/"+name))
	}
	return members
}

// system finds the machine of a request.
func (s *Server) system(next func(http.ResponseWriter, *http.Request, client, *machine)) func(http.ResponseWriter, *http.Request, client) {
	return func(w http.ResponseWriter, r *http.Request, c client) {
		m := s.machines[r.PathValue("machine")]
		switch {
		case m == nil || !c.sees(m.name):
			refuse(w, http.StatusNotFound, "ResourceMissingAtURI", "There is no such system.")
		case r.Method != http.MethodGet && c.account.ReadOnly:
			refuse(w, http.StatusForbidden, "InsufficientPrivilege", "The account may only read.")
		default:
			next(w, r, c, m)
		}
	}
}

// sources are the boot sources by device (DSP0268, BootSourceOverrideTarget).
var sources = map[power.BootDevice]string{
	power.Default: "None", power.Network: "Pxe", power.NetworkHTTP: "UefiHttp", power.Disk: "Hdd", power.CD: "Cd", power.Setup: "BiosSetup",
}

// resets are the actions by reset type.
var resets = map[string]power.Action{
	"On": power.ActionOn, "ForceOn": power.ActionOn, "ForceOff": power.ActionOff, "GracefulShutdown": power.ActionSoftOff,
	"ForceRestart": power.ActionReset, "GracefulRestart": power.ActionCycle, "PowerCycle": power.ActionCycle,
}

// uuid is an identifier of a machine that is the same each time: clients such as Ironic match by
// it.
func uuid(name string) string {
	b := md5.Sum([]byte("gomaas machine " + name)) // an identifier by name (RFC 9562, version 3)
	b[6], b[8] = b[6]&0x0f|0x30, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (s *Server) showSystem(w http.ResponseWriter, r *http.Request, _ client, m *machine) {
	state, action, err := s.stateOf(r.Context(), m)
	if err != nil {
		refuse(w, statusOf(err), "GeneralError", err.Error())
		return
	}
	device, always := m.bootOf()
	enabled := "Once"
	switch {
	case device == power.Default:
		enabled = "Disabled"
	case always:
		enabled = "Continuous"
	}
	path := systemsPath + "/" + m.name
	out := object{
		"@odata.id": path, "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem", "Id": m.name, "Name": m.name, "SystemType": "Physical",
		"UUID": uuid(m.name), "PowerState": redfishState(state, action), "Status": object{"State": "Enabled", "Health": "OK"},
		"Boot": object{
			"BootSourceOverrideEnabled": enabled, "BootSourceOverrideTarget": sources[device], "BootSourceOverrideMode": "UEFI",
			"BootSourceOverrideTarget@Redfish.AllowableValues":  slices.Sorted(maps.Values(sources)),
			"BootSourceOverrideEnabled@Redfish.AllowableValues": []string{"Disabled", "Once", "Continuous"},
		},
		"Actions": object{"#ComputerSystem.Reset": object{
			"target": path + "/Actions/ComputerSystem.Reset", "ResetType@Redfish.AllowableValues": slices.Sorted(maps.Keys(resets)),
		}},
		"Links": object{"ManagedBy": []object{link(managersPath + "/" + m.name)}},
	}
	if s.hasMedia(m) {
		out["VirtualMedia"] = link(path + "/VirtualMedia")
	}
	answer(w, http.StatusOK, out)
}

// redfishState is a state in Redfish's words; nil is null, which means that it is not known.
func redfishState(state power.State, action power.Action) any {
	switch {
	case action == power.ActionOn && state != power.On:
		return "PoweringOn"
	case (action == power.ActionOff || action == power.ActionSoftOff) && state != power.Off:
		return "PoweringOff"
	case state == power.On:
		return "On"
	case state == power.Off:
		return "Off"
	}
	return nil
}

func (s *Server) patchSystem(w http.ResponseWriter, r *http.Request, c client, m *machine) {
	var in struct {
		Boot *struct{ BootSourceOverrideEnabled, BootSourceOverrideTarget, BootSourceOverrideMode string }
	}
	if readJSON(w, r, &in) != nil {
		refuse(w, http.StatusBadRequest, "MalformedJSON", "The body is not JSON of a system.")
		return
	}
	if in.Boot == nil {
		refuse(w, http.StatusBadRequest, "PropertyNotWritable", "Only Boot can be written.")
		return
	}
	device, known := power.Default, true
	if target := in.Boot.BootSourceOverrideTarget; target != "" {
		known = false
		for d, name := range sources {
			if name == target {
				device, known = d, true
			}
		}
	} else { // a change of the rest keeps the device
		device, _ = m.bootOf()
	}
	switch enabled := in.Boot.BootSourceOverrideEnabled; {
	case !known:
		refuse(w, http.StatusBadRequest, "PropertyValueNotInList", "BootSourceOverrideTarget is not one of the allowable values.")
		return
	case !slices.Contains([]string{"", "Once", "Continuous", "Disabled"}, enabled):
		refuse(w, http.StatusBadRequest, "PropertyValueNotInList", "BootSourceOverrideEnabled is not one of the allowable values.")
		return
	case enabled == "Disabled":
		s.setBoot(c, m, power.Default, false)
	default:
		s.setBoot(c, m, device, enabled == "Continuous")
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) resetSystem(w http.ResponseWriter, r *http.Request, c client, m *machine) {
	var in struct{ ResetType string }
	if readJSON(w, r, &in) != nil {
		refuse(w, http.StatusBadRequest, "MalformedJSON", "The body is no JSON with ResetType.")
		return
	}
	action, ok := resets[in.ResetType]
	if !ok {
		refuse(w, http.StatusBadRequest, "ActionParameterNotSupported", "ResetType is not one of "+strings.Join(slices.Sorted(maps.Keys(resets)), ", ")+".")
		return
	}
	switch err := s.switchTo(c, m, action, "", webPatience); {
	case errors.Is(err, errBusy):
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusConflict, "ResourceInUse", err.Error())
	case err != nil:
		refuse(w, statusOf(err), "GeneralError", err.Error())
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
