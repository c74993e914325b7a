package maasapi

import (
	"net/http"
	"time"
)

// Discovery is a device that a rack has seen.
type Discovery struct {
	IP         string    `json:"ip"`
	MACAddress string    `json:"mac_address"`
	VID        int       `json:"vid"`
	Hostname   string    `json:"hostname"`
	FirstSeen  time.Time `json:"first_seen"`
	LastSeen   time.Time `json:"last_seen"`
	Observer   Observer  `json:"observer"`
}

// Observer is the rack that saw it.
type Observer struct {
	Hostname      string `json:"hostname"`
	InterfaceName string `json:"interface_name"`
}

func (a *API) listDiscoveries(r *http.Request) (any, error) {
	if op := r.URL.Query().Get("op"); op != "" {
		return nil, &unsupported{"discovery op=" + op}
	}
	seen, err := a.inv.Observations(r.Context())
	if err != nil {
		return nil, err
	}
	out := []Discovery{}
	for _, o := range seen {
		out = append(out, Discovery{
			IP: o.Addr.String(), MACAddress: o.MAC.String(), VID: o.VID, Hostname: o.Hostname, FirstSeen: o.FirstSeen, LastSeen: o.LastSeen,
			Observer: Observer{Hostname: o.Rack, InterfaceName: o.Link},
		})
	}
	return out, nil
}
