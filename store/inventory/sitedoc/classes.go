package sitedoc

import "github.com/gomaas/maas/store/inventory"

func (a *applier) classes(docs *[]Class) step {
	return kind[Class, inventory.Class]{
		applier: a, name: "dhcp class", docs: docs, objects: a.inv.Classes, id: func(c inventory.Class) int64 { return c.ID },
		doc: func(c inventory.Class) (Class, error) {
			return Class{
				Name: c.Name, Description: c.Description, Sequence: c.Sequence, VendorClass: c.VendorClass, UserClass: c.UserClass, Arch: c.Arch,
				MACPrefix: c.MACPrefix, CircuitID: c.CircuitID, Ignore: c.Ignore, Options: c.Options,
			}, nil
		},
		key: func(d Class) string { return d.Name },
		fill: func(d Class, c *inventory.Class) error {
			c.Name, c.Description, c.Sequence, c.VendorClass, c.UserClass, c.Arch = d.Name, d.Description, d.Sequence, d.VendorClass, d.UserClass, d.Arch
			c.MACPrefix, c.CircuitID, c.Ignore, c.Options = d.MACPrefix, d.CircuitID, d.Ignore, d.Options
			return nil
		},
	}
}
