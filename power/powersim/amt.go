package powersim

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/gomaas/maas/power"
)

// ServeAMT starts Intel's AMT with WS-Management over TLS on a free port of 127.0.0.1. The user is
// admin.
func ServeAMT(c *Chassis, password string) (*BMC, error) {
	cert, err := selfSigned()
	if err != nil {
		return nil, err
	}
	a := &amt{chassis: c}
	b, err := serveHTTP(c, "amt", digestAuth(a, "MD5", "admin", password), &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, err
	}
	pin := sha256.Sum256(cert.Certificate[0])
	b.target.Params["power_pass"], b.target.Params["tls_fingerprint"] = password, hex.EncodeToString(pin[:])
	return b, nil
}

// amt is the service.
type amt struct {
	chassis *Chassis

	mu     sync.Mutex
	source string // of the boot configuration, which counts once it has a role; guarded by mu
}

// amtMessage holds what the requests have.
type amtMessage struct {
	Action string `xml:"Header>Action"`
	State  string `xml:"Body>RequestPowerStateChange_INPUT>PowerState"`
	Source string `xml:"Body>ChangeBootOrder_INPUT>Source>ReferenceParameters>SelectorSet>Selector"`
	Role   string `xml:"Body>SetBootConfigRole_INPUT>Role"`
}

func (a *amt) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in amtMessage
	if r.URL.Path != "/wsman" || xml.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in) != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	body, code := "", http.StatusOK
	switch name := in.Action[strings.LastIndex(in.Action, "/")+1:]; name {
	case "Get":
		state := 8
		if a.chassis.On() {
			state = 2
		}
		body = fmt.Sprintf("<p:CIM_AssociatedPowerManagementService xmlns:p=\"urn:p\"><p:PowerState>%d</p:PowerState></p:CIM_AssociatedPowerManagementService>", state)
	case "RequestPowerStateChange", "ChangeBootOrder", "SetBootConfigRole":
		body = fmt.Sprintf("<p:%[1]s_OUTPUT xmlns:p=\"urn:p\"><p:ReturnValue>%[2]d</p:ReturnValue></p:%[1]s_OUTPUT>", name, a.call(name, in))
	default:
		code, body = http.StatusInternalServerError, "<s:Fault><s:Reason><s:Text>The action is not supported.</s:Text></s:Reason></s:Fault>"
	}
	w.Header().Set("Content-Type", "application/soap+xml; charset=UTF-8")
	w.WriteHeader(code)
	fmt.Fprintf(w, `<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>%s</s:Body></s:Envelope>`, body)
}

// call runs a method and returns its value.
func (a *amt) call(method string, in amtMessage) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case method == "ChangeBootOrder":
		a.source = in.Source
		if in.Source == "" {
			a.chassis.SetBootOnce(power.Default)
		}
		return 0
	case method == "SetBootConfigRole" && in.Role == "1":
		a.chassis.SetBootOnce(map[string]power.BootDevice{
			"Intel(r) AMT: Force PXE Boot": power.Network, "Intel(r) AMT: Force Hard-drive Boot": power.Disk,
		}[a.source])
		return 0
	}
	on := a.chassis.On()
	switch {
	case in.State == "2" && !on:
		a.chassis.SetPower(true)
	case (in.State == "8" || in.State == "12") && on:
		a.chassis.SetPower(false)
	case (in.State == "5" || in.State == "10") && on:
		a.chassis.Cycle()
	default:
		return 2 // not in this state
	}
	return 0
}
