// Package inventory is a region's view of its site: networks, machines, racks, zones, names and
// settings, kept in a database of package store.
//
// # One call
//
//	db, err := store.Open(ctx, "sqlite:///var/lib/maas/maas.db", schema.FS)
//	inv, err := inventory.Open(ctx, db, inventory.Config{})
//	machine, created, err := inv.Enlist(ctx, inventory.Enlistment{MAC: mac, Firmware: "uefi"})
//
// # Transactions
//
// Each method of [Inventory] is one transaction. [Inventory.Atomically] makes one of several: calls
// given its ctx happen together or not at all.
//
// # The parts
//
// [Inventory.Model] reads the whole site as one value, and pure functions make of it what the
// servers run on: [PlanDHCP], [PlanDNS] and [PlanProxy]; [Model.BootOf] says what a machine boots.
// [Inventory.Watch] tells when to do that again, and [Inventory.Follow] reads only what changed.
//
// # Errors
//
// An object that is not there is a [*NotFoundError] (fs.ErrNotExist), a name or address that is
// taken is fs.ErrExist, a delete that something is in the way of is an [*InUseError] that lists it.
// Rules of the network model are package ipam's errors.
//
// Every object with an Update method has a Version that counts its changes. An update carries the
// version that was read; if somebody changed the object since, it is refused with a [*StaleError]
// and nothing is written. An object whose Version is zero was not read, so it is refused too.
//
// # Secrets
//
// Power passwords are held apart from machines and sealed with Config.Key. Nothing here prints
// them: see [Secrets].
package inventory
