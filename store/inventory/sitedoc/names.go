package sitedoc

import (
	"context"
	"fmt"
	"strings"

	"github.com/gomaas/maas/store/inventory"
)

func (a *applier) domainByName(name string) (inventory.Domain, error) {
	all, err := a.inv.Domains(a.ctx)
	if err != nil {
		return inventory.Domain{}, err
	}
	for _, d := range all {
		if name == "" || strings.EqualFold(d.Name, strings.TrimSuffix(name, ".")) {
			return d, nil
		}
	}
	return inventory.Domain{}, fmt.Errorf("there is no domain %q", name)
}

func (a *applier) records(docs *[]Record) step {
	inv := a.inv
	return kind[Record, inventory.DNSRecord]{
		applier: a, name: "record", docs: docs, list: inv.Records, id: func(r inventory.DNSRecord) int64 { return r.ID },
		doc: func(r inventory.DNSRecord) (Record, error) {
			d, err := inv.Domain(a.ctx, r.DomainID)
			return Record{d.Name, r.Name, r.Type, r.Data, r.TTL}, err
		},
		key: func(d Record) string {
			return strings.ToLower(d.Name+" "+d.Domain) + " " + strings.ToUpper(d.Type) + " " + d.Data
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
		create: inv.CreateRecord, update: inv.UpdateRecord,
		remove: func(ctx context.Context, r inventory.DNSRecord) error { return inv.DeleteRecord(ctx, r.ID) },
	}
}
