package inventory

import (
	"context"

	"github.com/gomaas/maas/store"
)

// Rotate replaces the signing keys of domains and the secrets of TSIG keys, all or none, and
// returns the TSIG keys with their new secrets. The parent of a signed zone needs its new DS
// record, and the holders of a TSIG key its new secret.
func (en *Enrolment) Rotate(ctx context.Context, zones, keys []string) (renewed []TSIGKey, err error) {
	err = en.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		renewed = nil
		for _, name := range zones {
			d, err := domains.one(ctx, tx, name, "name = ?", name)
			if err != nil {
				return err
			}
			d.KeyNumber++
			if err := domains.update(ctx, tx, &d); err != nil {
				return err
			}
		}
		for _, name := range keys {
			k, err := tsigKeys.one(ctx, tx, name, "name = ?", name)
			if err != nil {
				return err
			}
			k.Secret = ""
			if err := en.inv.prepareKey(&k); err != nil {
				return err
			}
			if err := tsigKeys.update(ctx, tx, &k); err != nil {
				return err
			}
			renewed = append(renewed, k)
		}
		return nil
	})
	return renewed, err
}

// Dismiss takes a rack out of the VLANs that name it: the secondary rack takes over, and without
// one DHCP is off.
func (en *Enrolment) Dismiss(ctx context.Context, rack string) error {
	return en.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		vs, err := vlans.list(ctx, tx, "primary_rack = ? OR secondary_rack = ?", rack, rack)
		if err != nil {
			return err
		}
		for _, v := range vs {
			if v.PrimaryRack == rack {
				v.PrimaryRack, v.SecondaryRack = v.SecondaryRack, ""
			} else {
				v.SecondaryRack = ""
			}
			v.DHCP = v.DHCP && v.PrimaryRack != ""
			if _, err := en.inv.VLANs.Update(ctx, v); err != nil {
				return err
			}
		}
		return nil
	})
}
