// Package siteverify asks an old DHCP server and the imported site the same questions.
//
//	got, err := siteimport.Read(os.DirFS("/"), siteimport.Options{}, "etc/dhcp/dhcpd.conf")
//	report, err := siteverify.Verify(ctx, got, siteverify.Options{Files: []string{"/etc/dhcp/dhcpd.conf"}})
//	fmt.Print(report) // each difference with both sides
//
// Questions of IPv4 are packets of known hosts by MAC address and client identifier, of firmware of
// each architecture, of clients of each class, of unknown clients, and renewals of leases.
// Questions of IPv6, of dhcpd and Kea alone, are SOLICIT, REQUEST, RENEW and REBIND of known
// hosts and unknown clients, REBIND of leases, SOLICIT of firmware, and INFORMATION-REQUEST.
// All are relayed, each by a relay of its subnet: servers answer relays by unicast, so that one
// cable serves for all networks of a site.
//
// # The old server
//
// Where dhcpd, Kea or dnsmasq is installed, it runs in a network namespace of its own, on copies of
// its files, and its sockets end there. That needs root on Linux. What would reach outside is not
// run: hooks and scripts. Otherwise the answers follow from the document: these differ from the
// site only where planning differs.
//
// # Our side
//
// The document is applied to an inventory in memory, planned as a region plans a rack's DHCP, and
// served by dhcpsrv.Server.Handle.
//
// # What is compared
//
// Silence, the type of the answer, the address, options and boot file. Addresses of unknown clients
// differ if one is of a dynamic range and the other is not. Lengths of leases are compared but in
// renewals, which old servers answer with what is left of the lease. Other times and what names the
// server itself are not compared: imports leave them out.
package siteverify
