package maasapi

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// Scanner has racks sweep subnets. Its methods may be called concurrently and do not wait for a
// sweep to end.
type Scanner interface {
	// Scan starts sweeping. The prefixes are subnets of the site; none means all of them.
	Scan(ctx context.Context, prefixes []netip.Prefix, slow bool) (Scan, error)
	// ScanStatus returns a scan, also for a while after it has ended. The error for an unknown scan
	// wraps fs.ErrNotExist.
	ScanStatus(ctx context.Context, id string) (Scan, error)
	// CancelScan ends a scan.
	CancelScan(ctx context.Context, id string) (Scan, error)
}

// Scan is a sweep by one or more racks. The first fields are the fields of MAAS' answer.
type Scan struct {
	Result    string   `json:"result"`
	Attempted []string `json:"scan_attempted_on"`
	Started   []string `json:"scan_started_on"`
	Failed    []string `json:"scan_failed_on"` // another scan was in progress
	NotFound  []string `json:"failed_to_connect_to"`
	TimedOut  []string `json:"rpc_call_timed_out_on"`

	ID      string     `json:"scan_id,omitempty"`
	Running bool       `json:"running"`
	Racks   []RackScan `json:"racks"`
	discovery.SweepProgress
	// Skipped are the subnets that no rack sweeps, with the reasons.
	Skipped map[string]string `json:"skipped,omitempty"`
}

// RackScan is one rack's part of a scan.
type RackScan struct {
	Rack    string   `json:"rack"`
	Subnets []string `json:"subnets"`
	Running bool     `json:"running"`
	Error   string   `json:"error,omitempty"`
	discovery.SweepProgress
}

// startScan reads cidr, force and slow. threads and always_use_ping are ignored, because clients of
// MAAS send them: ARP and neighbor solicitation find what pings find, and need no threads.
func (a *API) startScan(r *http.Request, f *form.Form) (any, error) {
	if a.scanner == nil {
		return nil, &unsupported{"discovery op=scan"}
	}
	var prefixes []netip.Prefix
	for _, text := range f.Values["cidr"] {
		p, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return nil, form.Invalid("cidr", "is not a prefix like 192.0.2.0/24")
		}
		prefixes = append(prefixes, p.Masked())
	}
	var force, slow bool
	f.Flag("force", &force)
	f.Flag("slow", &slow)
	f.Used("cidr", "threads", "always_use_ping")
	if err := f.Rest(); err != nil {
		return nil, err
	}
	if len(prefixes) == 0 && !force {
		return nil, form.Invalid("force", "is needed to scan all subnets; or name some with cidr")
	}
	if err := a.checkPrefixes(r, prefixes); err != nil {
		return nil, err
	}
	return a.scanner.Scan(r.Context(), prefixes, slow)
}

// checkPrefixes refuses prefixes outside of the site's subnets, so that the API cannot be used to
// scan other networks.
func (a *API) checkPrefixes(r *http.Request, prefixes []netip.Prefix) error {
	subnets, err := a.inv.Subnets.List(r.Context())
	if err != nil {
		return err
	}
	for _, p := range prefixes {
		inside := false
		for _, s := range subnets {
			inside = inside || s.Prefix.Bits() <= p.Bits() && s.Prefix.Contains(p.Addr())
		}
		if !inside {
			return form.Invalid("cidr", p.String()+" is not in any subnet of this site; add the subnet first")
		}
	}
	return nil
}

// getScan returns the progress of a scan.
func (a *API) getScan(r *http.Request) (any, error) {
	if a.scanner == nil {
		return nil, &unsupported{"scanning"}
	}
	return a.scanner.ScanStatus(r.Context(), r.PathValue("id"))
}

// cancelScan ends a scan.
func (a *API) cancelScan(r *http.Request) (any, error) {
	if a.scanner == nil {
		return nil, &unsupported{"scanning"}
	}
	return a.scanner.CancelScan(r.Context(), r.PathValue("id"))
}
