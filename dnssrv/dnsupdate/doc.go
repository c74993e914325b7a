// Package dnsupdate keeps the names of DHCP clients at the DNS servers of others, by dynamic
// updates (RFC 2136):
//
//	c, err := dnsupdate.New(dnsupdate.Config{
//		Server: "192.0.2.53:53", Key: key, Zones: []string{"corp.example", "2.0.192.in-addr.arpa"},
//	})
//	go c.Run(ctx)
//	c.Set(dnsupdate.Host{Name: "web.corp.example", Addr: addr, MAC: mac})    // it leased the address
//	c.Remove(dnsupdate.Host{Name: "web.corp.example", Addr: addr, MAC: mac}) // its lease ended
//
// [Client.Set] and [Client.Remove] never wait, so that they can be called from the events of a DHCP
// server. What is not sent yet is kept in memory, in bounded number: of one client at one name only
// the last state. [Client.Run] sends it, one update at a time and in order, and tries again with
// growing pauses while the server cannot be reached. A restart loses what was not sent; call Set
// for all leases then, which changes nothing where the server has them.
//
// # Conflicts
//
// Each name has a DHCID record (RFC 4701), which says by a digest whose it is. An update has
// prerequisites (RFC 4703 section 5): a name is taken if it is free, or if its DHCID is of the same
// client. A name of another client, or of an administrator, is left as it is and counted as a
// conflict. A client is known by its DUID, also where its DHCPv4 client identifier contains it (RFC
// 4361), by another client identifier, or by its MAC address, in this order, so that a client with
// DHCPv4 and DHCPv6 has both addresses at one name. Reverse names follow their addresses and have
// no prerequisites when they are set.
//
// # Concurrency
//
// All methods may be called concurrently; Run once.
package dnsupdate
