package powersim

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gomaas/maas/power"
)

// ServeLXD starts a server of LXD or Incus with one instance, web-1, on a free port of 127.0.0.1.
// It trusts the client certificate of the target once that was added with the trust token.
func ServeLXD(c *Chassis, token string) (*BMC, error) {
	server, err := selfSigned()
	if err != nil {
		return nil, err
	}
	client, err := selfSigned()
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(client.PrivateKey)
	if err != nil {
		return nil, err
	}
	l := &lxd{chassis: c, token: token, trusted: map[[32]byte]bool{}}
	b, err := serveHTTP(c, "lxd", l.handler(), &tls.Config{
		Certificates: []tls.Certificate{server}, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert,
	})
	if err != nil {
		return nil, err
	}
	b.faults.end = l.forget
	pin := sha256.Sum256(server.Certificate[0])
	for name, value := range map[string]string{
		"instance_name": "web-1", "password": token, "tls_fingerprint": hex.EncodeToString(pin[:]),
		"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: client.Certificate[0]})),
		"key":         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	} {
		b.target.Params[name] = value
	}
	return b, nil
}

// ServeLXDSocket is ServeLXD at a UNIX socket, where every client is trusted.
func ServeLXDSocket(c *Chassis, path string) (*BMC, error) {
	if c == nil {
		return nil, errChassis
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	l := &lxd{chassis: c, local: true}
	srv := &http.Server{Handler: l.handler(), ReadHeaderTimeout: 10 * time.Second}
	var done sync.WaitGroup
	done.Go(func() { _ = srv.Serve(ln) })
	return &BMC{
		Address: path, faults: &faults{end: func() {}}, session: func() int { return 0 },
		target: power.Target{Kind: "lxd", Name: path, Params: power.Params{"power_address": path, "instance_name": "web-1"}},
		close: func() error {
			err := srv.Close()
			done.Wait()
			c.changes.Wait()
			return err
		},
	}, nil
}

// lxd is the service.
type lxd struct {
	chassis *Chassis
	token   string
	local   bool

	mu      sync.Mutex
	trusted map[[32]byte]bool // guarded by mu
}

func (l *lxd) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.trusted)
}

func (l *lxd) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /1.0", func(w http.ResponseWriter, r *http.Request) {
		auth := "untrusted"
		if l.trusts(r) {
			auth = "trusted"
		}
		l.sync(w, object{"auth": auth, "api_version": "1.0"})
	})
	mux.HandleFunc("POST /1.0/certificates", l.trust)
	mux.HandleFunc("GET /1.0/instances/{name}/state", l.authorized(func(w http.ResponseWriter, _ *http.Request) {
		status := "Stopped"
		if l.chassis.On() {
			status = "Running"
		}
		l.sync(w, object{"status": status})
	}))
	mux.HandleFunc("PUT /1.0/instances/{name}/state", l.authorized(l.change))
	mux.HandleFunc("GET /1.0/operations/{id}/wait", func(w http.ResponseWriter, r *http.Request) {
		l.sync(w, object{"id": r.PathValue("id"), "status": "Success", "err": ""})
	})
	return mux
}

func (*lxd) sync(w http.ResponseWriter, metadata object) {
	reply(w, http.StatusOK, object{"type": "sync", "status": "Success", "status_code": 200, "metadata": metadata})
}

func (*lxd) fail(w http.ResponseWriter, code int, text string) {
	reply(w, code, object{"type": "error", "error": text, "error_code": code})
}

func (l *lxd) trusts(r *http.Request) bool {
	if l.local {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(r.TLS.PeerCertificates) > 0 && l.trusted[sha256.Sum256(r.TLS.PeerCertificates[0].Raw)]
}

func (l *lxd) trust(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Token string `json:"trust_token"`
	}
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in) != nil || in.Token != l.token || len(r.TLS.PeerCertificates) == 0 {
		l.fail(w, http.StatusForbidden, "not authorized")
		return
	}
	l.mu.Lock()
	l.trusted[sha256.Sum256(r.TLS.PeerCertificates[0].Raw)] = true
	l.mu.Unlock()
	l.sync(w, object{})
}

func (l *lxd) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !l.trusts(r):
			l.fail(w, http.StatusForbidden, "not authorized")
		case r.PathValue("name") != "web-1" || r.URL.Query().Get("project") != "default":
			l.fail(w, http.StatusNotFound, "Instance not found")
		default:
			next(w, r)
		}
	}
}

func (l *lxd) change(w http.ResponseWriter, r *http.Request) {
	var in struct{ Action string }
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in) != nil {
		l.fail(w, http.StatusBadRequest, "no JSON")
		return
	}
	on := l.chassis.On()
	switch {
	case in.Action == "start" && !on:
		l.chassis.SetPower(true)
	case in.Action == "stop" && on:
		l.chassis.SetPower(false)
	case in.Action == "restart" && on:
		l.chassis.Cycle()
	default:
		l.fail(w, http.StatusBadRequest, "The instance is in that state already")
		return
	}
	reply(w, http.StatusAccepted, object{
		"type": "async", "status": "Operation created", "status_code": 100, "operation": "/1.0/operations/1", "metadata": object{"id": "1", "status": "Running"},
	})
}
