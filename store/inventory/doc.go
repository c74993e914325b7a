// Package inventory is the data of a site: networks, machines, racks, zones, names and settings,
// kept in a database of package store.
//
//	db, err := store.Open(ctx, "sqlite:///var/lib/gomaas/maas.db", schema.FS)
//	inv, err := inventory.Open(ctx, db, inventory.Config{})
//	lab, err := inv.Subnets.Create(ctx, ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/24")})
//	machine, created, err := inv.Enlist(ctx, inventory.Enlistment{MAC: mac, Firmware: "uefi"})
//
// # Collections and verbs
//
// An [Inventory] has a [Collection] for each kind of object: inv.Fabrics.List, inv.Machines.Find,
// inv.VLANs.Update, inv.Tags.Delete. Further fields hold the rest by subject: inv.Settings.Set,
// inv.Leases.Record, inv.Events.Last, inv.Discoveries.Promote. What concerns several kinds is a
// method: Enlist, ClaimAuto, Model. Package setting names the settings, package kinds the kinds of
// objects in the change feed.
//
// # Transactions
//
// Each call is one transaction. [Inventory.Atomically] combines several: calls with its context
// happen together or not at all. [Inventory.Consistently] does so for reads.
//
// # Models and plans
//
// [Inventory.Model] reads the whole site as one value. The pure functions of package plan derive
// from it what DHCP, DNS, boot and proxy servers serve. [Inventory.Watch] reports when a model is
// out of date, and [Inventory.Follow] brings it up to date by reading only what changed.
//
// # Errors
//
// An object that does not exist is a [*NotFoundError] (fs.ErrNotExist), a name that is taken an
// [*ExistsError] (fs.ErrExist), and a delete of an object on which others depend an [*InUseError]
// that lists them. A field that breaks a rule is an [*InvalidError]; rules of the network model are
// package ipam's errors.
//
// Objects have a Version that counts their changes. An update has to carry the version that was
// read: if the object was changed since, the error is a [*StaleError] and nothing is written. A
// version of zero was not read, so it is refused too.
//
// # Secrets
//
// Passwords of power drivers and secrets of TSIG keys are stored apart from their objects, sealed
// with Config.Key. However they are printed, only stars appear; see [Secrets].
//
// An Inventory is safe for concurrent use, by several processes on one database as well.
package inventory
