// Package simulate runs whole sites in virtual time: regions, racks, machines, their BMCs,
// operators and what happens to them, and checks what must hold. A seed decides everything.
//
//	result, err := simulate.Run(simulate.Options{Seed: 7, For: 24 * time.Hour})
//	for _, v := range result.Violations {
//		fmt.Println(v.At, v.Invariant, v.What)
//	}
//	story, err := simulate.Shrink(simulate.Options{Seed: 7}) // a short one that still fails
//
// # What is real
//
// Regions and racks are those of packages region and rack, with their databases and files: two
// regions on one database, two racks that are partners on one network, and a third rack on another
// one. Machines are those of package boottest. Time is virtual, so two hours take two seconds.
// Simulated are the networks between them, the disks of leases, the wall clocks and the BMCs.
//
// # What happens
//
// A story is a list of steps. Machines are switched on and off, by their buttons and by the API;
// unknown machines arrive; operators add and delete machines, static addresses, reservations and
// records. Racks and regions crash and start again. Networks part, lose answers, and are slow.
// Switch ports fail, disks of leases are full, clocks are set by hours, BMCs do not answer.
//
// # What must hold
//
// Invariants are of three groups. Some hold at any time: no address has two holders, and each has
// its lease on a disk. Some hold after the site was healthy for a while: what operators were told
// is true, region, racks and DNS agree, machines run, no secret is where it must not be. The last
// ones hold while all regions are down: known machines boot with their names and addresses.
//
// # What is left out
//
// A database that fails, since its faults need a file system of their own; IPv6; TFTP and HTTP over
// lossy networks, which the tests of package tftp have; and two partners that live for longer than
// their takeover time without hearing each other, which package failover excludes.
//
// Equal seeds have equal histories as long as the program is the same. Runs are not concurrent:
// virtual time is for one at a time, and takes all processors but one out of use.
package simulate
