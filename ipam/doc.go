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
//	addr, err := pool.Next(ctx, "node1 eth0") // the lowest of the smallest gap, not the lowest of all
//	fmt.Println(pool.Statistics())            // 1 of 254 addresses used (0.4 %)
//	err = pool.Release(ctx, addr)
//
// [FreePrefix] does the same for networks: it finds a free prefix inside a larger one.
//
// # The parts
//
// A [Ledger] makes the record durable or shared: its Insert is the atomic check that decides, so
// several processes may allocate from one subnet. [OpenJournal] keeps it in a file, where each
// address is on disk before it is given out:
//
//	journal, err := ipam.OpenJournal("/var/lib/tool/addresses")
//	pool, err := ipam.NewPool(ctx, ipam.PoolConfig{Usage: u, Ledger: journal})
//
// Package ipamtest is the conformance suite for ledgers of your own.
//
// # Names of networks
//
// Package netspec reads a user's expression for some networks, such as space:dmz,&vid:100, and
// finds them.
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
// [*InvalidError], which names the field, or an [*ExhaustedError]. Apart from a Journal the package
// stores nothing, and it sends and logs nothing.
package ipam
