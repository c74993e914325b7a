// Package sitedoc is a site's networks, names and machines as one document, which is exported,
// edited, and applied as a whole: all of it in one transaction, or nothing.
//
//	doc, err := sitedoc.Export(ctx, inv)
//	diff, err := sitedoc.Apply(ctx, inv, doc, sitedoc.Options{DryRun: true}) // nothing to do
//
// # What a document says
//
// Each object is known by what does not change: a subnet by its prefix, a VLAN by fabric and VID, a
// machine by its full name. A field that is left out has its default. A list that is left out is
// left alone, and so are objects that a list does not have, unless Options.Prune asks for their
// removal. Interfaces and links of a machine are part of it: those that are left out are removed
// when the list is there.
//
// TSIG keys, users and settings of the site are not in it, but for the site's boot profile.
//
// # Power
//
// A machine says how it is switched, if the document does; without it, that is left alone:
//
//	machines:
//	- hostname: node1
//	  power: {type: ipmi, parameters: {power_address: 192.0.2.9, power_user: admin, power_pass: "0123"}}
//
// Parameters that are left out have their defaults, but for secret ones, which keep what is stored
// as long as the type stays; given empty, they are removed. A type that is empty removes all
// settings. Secrets are written and never read: no exported document, change or error has them.
// Changes tell the names of those that are set with [Hidden] in the place of a value, and of those
// that are removed with none.
//
// # Removal
//
// The default zone, pool, domain, fabric and VLANs stay. What machines, leases or held addresses
// depend on is refused, with the names of what is in the way; so is a machine that belongs to
// somebody, is locked, or is neither new nor ready.
package sitedoc
