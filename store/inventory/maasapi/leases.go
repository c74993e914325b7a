package maasapi

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// Lease is an address or a delegated prefix that a client has from DHCP, or an address that DHCP
// keeps for it.
type Lease struct {
	IP         string `json:"ip"`
	Prefix     string `json:"prefix,omitempty"`    // delegated, begins with IP
	ClientID   string `json:"client_id,omitempty"` // DUID of the client of a prefix, in hexadecimal
	MACAddress string `json:"mac_address"`
	Hostname   string `json:"hostname"` // as the client gave it
	// SystemID and FQDN are those of the machine or device that has the MAC.
	SystemID string     `json:"system_id"`
	FQDN     string     `json:"fqdn"`
	Subnet   string     `json:"subnet"` // prefix
	State    string     `json:"state"`  // active, expired or reserved
	Began    *time.Time `json:"began"`
	Expires  *time.Time `json:"expires"`
}

// listLeases lists leases in order of address. The filters are subnet, mac_address, name and state.
func (a *API) listLeases(r *http.Request) (any, error) {
	var filter inventory.LeaseFilter
	f := &form.Form{Values: r.URL.Query()}
	readRef(f, "subnet", &filter.SubnetID, a.subnetRef(r))
	f.MAC("mac_address", (*[]byte)(&filter.MAC))
	f.Text("name", &filter.Name)
	state := f.Get("state")
	switch filter.State = inventory.LeaseState(state); filter.State {
	case "", inventory.LeaseActive, inventory.LeaseExpired, inventory.LeaseReserved:
	default:
		f.Wrong("state", "%q is none of active, expired and reserved", state)
	}
	if f.Err != nil {
		return nil, f.Err
	}
	return a.leases(r, filter)
}

// LeaseReleaser has racks end leases. It may be called concurrently.
type LeaseReleaser interface {
	// ReleaseLease ends the lease of an address as its client would, and waits until that is
	// durable. Without a lease the error is an [inventory.NotFoundError], and one that wraps
	// [ErrUnreachable] if no rack could be asked.
	ReleaseLease(ctx context.Context, addr netip.Addr) error
}

// ErrUnreachable is wrapped by errors of racks that cannot be reached now: the answer is 503, so
// that clients try again.
var ErrUnreachable = errors.New("unreachable")

// leaseAddr reads the address of a lease from the path, which may have a delegated prefix instead.
func leaseAddr(r *http.Request) (netip.Addr, error) {
	text := r.PathValue("ip")
	ip, err := netip.ParseAddr(text)
	if p, notPrefix := netip.ParsePrefix(text); notPrefix == nil && p == p.Masked() {
		ip, err = p.Addr(), nil
	}
	if err != nil {
		return ip, form.Invalid("ip", "is neither an IP address nor a delegated prefix")
	}
	return ip.Unmap(), nil
}

// prefixText returns a delegated prefix as text; "" = there is none.
func prefixText(a netip.Addr, bits int) string {
	if bits == 0 {
		return ""
	}
	return netip.PrefixFrom(a, bits).String()
}

// releaseLease ends the lease of an address.
func (a *API) releaseLease(r *http.Request) (any, error) {
	if a.ending == nil {
		return nil, &unsupported{"ending leases"}
	}
	ip, err := leaseAddr(r)
	if err != nil {
		return nil, err
	}
	return nil, a.ending.ReleaseLease(r.Context(), ip)
}

// getLease shows the lease of an address.
func (a *API) getLease(r *http.Request) (any, error) {
	ip, err := leaseAddr(r)
	if err != nil {
		return nil, err
	}
	found, err := a.leases(r, inventory.LeaseFilter{Addr: ip})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, &inventory.NotFoundError{Kind: "lease", What: "of " + ip.String()}
	}
	return found[0], nil
}

func (a *API) leases(r *http.Request, filter inventory.LeaseFilter) ([]Lease, error) {
	subnets, err := a.inv.Subnets.List(r.Context())
	if err != nil {
		return nil, err
	}
	prefixes := make(map[int64]string, len(subnets))
	for _, s := range subnets {
		prefixes[s.ID] = s.Prefix.String()
	}
	found, err := a.inv.Leases.Find(r.Context(), filter)
	out := []Lease{}
	for _, l := range found {
		shown := Lease{
			IP: l.Addr.String(), MACAddress: l.MAC.String(), Hostname: l.Hostname, SystemID: l.SystemID, FQDN: l.FQDN,
			Subnet: prefixes[l.SubnetID], State: string(l.State), ClientID: l.ClientID, Prefix: prefixText(l.Addr, l.Bits),
		}
		if !l.Began.IsZero() {
			shown.Began = &l.Began
		}
		if !l.Expires.IsZero() {
			shown.Expires = &l.Expires
		}
		out = append(out, shown)
	}
	return out, err
}
