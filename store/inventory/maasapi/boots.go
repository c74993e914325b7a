package maasapi

import (
	"net"
	"net/http"
	"time"

	"github.com/gomaas/maas/pxe"
)

// Boot is one boot of a machine: what it was offered, what it fetched, and how far it came.
type Boot struct {
	pxe.Attempt
	Diagnosis string `json:"diagnosis"` // in words
}

// listBoots returns the last boots of a machine, the latest first.
func (a *API) listBoots(r *http.Request) (any, error) {
	m, err := a.inv.MachineBySystemID(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	var macs []net.HardwareAddr
	for _, i := range m.Interfaces {
		if len(i.MAC) > 0 {
			macs = append(macs, i.MAC)
		}
	}
	all, err := a.boots.Of(r.Context(), macs...)
	out := []Boot{}
	for _, attempt := range all {
		out = append(out, Boot{attempt, attempt.Diagnosis(time.Now())})
	}
	return out, err
}
