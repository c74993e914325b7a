package metadata

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
)

// Source knows the instances. Its methods are called by many goroutines at once. The error for a
// machine that is not known is fs.ErrNotExist, or wraps it.
type Source interface {
	// ByMAC returns the instance of the machine with a link address.
	ByMAC(ctx context.Context, mac net.HardwareAddr) (Instance, error)
	// ByAddr returns the instance of the machine that uses an address.
	ByAddr(ctx context.Context, addr netip.Addr) (Instance, error)
}

// Instance holds what a machine may read about itself. Empty fields are left out of answers.
type Instance struct {
	// ID changes when the machine is to be configured again, as after another installation. It is
	// required.
	ID       string           `json:"id"`
	MAC      net.HardwareAddr `json:"mac"`      // of the interface it boots from
	Hostname string           `json:"hostname"` // without a domain
	FQDN     string           `json:"fqdn"`     // with the domain
	Zone     string           `json:"zone"`     // availability zone
	Addrs    []netip.Addr     `json:"addrs"`    // its static addresses; requests from them are its own
	Keys     []string         `json:"keys"`     // lines of authorized_keys
	// NetworkConfig is cloud-init's network-config, version 1 or 2, as YAML; NetworkData is
	// OpenStack's network_data.json.
	NetworkConfig []byte `json:"network_config"`
	NetworkData   []byte `json:"network_data"`
	// UserData is in any form that the machine's system reads: cloud-config, a script, Ignition.
	UserData []byte `json:"user_data"`
	// VendorData is cloud-config of the site, below the user's in precedence.
	VendorData []byte `json:"vendor_data"`
}

// Config holds the settings of a Handler. Only Source is required.
type Config struct {
	Source Source
	// Vouch reports whether a client speaks for the machine with a link address: by its own
	// address, or by the nonce of its script. Nil means that only the static addresses of instances
	// count.
	Vouch func(client netip.Addr, mac net.HardwareAddr, nonce string) bool
	// Events receives the answers to metadata requests (pxe.StageMetadata) and the reports of
	// machines (pxe.StageConfigured), from many goroutines at once. It must not block long. If nil,
	// events are discarded, and machines are not asked to report.
	Events func(pxe.Event)
	// Log receives a line for each request that failed, at a bounded rate; nil discards.
	Log *slog.Logger
}

// Handler answers the requests. Its methods may be used from many goroutines.
type Handler struct {
	cfg    Config
	fails  *bounds.Log
	tokens tokens
}

// failLines is the rate of log lines about failed requests.
var failLines = bounds.Rate{Burst: 20, Every: time.Second}

// New makes a handler.
func New(cfg Config) (*Handler, error) {
	if cfg.Source == nil {
		return nil, errors.New("metadata: Config.Source is nil; it is required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{cfg: cfg, fails: bounds.NewLog(cfg.Log, failLines), tokens: newTokens()}, nil
}

// Prefix is the path of NoCloud's files.
const Prefix = "/metadata/"

// Patterns returns the handler by the patterns of all its paths, for pxe.Config.Also and
// http.ServeMux.
func (h *Handler) Patterns() map[string]http.Handler {
	out := map[string]http.Handler{Prefix: h, "/openstack": h, "/openstack/": h}
	for _, version := range ec2Versions {
		out["/"+version+"/"] = h
	}
	return out
}

// request is a request whose path was read.
type request struct {
	*http.Request
	client netip.Addr
	mac    net.HardwareAddr // of the path; nil = the client's address decides
	nonce  string           // of the path
	file   string           // below the machine
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	req := request{Request: r, client: clientOf(r)}
	w.Header().Set("Cache-Control", "no-store")
	var answer func(Instance, request) (body []byte, contentType string, err error)
	switch path := r.URL.Path; {
	case h.tokens.serve(w, &req):
		return
	case strings.HasPrefix(path, Prefix):
		req.parse(strings.TrimPrefix(path, Prefix))
		answer = h.noCloud
	case path == "/openstack" || strings.HasPrefix(path, "/openstack/"):
		req.file, answer = strings.TrimPrefix(strings.TrimPrefix(path, "/openstack"), "/"), openStack
	default:
		_, req.file, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
		answer = ec2
	}
	switch {
	case r.Method == http.MethodPost && req.file == phoneHome:
		h.report(w, req)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	case !h.tokens.allow(&req):
		http.Error(w, "the token is not valid or has expired; ask for another by PUT of /latest/api/token", http.StatusUnauthorized)
		return
	}
	in, err := h.instance(req)
	if err != nil {
		h.refuse(w, req, err)
		return
	}
	body, contentType, err := answer(in, req)
	if err != nil {
		h.refuse(w, req, err)
		return
	}
	w.Header().Set("Content-Type", contentType)
	if _, err = w.Write(body); err == nil && r.Method == http.MethodGet && body != nil {
		h.event(req, in, pxe.StageMetadata, int64(len(body)), began)
	}
}

// parse reads what follows Prefix: [MAC/[NONCE/]]FILE.
func (r *request) parse(path string) {
	r.file = path
	first, rest, more := strings.Cut(path, "/")
	mac, err := firmware.ParseMAC(first)
	if err != nil || !more {
		return
	}
	r.mac, r.file = mac, rest
	if nonce, file, more := strings.Cut(rest, "/"); more {
		r.nonce, r.file = nonce, file
	}
}

// instance returns the instance that a request may read. The answer for a machine of others is that
// there is none, so that nothing is learned about it.
func (h *Handler) instance(r request) (Instance, error) {
	if r.mac == nil {
		return h.cfg.Source.ByAddr(r.Context(), r.client)
	}
	in, err := h.cfg.Source.ByMAC(r.Context(), r.mac)
	if err != nil {
		return in, err
	}
	if slices.Contains(in.Addrs, r.client) || h.cfg.Vouch != nil && h.cfg.Vouch(r.client, r.mac, r.nonce) {
		return in, nil
	}
	return Instance{}, errOther
}

// errOther means that a client asked for the metadata of a machine that it is not.
var errOther = errors.New("the client is another machine: its address is neither the machine's nor given to it by DHCP, and the path has no valid nonce")

// errNoFile means that there is no file of the name.
var errNoFile = errors.New("no such file")

// Argument returns a network-config as the kernel's argument network-config= has it, which all
// releases of cloud-init read before the network is up; those before 23.4 read none over HTTP. A
// profile has it as the variable {network_config}. It is "" for an empty one.
func Argument(networkConfig []byte) string {
	if len(networkConfig) == 0 {
		return ""
	}
	var packed bytes.Buffer // a command line may have 2,048 octets
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	_, _ = z.Write(networkConfig) // a buffer takes everything
	_ = z.Close()
	return base64.StdEncoding.EncodeToString(packed.Bytes())
}

// refuse answers a request that failed.
func (h *Handler) refuse(w http.ResponseWriter, r request, err error) {
	if errors.Is(err, errNoFile) {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	h.fails.Warn("metadata request failed", "mac", r.mac.String(), "ip", r.client, "path", r.file, "err", err)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errOther) {
		http.Error(w, "no machine is known here that may ask for this", http.StatusNotFound)
		return
	}
	http.Error(w, "the metadata service failed, see its log", http.StatusInternalServerError)
}

// event sends an event of a machine. The path is without the nonce.
func (h *Handler) event(r request, in Instance, stage pxe.Stage, size int64, began time.Time) {
	if h.cfg.Events == nil {
		return
	}
	now := time.Now()
	h.cfg.Events(pxe.Event{
		Time: now, Stage: stage, MAC: in.MAC, Addr: r.client, Arch: firmware.ArchUnknown, Path: "metadata/" + r.file,
		Proto: string(firmware.HTTP), Size: size, Bytes: size, Duration: now.Sub(began),
	})
}

// clientOf returns the address of a request's client; invalid when it is no IP address.
func clientOf(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}
