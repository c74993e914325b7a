// Package ipam models a site's networks as MAAS does (fabrics, VLANs, spaces, subnets, ranges,
// reserved addresses) and gives out addresses.
//
// # One call
//
// Everything known about one subnet is a [Usage]; every question about its addresses is a pure
// function of it:
//
//	u := ipam.Usage{Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/24")}}
//	fmt.Println(u.SuggestedDynamicRange()) // 10.0.0.191-10.0.0.254
//	fmt.Println(u.Explain(addr))           // what an address is, and who may have it
//
// # The allocator
//
// A [Pool] gives out addresses of one subnet in time that does not depend on how full it is. With
// nothing else set it keeps its own record:
//
//	pool, err := ipam.NewPool(ctx, ipam.PoolConfig{Usage: u, Quarantine: 10 * time.Minute})
//	addr, err := pool.Next(ctx, "node1 eth0")
//
// # The parts
//
// A [Ledger] makes the record durable or shared: its Insert is the atomic check that decides, so
// several processes may allocate from one subnet.
//
// # Names of networks
//
// A [Specifier] is a user's expression for some networks; [Networks] finds those that it matches:
//
//	spec, err := ipam.ParseSpecifier("space:dmz,&vid:100")
//	subnets := networks.FindSubnets(spec)
//
// # Managed and unmanaged
//
// On a managed subnet a reserved range is closed to automatic allocation. On an unmanaged one it is
// the only place open to it. The methods of Usage apply the right rule; [Usage.Explain] puts it
// into words.
//
// # Concurrency and errors
//
// Model values and Usage are plain data, safe to read from many goroutines. Pool is safe for
// concurrent use. Refusals are a [*RefusedError], which names the object in the way, an
// [*InvalidError], which names the field, or an [*ExhaustedError]. The package does not store, send
// or log anything.
package ipam
