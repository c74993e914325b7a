// Package sitedoc is a site's networks, names and machines as one document, which is exported, edited, and applied as a whole:
// all of it in one transaction, or nothing.
//
//	doc, err := sitedoc.Export(ctx, inv)
//	diff, err := sitedoc.Apply(ctx, inv, doc, sitedoc.Options{DryRun: true}) // nothing to do
//
// # What a document says
//
// Each object is known by what does not change: a subnet by its prefix, a VLAN by fabric and VID, a machine by its full name.
// A field that is left out has its default. A list that is left out is left alone, and so are objects that a list does not
// have, unless Options.Prune asks for their removal. Interfaces and links of a machine are part of it: those that are left out
// are removed when the list is there.
//
// Power settings, their secrets, TSIG keys, users and settings of the site are not in it, but for the site's boot profile.
//
// # Removal
//
// The default zone, pool, domain, fabric and VLANs stay. What machines, leases or held addresses depend on is refused, with
// the names of what is in the way; so is a machine that belongs to somebody, is locked, or is neither new nor ready.
package sitedoc
