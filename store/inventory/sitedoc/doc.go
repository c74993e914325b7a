// Package sitedoc exports a site's networks, names and machines as one document, and applies an
// edited one: all of it in one transaction, or nothing.
//
//	doc, err := sitedoc.Export(ctx, inv)
//	doc.Subnets[0].Gateway = "10.0.0.1"
//	changes, err := sitedoc.Apply(ctx, inv, doc, sitedoc.Options{DryRun: true}) // what would change
//
// # Objects, fields and lists
//
// An object is identified by what does not change: a subnet by its prefix, a VLAN by fabric and
// VID, a machine by its full name. A field that is left out gets its default. A list that is left
// out leaves its objects alone; objects that a list lacks stay unless Options.Prune is set.
// Interfaces and links are part of their machine: if the list is present, those that it lacks are
// removed.
//
// A rack that a VLAN names and that is not enrolled yet is left out with a warning, and so is DHCP
// if it is the only one. Generated names, such as fabric-3, are kept on another site.
//
// TSIG keys, users and passwords are not in a document.
//
// # Power
//
// Without "power", a machine's power control is left alone:
//
//	machines:
//	- hostname: node1
//	  power: {type: ipmi, parameters: {power_address: 192.0.2.9, power_user: admin, power_pass: "0123"}}
//
// Parameters that are left out get their defaults. Secret ones keep the stored value as long as the
// type stays; an empty value removes them. An empty type removes all settings. Secrets are written
// and never read: no exported document, change or error contains them. Changes list a secret that
// is set with [Hidden] for its value, and a removed one without a value.
//
// # Removal
//
// The default zone, pool, domain, fabric and VLANs stay. An object on which machines, leases or
// held addresses depend is not removed; the error names them. Nor is a machine that has an owner,
// is locked, or is neither new nor ready.
package sitedoc
