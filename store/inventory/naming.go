package inventory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
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

// DNSRecord is a record that an operator made.
type DNSRecord struct {
	ID       int64
	Version  int64 // counts changes; an update must carry the one that was read
	DomainID int64
	Name     string // relative to the domain; "@" = the domain itself
	Type     string // A, AAAA, CNAME, MX, NS, SRV, SSHFP, TXT, CAA ...
	TTL      int    // in seconds; 0 = that of the domain
	Data     string // in the text form of RFC 1035
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

var records = table[DNSRecord]{
	kind: KindRecord, name: "dns_record", cols: []string{"domain_id", "name", "type", "ttl", "data"},
	id: func(r *DNSRecord) *int64 { return &r.ID }, version: func(r *DNSRecord) *int64 { return &r.Version },
	label: func(r *DNSRecord) string { return r.Name + " " + r.Type },
	fields: func(r *DNSRecord) []any {
		return []any{&r.DomainID, &r.Name, &r.Type, &r.TTL, &r.Data}
	},
}

var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// domainName brings a name into its canonical form and checks it.
func domainName(name string) (string, error) {
	name = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
	if name == "" || len(name) > 253 {
		return "", invalid(KindDomain, name, "name", "must be 1 to 253 characters")
	}
	for _, l := range strings.Split(name, ".") {
		if !label.MatchString(l) {
			return "", invalid(KindDomain, name, "name", fmt.Sprintf("has the label %q: a label is 1 to 63 letters, digits and inner hyphens", l))
		}
	}
	return name, nil
}

// hostName brings the name of a machine into its canonical form and checks
// it: one label (RFC 1123 section 2.1).
func hostName(kind, name string) (string, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if !label.MatchString(name) {
		return "", invalid(kind, name, "hostname", "must be 1 to 63 letters, digits and inner hyphens")
	}
	return name, nil
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
	name, err := domainName(d.Name)
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

// CreateRecord adds a DNS record to a domain (0 = the default one).
func (inv *Inventory) CreateRecord(ctx context.Context, r DNSRecord) (DNSRecord, error) {
	r.ID = 0
	err := inv.update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if r.DomainID == 0 {
			if r.DomainID, err = firstID(ctx, tx, "domain"); err != nil {
				return err
			}
		}
		if r, err = checkRecord(ctx, tx, r); err != nil {
			return err
		}
		return taken(records.insert(ctx, tx, &r), KindRecord, fmt.Sprintf("%s %s %s", r.Name, r.Type, r.Data))
	})
	return r, err
}

// UpdateRecord changes a DNS record.
func (inv *Inventory) UpdateRecord(ctx context.Context, r DNSRecord) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if r, err = checkRecord(ctx, tx, r); err != nil {
			return err
		}
		return taken(records.update(ctx, tx, &r), KindRecord, fmt.Sprintf("%s %s %s", r.Name, r.Type, r.Data))
	})
}

// DeleteRecord deletes a DNS record.
func (inv *Inventory) DeleteRecord(ctx context.Context, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error { return records.delete(ctx, tx, id) })
}

// Records lists the DNS records that operators made.
func (inv *Inventory) Records(ctx context.Context) ([]DNSRecord, error) {
	return listIn(ctx, inv, records, "")
}

// Record returns a DNS record.
func (inv *Inventory) Record(ctx context.Context, id int64) (DNSRecord, error) {
	return getIn(ctx, inv, records, id)
}
