package maasapi

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// LeasePeriod is the time for which a client had an address or a delegated prefix.
type LeasePeriod struct {
	IP         string     `json:"ip"`
	Prefix     string     `json:"prefix,omitempty"` // delegated, begins with IP
	Subnet     string     `json:"subnet"`           // prefix, as it was then
	MACAddress string     `json:"mac_address"`
	ClientID   string     `json:"client_id"` // in hexadecimal
	Hostname   string     `json:"hostname"`  // as the client gave it
	Began      time.Time  `json:"began"`
	Expires    *time.Time `json:"expires"`
	Ended      *time.Time `json:"ended"` // null = it has not
	How        string     `json:"how"`   // released, expired, declined, conflict or replaced
}

// LeasePeriodOf shows a period.
func LeasePeriodOf(p inventory.LeasePeriod) LeasePeriod {
	out := LeasePeriod{
		IP: p.Addr.String(), Subnet: p.Subnet.String(), MACAddress: p.MAC.String(), ClientID: p.ClientID, Hostname: p.Hostname, Began: p.Began, How: p.How,
		Prefix: prefixText(p.Addr, p.Bits),
	}
	if !p.Expires.IsZero() {
		out.Expires = &p.Expires
	}
	if !p.Ended.IsZero() {
		out.Ended = &p.Ended
	}
	return out
}

// maxPeriods bounds the periods of an answer; limit and offset page through them.
const maxPeriods = 10_000

// leaseHistory lists who had which address when, the latest first, by ip, mac_address and at.
func (a *API) leaseHistory(r *http.Request) (any, error) {
	filter := inventory.PeriodFilter{Limit: maxPeriods}
	f := &form.Form{Values: r.URL.Query()}
	if ip, err := netip.ParsePrefix(f.Get("ip")); err == nil {
		filter.Addr = ip.Masked().Addr() // of a delegated prefix
	} else {
		f.Addr("ip", &filter.Addr)
	}
	f.MAC("mac_address", (*[]byte)(&filter.MAC))
	if text := f.Get("at"); text != "" {
		at, err := ParseTime(text, time.Now())
		if err != nil {
			f.Wrong("at", "%v", err)
		}
		filter.At = at
	}
	if f.Err != nil {
		return nil, f.Err
	}
	filter.Addr = filter.Addr.Unmap()
	found, err := a.inv.Leases.History(r.Context(), filter)
	out := []LeasePeriod{}
	for _, p := range found {
		out = append(out, LeasePeriodOf(p))
	}
	return out, err
}

// maxAgo bounds a time before now; more overflows.
const maxAgo = 100 * 365

// ParseTime reads a time: as RFC 3339 has it, or how long before now, such as "2h", "90m ago" or
// "3d".
func ParseTime(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	ago := strings.TrimSpace(strings.TrimSuffix(text, "ago"))
	if days, ok := strings.CutSuffix(ago, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 32); err == nil && n <= maxAgo {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(ago); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: give one such as 2026-11-30T08:00:00Z, or how long ago, such as 2h or 3d", text)
}
