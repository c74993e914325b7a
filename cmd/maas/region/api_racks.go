package region

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// TokenInfo is a token of a rack in the answers of the command socket.
type TokenInfo struct {
	ID      int64     `json:"id"`
	Token   string    `json:"token,omitempty"` // only in the answer that creates it; the database has its hash alone
	Rack    string    `json:"rack,omitempty"`
	Zone    string    `json:"zone"`
	Expires time.Time `json:"expires"`
	Used    time.Time `json:"used,omitzero"`
	UsedBy  string    `json:"used_by,omitempty"`
	// Networks and BMCNetworks are given to the rack. With Open, it is also given the networks that
	// it registers first.
	Networks    []netip.Prefix `json:"networks,omitempty"`
	BMCNetworks []netip.Prefix `json:"bmc_networks,omitempty"`
	Open        bool           `json:"open,omitempty"`
}

// RackInfo is a rack in the answers of the command socket.
type RackInfo struct {
	Name      string    `json:"name"`
	Zone      string    `json:"zone"`
	Connected bool      `json:"connected"`
	LastSeen  time.Time `json:"last_seen,omitzero"`
	Addresses []string  `json:"addresses"`
	// Certificate is the time at which its last certificate expires. It is zero for a rack without
	// one, such as the rack in the region's own process.
	Certificate time.Time `json:"certificate,omitzero"`
	// Revoked is set if all its certificates are revoked. Waiting are the networks that it
	// registered and that an administrator neither accepted nor ignored.
	Revoked bool           `json:"revoked,omitempty"`
	Waiting []netip.Prefix `json:"waiting,omitempty"`
	// Region is the region of its last report, Heard the time of that report. Away is the time
	// since which the rack counts as away; zero = it does not.
	Region string    `json:"region,omitempty"`
	Heard  time.Time `json:"heard,omitzero"`
	Away   time.Time `json:"away,omitzero"`
	// Report is its last report.
	Report inventory.RackReport `json:"report"`
}

// Paths of the command socket. They are not served to the network: a token admits a rack, and with
// it the secrets of BMCs.
const (
	TokensPath = "/api/v1/rack-tokens"
	RacksPath  = "/api/v1/racks"
)

// Local returns the API for the administrator on this host: it trusts its clients, for a socket
// that only the administrator can open.
func (r *Region) Local() http.Handler {
	// The patterns below are more specific than "/", so they win over the API's handler.
	mux := http.NewServeMux()
	mux.Handle("/", r.api.Local())
	profiles(mux)
	for pattern, serve := range map[string]func(*http.Request) (any, error){
		"GET " + TokensPath: r.listTokens, "POST " + TokensPath: r.createToken, "DELETE " + TokensPath + "/{id}": r.deleteToken,
		"GET " + RacksPath: r.listRacks, "POST " + RacksPath + "/{name}/revoke": r.revokeRack,
		"GET " + RacksPath + "/{name}/exposed": r.exposedByRack, "POST " + RacksPath + "/{name}/rotate": r.rotateForRack,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
			out, err := serve(maasapi.Audited(req))
			if err != nil {
				http.Error(w, err.Error(), statusOf(err))
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(out) // an error means that the client has gone
		})
	}
	return maasapi.Administrator(mux)
}

// statusOf returns the status of an error. Its text is sent whatever it is: the socket is the
// administrator's.
func statusOf(err error) int {
	invalid := (*inventory.InvalidError)(nil)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return http.StatusNotFound
	case errors.As(err, &invalid), errors.Is(err, errNoRacks):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

var errNoRacks = errors.New("this daemon takes no racks of other hosts; run `maas region` for that")

// tokenTime is the default life of a token, and maxTokenTime the longest. A token that leaks admits
// a rack until it expires, so the default is the time that it takes to paste it.
const (
	tokenTime    = time.Hour
	maxTokenTime = 30 * 24 * time.Hour
)

// createToken serves the form fields rack, zone, ttl, network, bmc_network (both may be repeated)
// and open, all optional. The answer alone has the token.
func (r *Region) createToken(req *http.Request) (any, error) {
	if r.racks == nil {
		return nil, errNoRacks
	}
	ctx, ttl := req.Context(), tokenTime
	if text := req.FormValue("ttl"); text != "" {
		var err error
		if ttl, err = time.ParseDuration(text); err != nil || ttl <= 0 || ttl > maxTokenTime {
			return nil, &inventory.InvalidError{Kind: kinds.Token, Name: text, Field: "ttl", Why: "is a time like 1h, at most 720h"}
		}
	}
	zone, err := r.zoneID(req, req.FormValue("zone"))
	if err != nil {
		return nil, err
	}
	wanted := inventory.RackToken{Rack: req.FormValue("rack"), ZoneID: zone, Expires: time.Now().Add(ttl), Open: req.FormValue("open") == "true"}
	if wanted.Networks, err = formNetworks(req, "network"); err != nil {
		return nil, err
	}
	if wanted.BMCNetworks, err = formNetworks(req, "bmc_network"); err != nil {
		return nil, err
	}
	t, token, err := r.racks.newToken(ctx, wanted)
	if err != nil {
		return nil, err
	}
	zones, err := r.zoneNames(req)
	info := tokenInfo(t, zones)
	info.Token = token.String()
	return info, err
}

// formNetworks reads a field that may be repeated.
func formNetworks(req *http.Request, field string) (out []netip.Prefix, err error) {
	for _, text := range req.Form[field] {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, &inventory.InvalidError{Kind: kinds.Token, Name: text, Field: field, Why: "is a network like 192.0.2.0/24"}
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// tokenInfo returns what may be shown of a token.
func tokenInfo(t inventory.RackToken, zones map[int64]string) TokenInfo {
	return TokenInfo{
		ID: t.ID, Rack: t.Rack, Zone: zones[t.ZoneID], Expires: t.Expires, Used: t.Used, UsedBy: t.UsedBy,
		Networks: t.Networks, BMCNetworks: t.BMCNetworks, Open: t.Open,
	}
}

// zoneID finds a zone by name; 0 = no name was given, which means the default zone.
func (r *Region) zoneID(req *http.Request, name string) (int64, error) {
	zones, err := r.inv.Zones.List(req.Context())
	if err != nil || name == "" {
		return 0, err
	}
	var names []string
	for _, z := range zones {
		if z.Name == name {
			return z.ID, nil
		}
		names = append(names, z.Name)
	}
	return 0, &inventory.InvalidError{Kind: kinds.Token, Name: name, Field: "zone", Why: fmt.Sprintf("is one of %q", names)}
}

// zoneNames returns the names of zones by ID.
func (r *Region) zoneNames(req *http.Request) (map[int64]string, error) {
	zones, err := r.inv.Zones.List(req.Context())
	names := make(map[int64]string)
	for _, z := range zones {
		names[z.ID] = z.Name
	}
	return names, err
}

// listTokens includes tokens that were used or have expired, so that an administrator sees what
// became of one. A new token removes those that expired a month ago.
func (r *Region) listTokens(req *http.Request) (any, error) {
	tokens, err1 := r.inv.RackTokens.List(req.Context())
	zones, err2 := r.zoneNames(req)
	out := []TokenInfo{}
	for _, t := range tokens {
		out = append(out, tokenInfo(t, zones))
	}
	return out, errors.Join(err1, err2)
}

// deleteToken revokes a token that was not used. A rack that used it stays enrolled.
func (r *Region) deleteToken(req *http.Request) (any, error) {
	id, err := strconv.ParseInt(req.PathValue("id"), 10, 64)
	if err != nil {
		return nil, &inventory.NotFoundError{Kind: kinds.Token, What: req.PathValue("id")}
	}
	return struct{}{}, r.inv.RackTokens.Delete(req.Context(), id)
}

// listRacks joins what the database knows of each rack with its sessions at this region. Connected
// is false for a rack with a session at another one, whose last report says so.
func (r *Region) listRacks(req *http.Request) (any, error) {
	racks, err1 := r.inv.Racks.List(req.Context())
	certs, err2 := r.inv.Enrolment.Certificates(req.Context())
	zones, err3 := r.zoneNames(req)
	health, err4 := r.inv.Health.Racks(req.Context())
	assigned, err5 := r.inv.Enrolment.Assignments(req.Context())
	connected := r.rpc.Racks()
	out := []RackInfo{}
	for _, k := range racks {
		info := RackInfo{Name: k.Name, Zone: zones[k.ZoneID], Connected: slices.Contains(connected, k.Name), LastSeen: k.LastSeen, Addresses: []string{}}
		h := health[k.Name]
		info.Region, info.Heard, info.Away, info.Report = h.Region, h.Heard, h.Away, h.Report
		for _, l := range k.Links {
			for _, a := range l.Addrs {
				info.Addresses = append(info.Addresses, a.String())
			}
		}
		// While a rack renews its certificate it has two; the later one counts.
		for _, c := range certs {
			switch {
			case c.Rack != k.Name:
			case !c.Revoked.IsZero():
				info.Revoked = true
			case c.Expires.After(info.Certificate):
				info.Certificate = c.Expires
			}
		}
		info.Revoked = info.Revoked && info.Certificate.IsZero()
		for _, p := range k.Proposals(assigned[k.Name]) {
			if !p.Ignored {
				info.Waiting = append(info.Waiting, p.Network)
			}
		}
		out = append(out, info)
	}
	return out, errors.Join(err1, err2, err3, err4, err5)
}

// revokeRack voids the certificates of a rack and answers with its [Exposed]. Its session with this
// region ends at once, its sessions with other regions once these read the change.
func (r *Region) revokeRack(req *http.Request) (any, error) {
	name := req.PathValue("name")
	if err := r.inv.Enrolment.Revoke(req.Context(), name); err != nil {
		return nil, err
	}
	// The watch of revocations would end the session too, a moment after the answer.
	if r.racks != nil {
		if err := r.racks.cutRevoked(req.Context()); err != nil {
			return nil, err
		}
	}
	return r.exposedByRack(req)
}
