package sitedoc

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/gomaas/maas/store/inventory"
)

func (a *applier) domains(docs *[]Domain) step {
	inv := a.inv
	return kind[Domain, inventory.Domain]{
		applier: a, name: "domain", docs: docs, objects: inv.Domains, id: func(d inventory.Domain) int64 { return d.ID },
		doc: func(d inventory.Domain) (Domain, error) {
			out := Domain{
				Name: d.Name, Default: d.ID == defaultDomainID, TTL: d.TTL, External: d.External, Forward: texts(d.Forward),
				AllowTransfer: d.AllowTransfer, Notify: texts(d.Notify), AllowUpdate: texts(d.AllowUpdate), Racks: d.Racks,
			}
			// Left out if false: a document of an older release, which cannot have it, applies
			// without a change.
			if d.Signed {
				out.DNSSEC = &d.Signed
			}
			return out, nil
		},
		key:   func(d Domain) string { return strings.ToLower(strings.TrimSuffix(d.Name, ".")) },
		fill:  fillDomain,
		stays: func(d inventory.Domain) bool { return d.ID == defaultDomainID },
	}
}

func (a *applier) domainByName(name string) (inventory.Domain, error) {
	all, err := a.inv.Domains.List(a.ctx)
	if err != nil {
		return inventory.Domain{}, err
	}
	for _, d := range all {
		// The first domain is the default one.
		if name == "" || strings.EqualFold(d.Name, strings.TrimSuffix(name, ".")) {
			return d, nil
		}
	}
	return inventory.Domain{}, fmt.Errorf("there is no domain %q", name)
}

// fillDomain sets a domain's fields.
func fillDomain(d Domain, to *inventory.Domain) (err error) {
	to.Name, to.TTL, to.External = strings.ToLower(strings.TrimSuffix(d.Name, ".")), d.TTL, d.External
	// Rights of others stay if the document says nothing about them: to forget the list by mistake
	// would cut off secondaries, or open the zone.
	if d.DNSSEC != nil {
		to.Signed = *d.DNSSEC
	}
	if to.Forward, err = servers("forward", d.Forward); err != nil {
		return err
	}
	if d.Notify != nil {
		if to.Notify, err = servers("notify", d.Notify); err != nil {
			return err
		}
	}
	if d.Racks != nil {
		to.Racks = d.Racks
	}
	if d.AllowTransfer != nil {
		to.AllowTransfer = inventory.CanonicalTransfer(d.AllowTransfer)
	}
	if d.AllowUpdate != nil {
		to.AllowUpdate = nil
	}
	for _, text := range d.AllowUpdate {
		var g inventory.UpdateGrant
		if err := g.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("allow_update: %w", err)
		}
		to.AllowUpdate = append(to.AllowUpdate, g)
	}
	return nil
}

// servers reads addresses with ports.
func servers(field string, list []string) (out []netip.AddrPort, err error) {
	for _, text := range list {
		ap, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is not an address and port like 192.0.2.1:53", field, text)
		}
		out = append(out, ap)
	}
	return out, nil
}

// texts are values as texts.
func texts[T fmt.Stringer](values []T) (out []string) {
	for _, v := range values {
		out = append(out, v.String())
	}
	return out
}

func (a *applier) records(docs *[]Record) step {
	inv := a.inv
	return kind[Record, inventory.DNSRecord]{
		applier: a, name: "record", docs: docs, objects: inv.Records, id: func(r inventory.DNSRecord) int64 { return r.ID },
		doc: func(r inventory.DNSRecord) (Record, error) {
			d, err := inv.Domains.Get(a.ctx, r.DomainID)
			return Record{d.Name, r.Name, r.Type, r.Data, r.TTL}, err
		},
		key: func(d Record) string {
			// A name has several records, so the data is part of the key, in the form in which it
			// is stored.
			kind := strings.ToUpper(d.Type)
			return strings.ToLower(d.Name+" "+d.Domain) + " " + kind + " " + inventory.CanonicalData(kind, d.Data)
		},
		fill: func(d Record, r *inventory.DNSRecord) error {
			domain, err := a.domainByName(d.Domain)
			if r.ID != 0 { // known by its name: only this may differ
				r.TTL = d.TTL
				return err
			}
			r.DomainID, r.Name, r.Type, r.Data, r.TTL = domain.ID, d.Name, d.Type, d.Data, d.TTL
			return err
		},
	}
}
