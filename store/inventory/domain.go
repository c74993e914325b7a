package inventory

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/store"
)

// Domain is a DNS domain that machines' names are in.
type Domain struct {
	ID      int64
	Version int64  // counts changes; an update must carry the one that was read
	Name    string // unique, in lower case, without a final dot
	// External domains are served by somebody else: no zone is made here.
	External bool
	TTL      int // of its records, in seconds; 0 = the site's default
	// Forward are the servers that questions about an External domain go to; nil = those of all other names.
	Forward []netip.AddrPort
	// AllowTransfer are networks and names of TSIG keys from and with which the zone may be fetched, besides those of SettingDNSTransfer.
	AllowTransfer []string
	// Notify are secondaries that are told of each change of the zone, besides those of SettingDNSNotify.
	Notify []netip.AddrPort
	// AllowUpdate are who may change the domain's records by dynamic updates. Those of domains of reverse names are refused.
	AllowUpdate []UpdateGrant
	// Signed domains are answered with DNSSEC signatures; see [Inventory.SigningKey].
	Signed bool
}

var domains = table[Domain]{
	kind: KindDomain, name: "domain", cols: []string{"name", "external", "ttl", "forward", "signed", "allow_transfer", "notify", "allow_update"},
	id: func(d *Domain) *int64 { return &d.ID }, version: func(d *Domain) *int64 { return &d.Version },
	label: func(d *Domain) string { return d.Name },
	fields: func(d *Domain) []any {
		return []any{
			&d.Name, &d.External, &d.TTL, asJSON{&d.Forward}, &d.Signed, asJSON{&d.AllowTransfer}, asJSON{&d.Notify}, asJSON{&d.AllowUpdate},
		}
	},
}

// CreateDomain adds a domain.
func (inv *Inventory) CreateDomain(ctx context.Context, d Domain) (Domain, error) {
	d, err := inv.checkDomain(d)
	if err != nil {
		return d, err
	}
	d.ID = 0
	err = inv.update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if err := checkAccess(ctx, tx, &d); err != nil {
			return err
		}
		d, err = createNamed(ctx, inv, domains, d, d.Name)
		return err
	})
	return d, err
}

// checkDomain brings the domain into its canonical form.
func (inv *Inventory) checkDomain(d Domain) (Domain, error) {
	name, err := DomainName(d.Name)
	if err != nil {
		return d, err
	}
	d.Name = name
	if d.TTL < 0 || d.TTL > math.MaxInt32 {
		return d, invalid(KindDomain, name, "ttl", "must be from 0 to 2147483647 seconds")
	}
	if d.Signed && d.External {
		return d, invalid(KindDomain, name, "dnssec", "is for domains that are authoritative")
	}
	if d.Signed && len(inv.zoneSecret) == 0 {
		return d, invalid(KindDomain, name, "dnssec", "takes a key of secrets, from which those of zones are made")
	}
	if len(d.Forward) > 0 && !d.External {
		return d, invalid(KindDomain, name, "forward_dns_servers", "are for domains that are not authoritative")
	}
	for _, s := range d.Forward {
		if !s.IsValid() || s.Port() == 0 || s.Addr().IsUnspecified() {
			return d, invalid(KindDomain, name, "forward_dns_servers", s.String()+" is not the address and port of a server")
		}
	}
	return d, nil
}

// UpdateDomain changes a domain. Machines in it change their names with it.
func (inv *Inventory) UpdateDomain(ctx context.Context, d Domain) error {
	d, err := inv.checkDomain(d)
	if err != nil {
		return err
	}
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := checkAccess(ctx, tx, &d); err != nil {
			return err
		}
		return updateNamed(ctx, inv, domains, d, d.Name)
	})
}

// Domains lists the domains. The first is the default one.
func (inv *Inventory) Domains(ctx context.Context) ([]Domain, error) {
	return listIn(ctx, inv, domains, "")
}

// Domain returns a domain.
func (inv *Inventory) Domain(ctx context.Context, id int64) (Domain, error) {
	return getIn(ctx, inv, domains, id)
}

// DeleteDomain deletes a domain with its records, unless it is the default
// one or machines are in it.
func (inv *Inventory) DeleteDomain(ctx context.Context, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		d, err := domains.get(ctx, tx, id)
		if err != nil {
			return err
		}
		first, err := firstID(ctx, tx, "domain")
		if err != nil {
			return err
		}
		if id == first {
			return &InUseError{Kind: KindDomain, Name: d.Name, Remedy: "it is the default domain"}
		}
		by, err := namesOf(ctx, tx, "machine ", "SELECT hostname FROM node WHERE domain_id = ? ORDER BY hostname", id)
		if err != nil {
			return err
		}
		if err := inUse(KindDomain, d.Name, "move them to another domain first", by); err != nil {
			return err
		}
		return errors.Join(records.deleteWhere(ctx, tx, "domain_id = ?", id), domains.delete(ctx, tx, id))
	})
}

// keys are the names of keys that a domain's lists have.
func (d *Domain) keys() []string {
	_, keys := SplitTransfer(d.AllowTransfer)
	for _, g := range d.AllowUpdate {
		keys = append(keys, g.Key)
	}
	return keys
}

// checkAccess brings who may do what with a domain's zone into its canonical form, and checks it.
func checkAccess(ctx context.Context, tx *store.Tx, d *Domain) error {
	if d.External && len(d.AllowTransfer)+len(d.Notify)+len(d.AllowUpdate) > 0 {
		return invalid(KindDomain, d.Name, "allow_transfer", "is for domains that are authoritative, as are notify and allow_update")
	}
	_, keys := SplitTransfer(d.AllowTransfer)
	if err := checkKeys(ctx, tx, KindDomain, d.Name, "allow_transfer", keys); err != nil {
		return err
	}
	d.AllowTransfer = CanonicalTransfer(d.AllowTransfer)
	for _, s := range d.Notify {
		if !s.IsValid() || s.Port() == 0 || s.Addr().IsUnspecified() {
			return invalid(KindDomain, d.Name, "notify", s.String()+" is not the address and port of a server")
		}
	}
	for i := range d.AllowUpdate {
		g := &d.AllowUpdate[i]
		if err := checkKeys(ctx, tx, KindDomain, d.Name, "allow_update", []string{g.Key}); err != nil {
			return err
		}
		if !ownerName.MatchString(g.Name) {
			return invalid(KindDomain, d.Name, "allow_update", g.String()+": "+g.Name+" is not a name relative to the domain")
		}
		for _, t := range g.Types {
			if !slices.Contains(recordTypes, t) {
				return invalid(KindDomain, d.Name, "allow_update", g.String()+": "+t+" is not one of "+strings.Join(recordTypes, ", "))
			}
		}
	}
	return nil
}
