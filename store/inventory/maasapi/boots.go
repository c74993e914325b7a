package maasapi

import (
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
)

// Boot is one boot of a machine: what it was offered, what it fetched, and how far it came.
type Boot struct {
	pxe.Attempt
	Diagnosis string `json:"diagnosis"` // in words
	Cause     string `json:"cause"`     // of a boot that stopped, see pxe.Attempt.Cause; empty otherwise
	// Console holds the last lines of the serial console, if a client was attached to it during the
	// boot or after it.
	Console []string `json:"console,omitempty"`
}

// consoleEvents bounds the events of a machine that are searched for what its console showed.
const consoleEvents = 256

// addConsole adds what the console showed last to the boots that it was of, which are sorted, the
// latest first.
func (a *API) addConsole(r *http.Request, machine int64, boots []Boot) error {
	events, err := a.events.Last(r.Context(), machine, consoleEvents)
	if err != nil {
		return err
	}
	for _, e := range events { // the oldest first, so that the last lines remain
		if e.Kind != "console" {
			continue
		}
		for i := range boots {
			if !e.Time.Before(boots[i].Start) {
				boots[i].Console = strings.Split(e.Description, inventory.ConsoleLine)
				break
			}
		}
	}
	return nil
}

// bootOf explains an attempt as it stands now.
func bootOf(a pxe.Attempt) Boot {
	now := time.Now()
	return Boot{Attempt: a, Diagnosis: a.Diagnosis(now), Cause: a.Cause(now)}
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
		out = append(out, bootOf(attempt))
	}
	if err == nil {
		err = a.addConsole(r, m.ID, out)
	}
	return out, err
}
