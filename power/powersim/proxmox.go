package powersim

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"github.com/gomaas/maas/power"
)

// ServeProxmox starts a cluster of Proxmox VE with one virtual machine, 100 by the name of web-1,
// over TLS on a free port of 127.0.0.1. The user is given with its realm. Its API token "maas" has
// the secret "token-" and the password.
func ServeProxmox(c *Chassis, user, password string) (*BMC, error) {
	p := &proxmox{chassis: c, user: user, password: password, tickets: map[string]string{}}
	b, err := serveTLS(c, "proxmox", user, password, p.handler(), func() int { return 0 }, p.forget)
	if err != nil {
		return nil, err
	}
	b.target.Params["power_vm_name"] = "100"
	return b, nil
}

// proxmox is the service.
type proxmox struct {
	chassis        *Chassis
	user, password string

	mu      sync.Mutex
	tickets map[string]string // CSRF token by ticket; guarded by mu
}

func (p *proxmox) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.tickets)
}

func (p *proxmox) handler() http.Handler {
	const vm = "/api2/json/nodes/pve1/qemu/100"
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api2/json/access/ticket", p.ticket)
	mux.HandleFunc("GET /api2/json/cluster/resources", p.authorized(func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, object{"data": []object{
			{"vmid": 100, "name": "web-1", "node": "pve1", "type": "qemu", "status": p.status()},
			{"vmid": 101, "name": "twin", "node": "pve1", "type": "qemu"}, {"vmid": 102, "name": "twin", "node": "pve2", "type": "lxc"},
		}})
	}))
	mux.HandleFunc("GET "+vm+"/status/current", p.authorized(func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, object{"data": object{"vmid": 100, "status": p.status()}})
	}))
	mux.HandleFunc("POST "+vm+"/status/{action}", p.authorized(p.act))
	mux.HandleFunc("GET "+vm+"/config", p.authorized(func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, object{"data": object{
			"net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0", "scsi0": "local-lvm:vm-100-disk-0,size=32G", "ide0": "local-lvm:vm-100-cloudinit,media=cdrom", "ide2": p.drive(), "memory": "2048",
		}})
	}))
	mux.HandleFunc("PUT "+vm+"/config", p.authorized(p.configure))
	return mux
}

// drive is the value of the CD drive.
func (p *proxmox) drive() string { return cmp.Or(p.chassis.Media(), "none") + ",media=cdrom" }

func (p *proxmox) status() string {
	if p.chassis.On() {
		return "running"
	}
	return "stopped"
}

func (p *proxmox) ticket(w http.ResponseWriter, r *http.Request) {
	var in struct{ Username, Password string }
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in) != nil || in.Username != p.user || in.Password != p.password {
		reply(w, http.StatusUnauthorized, object{"data": nil, "message": "authentication failure\n"})
		return
	}
	ticket, csrf := "PVE:"+p.user+":"+rand.Text(), rand.Text()
	p.mu.Lock()
	p.tickets[ticket] = csrf
	p.mu.Unlock()
	reply(w, http.StatusOK, object{"data": object{"ticket": ticket, "CSRFPreventionToken": csrf, "username": p.user}})
}

func (p *proxmox) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ok := r.Header.Get("Authorization") == "PVEAPIToken="+p.user+"!maas=token-"+p.password
		if cookie, err := r.Cookie("PVEAuthCookie"); err == nil {
			p.mu.Lock()
			csrf, known := p.tickets[cookie.Value]
			p.mu.Unlock()
			ok = ok || known && (r.Method == http.MethodGet || r.Header.Get("CSRFPreventionToken") == csrf)
		}
		if !ok {
			reply(w, http.StatusUnauthorized, object{"data": nil})
			return
		}
		next(w, r)
	}
}

func (p *proxmox) act(w http.ResponseWriter, r *http.Request) {
	switch r.PathValue("action") {
	case "start":
		p.chassis.SetPower(true)
	case "stop", "shutdown":
		p.chassis.SetPower(false)
	case "reset":
		p.chassis.Cycle()
	default:
		reply(w, http.StatusNotImplemented, object{"data": nil})
		return
	}
	reply(w, http.StatusOK, object{"data": "UPID:pve1:0000:0000:00000000:qm" + r.PathValue("action") + ":100:" + p.user + ":"})
}

// configure takes the order of boot devices, or what is in the CD drive.
func (p *proxmox) configure(w http.ResponseWriter, r *http.Request) {
	var in struct{ Boot, Delete, IDE2 string }
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in) != nil {
		reply(w, http.StatusBadRequest, object{"data": nil, "message": "no JSON"})
		return
	}
	switch first, _, _ := strings.Cut(in.Boot, ";"); {
	case in.Delete == "boot":
		p.chassis.SetBootAlways(power.Default)
	case strings.HasSuffix(in.IDE2, ",media=cdrom"):
		image, _, _ := strings.Cut(in.IDE2, ",")
		p.chassis.SetMedia(strings.TrimPrefix(image, "none"))
	case first == "order=ide2":
		p.chassis.SetBootAlways(power.CD)
	case first == "order=net0":
		p.chassis.SetBootAlways(power.Network)
	case first == "order=scsi0":
		p.chassis.SetBootAlways(power.Disk)
	default:
		reply(w, http.StatusBadRequest, object{"data": nil, "errors": object{"boot": "invalid format"}})
		return
	}
	reply(w, http.StatusOK, object{"data": nil})
}
