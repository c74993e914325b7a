package console

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gomaas/maas/cmd/maas/guide"
)

// HostFinding is the result of a check of the region's host.
type HostFinding struct {
	Check string // such as "ports"
	Level string // "fine", "warning" or "error"
	Text  string
	Cure  string // empty when it is fine
}

// Guide returns the section of the guides about the check.
func (f HostFinding) Guide() string { return guide.OfCheck(f.Check) }

// hostLasts is the time for which checks of the host are shown again: they open connections, and
// take seconds.
const hostLasts = 30 * time.Second

// hostChecks are the last checks of the host.
type hostChecks struct {
	mu       sync.Mutex // held while the host is looked at, so that further pages wait
	at       time.Time
	findings []HostFinding
}

// look returns the findings and when they were made. A look goes on when the browser that asked
// for it leaves, since others wait for it.
func (h *hostChecks) look(ctx context.Context, now func(context.Context) []HostFinding) ([]HostFinding, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) > hostLasts {
		h.findings, h.at = now(context.WithoutCancel(ctx)), time.Now()
	}
	return h.findings, h.at
}

// hostPage shows the checks of the region's host to administrators: they name paths and programs.
func (c *Console) hostPage(w http.ResponseWriter, r *http.Request) error {
	switch {
	case !(frame{User: sessionOf(r).user}).Admin():
		return &refusal{Status: http.StatusForbidden, Text: "Only administrators see the checks of the host."}
	case c.cfg.Host == nil:
		return &refusal{Status: http.StatusNotFound, Text: "This page has no access to the checks of its host. Run `maas doctor` there."}
	}
	var out struct {
		Findings []HostFinding
		At       time.Time
	}
	out.Findings, out.At = c.host.look(r.Context(), c.cfg.Host)
	return c.show(w, r, "host", frame{Title: "The region's host", Here: "Doctor", Command: "maas doctor --quick", Data: out})
}
