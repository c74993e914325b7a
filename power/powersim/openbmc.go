package powersim

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"github.com/gomaas/maas/power"
)

// ServeOpenBMC starts a BMC with OpenBMC's D-Bus REST interface over TLS on a free port of
// 127.0.0.1. Its certificate is self-signed; the target pins it.
func ServeOpenBMC(c *Chassis, user, password string) (*BMC, error) {
	o := &openBMC{chassis: c, user: user, password: password, sessions: map[string]bool{}}
	return serveTLS(c, "openbmc", user, password, o.handler(), o.count, o.endSessions)
}

// openBMC is the service.
type openBMC struct {
	chassis        *Chassis
	user, password string

	mu       sync.Mutex // guards the fields below
	sessions map[string]bool
	source   string // what was last set; the chassis keeps what holds
	mode     string
}

func (o *openBMC) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.sessions)
}

func (o *openBMC) endSessions() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.sessions)
}

const openBMCRoot = "/xyz/openbmc_project"

func (o *openBMC) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", o.login)
	mux.HandleFunc("POST /logout", o.authorized(o.logout))
	mux.HandleFunc("GET "+openBMCRoot+"/{path...}", o.authorized(o.get))
	mux.HandleFunc("PUT "+openBMCRoot+"/{path...}", o.authorized(o.put))
	return mux
}

func answer(w http.ResponseWriter, code int, data any) {
	status := "ok"
	if code >= http.StatusBadRequest {
		status = "error"
	}
	reply(w, code, object{"data": data, "message": http.StatusText(code), "status": status})
}

func (o *openBMC) login(w http.ResponseWriter, r *http.Request) {
	var in struct{ Data []string }
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in) != nil || len(in.Data) != 2 {
		answer(w, http.StatusBadRequest, nil)
		return
	}
	if in.Data[0] != o.user || in.Data[1] != o.password {
		answer(w, http.StatusUnauthorized, nil)
		return
	}
	token := rand.Text()
	o.mu.Lock()
	o.sessions[token] = true
	o.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: "SESSION", Value: token, Path: "/", Secure: true, HttpOnly: true})
	answer(w, http.StatusOK, "User '"+o.user+"' logged in")
}

func (o *openBMC) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("SESSION")
		o.mu.Lock()
		ok := err == nil && o.sessions[cookie.Value]
		o.mu.Unlock()
		if !ok {
			answer(w, http.StatusUnauthorized, nil)
			return
		}
		next(w, r)
	}
}

func (o *openBMC) logout(w http.ResponseWriter, r *http.Request) {
	cookie, _ := r.Cookie("SESSION")
	o.mu.Lock()
	delete(o.sessions, cookie.Value)
	o.mu.Unlock()
	answer(w, http.StatusOK, "logged out")
}

// Names of the values.
const (
	openBMCHost    = "xyz.openbmc_project.State.Host."
	openBMCChassis = "xyz.openbmc_project.State.Chassis."
	openBMCSource  = "xyz.openbmc_project.Control.Boot.Source.Sources."
	openBMCMode    = "xyz.openbmc_project.Control.Boot.Mode.Modes."
)

var openBMCSources = map[power.BootDevice]string{power.Default: "Default", power.Network: "Network", power.Disk: "Disk", power.CD: "ExternalMedia", power.Setup: "Default"}

func (o *openBMC) get(w http.ResponseWriter, r *http.Request) {
	on, boot := "Off", o.chassis.BootOnce()
	if o.chassis.On() {
		on = "On"
	}
	mode := "Regular"
	if boot == power.Setup {
		mode = "Setup"
	}
	// Attributes that the driver does not read are left out.
	values := map[string]any{
		"state/host0/attr/CurrentHostState":           openBMCHost + "HostState." + strings.Replace(on, "On", "Running", 1),
		"state/chassis0/attr/CurrentPowerState":       openBMCChassis + "PowerState." + on,
		"control/host0/boot/one_time/attr/Enabled":    boot != power.Default,
		"control/host0/boot/one_time/attr/BootSource": openBMCSource + openBMCSources[boot],
		"control/host0/boot/one_time/attr/BootMode":   openBMCMode + mode,
	}
	if v, ok := values[r.PathValue("path")]; ok {
		answer(w, http.StatusOK, v)
		return
	}
	answer(w, http.StatusNotFound, nil)
}

func (o *openBMC) put(w http.ResponseWriter, r *http.Request) {
	var in struct{ Data any }
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in) != nil {
		answer(w, http.StatusBadRequest, nil)
		return
	}
	text, _ := in.Data.(string)
	switch r.PathValue("path") + " " + text[strings.LastIndex(text, ".")+1:] {
	case "state/host0/attr/RequestedHostTransition On", "state/chassis0/attr/RequestedPowerTransition On":
		o.chassis.SetPower(true)
	case "state/host0/attr/RequestedHostTransition Off", "state/chassis0/attr/RequestedPowerTransition Off":
		o.chassis.SetPower(false)
	case "state/host0/attr/RequestedHostTransition Reboot", "state/chassis0/attr/RequestedPowerTransition PowerCycle":
		o.chassis.Cycle()
	default:
		if !o.putBoot(r.PathValue("path"), in.Data) {
			answer(w, http.StatusNotFound, nil)
			return
		}
	}
	answer(w, http.StatusOK, nil)
}

// putBoot sets one of the three attributes of the next boot.
func (o *openBMC) putBoot(path string, value any) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	text, _ := value.(string)
	switch path {
	case "control/host0/boot/one_time/attr/BootSource":
		o.source = strings.TrimPrefix(text, openBMCSource)
	case "control/host0/boot/one_time/attr/BootMode":
		o.mode = strings.TrimPrefix(text, openBMCMode)
	// The source and the mode have no effect until they are enabled.
	case "control/host0/boot/one_time/attr/Enabled":
		o.chassis.SetBootOnce(o.next(value == true))
	default:
		return false
	}
	return true
}

func (o *openBMC) next(enabled bool) power.BootDevice {
	switch {
	case !enabled:
		return power.Default
	case o.mode == "Setup":
		return power.Setup
	case o.source == "Network":
		return power.Network
	case o.source == "Disk":
		return power.Disk
	case o.source == "ExternalMedia":
		return power.CD
	}
	return power.Default
}
