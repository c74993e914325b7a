package region

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

// explainPast returns who had an address at a time: from the history of leases, and from what was
// observed and is remembered still. What is configured has no history but the audit log.
func (r *Region) explainPast(ctx context.Context, ip netip.Addr, at time.Time) (AddressExplanation, error) {
	out := AddressExplanation{IP: ip, At: at, Facts: []AddressFact{}, Racks: []RackAnswer{}}
	err := r.inv.Consistently(ctx, func(ctx context.Context) error {
		out.Facts = out.Facts[:0] // the database may ask for another run
		if s, err := r.inv.SubnetFor(ctx, ip); err == nil {
			out.Subnet = s.Prefix.String()
		}
		found, err := r.inv.Leases.History(ctx, inventory.PeriodFilter{Addr: ip, At: at})
		if err != nil {
			return err
		}
		for _, p := range found {
			f, err := r.pastLease(ctx, p)
			if err != nil {
				return err
			}
			out.Facts = append(out.Facts, f)
		}
		if len(found) == 0 {
			if err := r.explainGap(ctx, &out); err != nil {
				return err
			}
		}
		seen, err := r.inv.Discoveries.List(ctx, inventory.AllDiscoveries)
		for _, d := range seen {
			if d.Addr == ip && !at.Before(d.FirstSeen) && !at.After(d.LastSeen) {
				out.Facts = append(out.Facts, AddressFact{
					Kind: "discovery", Text: fmt.Sprintf("seen by rack %s on %s from %s", d.Rack, d.Link, d.MAC), Who: d.MAC.String(), Since: d.FirstSeen, Until: d.LastSeen,
				})
			}
		}
		return err
	})
	return out, err
}

// pastLease describes a period of the history.
func (r *Region) pastLease(ctx context.Context, p inventory.LeasePeriod) (AddressFact, error) {
	client, who := cmp.Or(p.MAC.String(), "client "+p.ClientID), ""
	if len(p.MAC) > 0 {
		var err error
		if who, err = r.leaseHolder(ctx, p.MAC); err != nil {
			return AddressFact{}, err
		}
	}
	text := "leased to " + client
	if p.Bits > 0 {
		text = fmt.Sprintf("part of %v, delegated to %s", netip.PrefixFrom(p.Addr, p.Bits), client)
	}
	if p.Hostname != "" {
		text += " (" + p.Hostname + ")"
	}
	if who != "" {
		text += " of " + who
	}
	until := p.Expires
	if !p.Ended.IsZero() {
		text, until = text+", then "+p.How, p.Ended
	}
	return AddressFact{Kind: "lease", Text: text, Who: client, Since: p.Began, Until: until}, nil
}

// leaseHolder returns the name of the machine that has a link address now; "" = none.
func (r *Region) leaseHolder(ctx context.Context, mac net.HardwareAddr) (string, error) {
	found, err := r.inv.Leases.Find(ctx, inventory.LeaseFilter{MAC: mac})
	for _, l := range found {
		if l.FQDN != "" {
			return l.FQDN, err
		}
	}
	return "", err
}

// explainGap adds the leases before and after a time without one, and how far the history reaches.
func (r *Region) explainGap(ctx context.Context, out *AddressExplanation) error {
	all, err := r.inv.Leases.History(ctx, inventory.PeriodFilter{Addr: out.IP})
	if err != nil {
		return err
	}
	begins, err := r.inv.Leases.HistoryBegins(ctx)
	if err != nil {
		return err
	}
	add := func(f AddressFact) { out.Facts = append(out.Facts, f) }
	switch {
	case begins.IsZero() || out.At.Before(begins):
		add(AddressFact{Kind: "history", Text: "the history of leases does not reach back so far", Since: begins})
	default:
		add(AddressFact{Kind: "history", Text: "no lease of it at that time"})
	}
	// The latest is first: the last one that began after the time is the next.
	for i, p := range all {
		if p.Began.After(out.At) && i+1 < len(all) && all[i+1].Began.After(out.At) {
			continue
		}
		f, err := r.pastLease(ctx, p)
		if err != nil {
			return err
		}
		if p.Began.After(out.At) {
			f.Text = "next: " + f.Text
			add(f)
			continue
		}
		f.Text = "before: " + f.Text
		add(f)
		break
	}
	return nil
}
