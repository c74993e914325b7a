package sitedoc

import (
	"bytes"
	"context"
	"errors"

	"github.com/gomaas/maas/store/inventory"
)

// hidden is a kind whose objects hold secrets: nothing of it is exported.
type hidden struct{ step }

func (hidden) export() error { return nil }

// userDatum is user data with its content, if the document changes it.
type userDatum struct {
	inventory.UserData
	data    []byte
	changed bool
}

func (a *applier) userData(docs *[]UserData) step {
	inv := a.inv
	set := func(ctx context.Context, u userDatum) error { return inv.UserData.Set(ctx, u.For, u.data) }
	return hidden{kind[UserData, userDatum]{
		applier: a, name: "user data", docs: docs, id: func(userDatum) int64 { return 0 },
		list: func(ctx context.Context) (out []userDatum, err error) {
			all, err := inv.UserData.List(ctx)
			for _, u := range all {
				out = append(out, userDatum{UserData: u})
			}
			return out, err
		},
		// The content is not in a report, so its change is shown by stars.
		doc: func(u userDatum) (UserData, error) {
			var out UserData
			switch {
			case u.For.MachineID != 0:
				out.Machine = u.Name
			case u.For.TagID != 0:
				out.Tag = u.Name
			}
			if u.changed {
				out.Data = Hidden
			}
			return out, nil
		},
		key:  func(d UserData) string { return a.profileName(BootProfile{Machine: d.Machine, Tag: d.Tag}) },
		fill: a.fillUserData,
		create: func(ctx context.Context, u userDatum) (userDatum, error) {
			return u, set(ctx, u)
		},
		update: set,
		remove: func(ctx context.Context, u userDatum) error { return inv.UserData.Set(ctx, u.For, nil) },
	}}
}

func (a *applier) fillUserData(d UserData, u *userDatum) error {
	var of inventory.BootProfile
	if err := a.fillProfile(BootProfile{Machine: d.Machine, Tag: d.Tag}, &of); err != nil {
		return err
	}
	u.For, u.Name = of.For, of.Name
	if d.Data == "" {
		return errors.New("data is empty; leave the whole entry out to keep what is stored")
	}
	stored, err := a.inv.UserData.Get(a.ctx, u.For)
	if err != nil {
		return err
	}
	u.data, u.changed = []byte(d.Data), !bytes.Equal(stored, []byte(d.Data))
	return nil
}
