// Package siteimport reads the configurations of other servers as site documents.
//
//	got, err := siteimport.Read(os.DirFS("/etc/dhcp"), siteimport.Options{}, "dhcpd.conf", "dhcpd.leases")
//	fmt.Print(got.Report)                             // what became of each statement
//	changes, err := sitedoc.Apply(ctx, inv, got.Document, sitedoc.Options{DryRun: true})
//	for _, l := range got.Leases { batch = append(batch, l.DHCP()) } // for the journal of a rack
//
// Kinds lists what can be read. A file is recognized by its name and text, unless Options.Kind
// names the kind. The directory doc has a page for each kind, with an example and its report.
//
// # Report
//
// Each statement of the configuration has one [Item]: it is taken, changed or left out, with the
// reason. A statement that the kind does not know is an error with file and line, unless
// Options.AllowUnknown is set.
//
// # Kinds
//
// Links are fabrics with one untagged VLAN: one for each shared network, and one for each subnet
// outside of these. DHCP of all VLANs is off, so that applying the document answers no client
// beside the old server.
//
// Hosts with fixed addresses are reserved IPs; hosts with options of their own are devices, too.
// Options are DHCP snippets of the site, of subnets, ranges and devices. An address range whose
// permits cannot be kept becomes a reserved range, which gives no addresses, rather than one for
// all clients.
//
// Conditions on the architecture, the vendor class, the user class, the MAC address or the circuit
// become DHCP classes: matches and subclasses of dhcpd, client classes of Kea, tags of dnsmasq.
// Boot files, lease times and dynamic DNS are left out: racks choose boot files by firmware, and do
// the rest themselves.
//
// Names are records of their zone, or of the domain after their first label. PTR records follow
// from addresses.
//
// NetBox and MAAS are read from JSON lists of their API, which [Fetch] gets. Each object has one
// item. Machines come without power parameters, since secrets are not read.
//
// # Leases
//
// A rack whose journal has the leases renews them for the same clients at the same addresses: what
// a client sends to identify itself is kept byte by byte.
//
// # Bounds
//
// Configurations are read once, front to back, with bounds for bytes, files, statements and depth.
// Reading is safe for concurrent use.
package siteimport
