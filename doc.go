// Package maas maps the packages of this module: the networking side of provisioning bare metal,
// each concern a library of its own, composed by the command in cmd/maas into region and rack
// controllers.
//
// # The concerns
//
// Each is useful alone, imports none of the others, and depends only on the libraries of its own
// protocol:
//
//   - [github.com/gomaas/maas/ipam]: subnets, VLANs, fabrics and ranges; which addresses are free
//     and why
//   - [github.com/gomaas/maas/dhcpsrv]: a DHCP server whose leases are on disk before they are
//     acknowledged
//   - [github.com/gomaas/maas/pxe]: profiles for each boot method (pxe/firmware), served by TFTP
//     (pxe/tftp) and HTTP
//   - [github.com/gomaas/maas/dnssrv]: authoritative DNS whose changes are answered by the next
//     question
//   - [github.com/gomaas/maas/power]: BMC drivers behind one small interface, and a controller that
//     converges
//   - [github.com/gomaas/maas/discovery]: the devices on the wire, and their addresses and names
//   - [github.com/gomaas/maas/proxy]: the HTTP proxy for machines
//   - [github.com/gomaas/maas/rpc]: state from regions to racks, facts back, calls either way
//   - [github.com/gomaas/maas/store]: the database, and in store/inventory the model of a whole
//     site
//
// # The layers
//
// Imports go down only, and a test holds them to it. Commands and examples compose everything.
// store/inventory is the one package that knows a whole machine; from its model pure functions plan
// what each server serves. Bridges join one concern to one other: pxe/pxedhcp answers the boot
// question of dhcpsrv from the tables of pxe, rpc/dhcprpc carries the snapshots of dhcpsrv over
// rpc.
//
// # The test kit
//
// pxe/boottest simulates machines on a virtual network segment, down to the packets their firmware
// sends, so that a unit test boots a machine and asserts what it ended up running.
// pxe/boottest/netlab builds real networks from namespaces, and pxe/boottest/qemutest runs real
// firmware in them. power/powersim has simulated BMCs; power/powertest and dhcpsrv/dhcptest are
// conformance suites for implementations of those packages' interfaces.
package maas
