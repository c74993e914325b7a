// Package siteexport writes the configurations of other servers from a site document.
//
//	doc, err := sitedoc.Export(ctx, inv)
//	got, err := siteexport.Write(doc, "dhcpd", siteexport.Options{BootServer: "192.0.2.5"})
//	for _, f := range got.Files { ... }  // dhcpd.conf and dhcpd6.conf
//	fmt.Print(got.Report)                // what became of each object and field
//
// It is the way back of package siteimport, and [Kinds] lists what can be written.
//
// # Report
//
// Each field of the document that is set has one outcome: it is taken, changed or left out, with
// the reason. Fields of an object with the same outcome share an [Item].
//
// # Kinds
//
// DHCP servers get a shared network for each VLAN with subnets, a pool for each dynamic range,
// classes, hosts by MAC address, and the options that clients get from a rack. Subnets are written
// whether DHCP is on or off: a server answers where it has an interface. Boot files are written for
// the firmware of each architecture if Options.BootServer names the rack, or another server, that
// has them.
//
// DNS servers and hosts files get the names of machines and devices by the same rules as racks: the
// first interface with addresses has the full name, and others have the name of the interface
// before it.
//
// Leases are not in a document. Secrets are neither, so keys and passwords have to be set by hand.
//
// # Determinism
//
// Write is a pure function: equal documents give equal files. It is safe for concurrent use and
// does not change the document.
package siteexport
