// Package boottest simulates machines that boot from the network, in memory: for tests of boot
// servers, and for showing them. It needs no namespaces, no root and no real time: it works inside
// a testing/synctest bubble.
//
//	segment := boottest.NewSegment(netip.MustParsePrefix("192.0.2.0/24"))
//	server := segment.Server(netip.MustParseAddr("192.0.2.1"))
//	... serve DHCP on server.DHCP(), TFTP on server.ListenPacket("udp", ":69"), HTTP on server.Listen("tcp", ":80")
//	machine := segment.NewMachine(boottest.MachineConfig{Firmware: boottest.UEFIShimGRUB, Hostname: "node-1"})
//	report, err := machine.Boot(ctx)
//	fmt.Println(report.Running.Kind, report.Running.Cmdline)
//
// # Machines
//
// [MachineConfig] selects a machine's network card and firmware, and an observer of its boot.
// [Firmware] is plain data: what real firmware puts into its DHCP packets, which TFTP options it
// asks for, how long it waits; take one of the personalities of this package and change the part
// that a test is about. [Report] holds every stage and every fetch with sizes, times and negotiated
// options, and hashes of what is running.
//
// # The network
//
// A [Segment] is the wire, of IPv4 or IPv6: it delivers datagrams and streams between nodes, with
// delay, reordering, loss and a rate when asked to. [Segment.VLAN] is a tagged network on the same
// wire, [Segment.RelayTo] a router with a DHCP relay between two. A [Node] is a host, with a DHCP
// server port ([Node.DHCP] has the shape of dhcpsrv.Conn), the port of boot servers
// ([Node.DHCPBoot]), packet conns, listeners and a dialer. A simulated BMC, such as
// power/powersim.Chassis, calls [Machine.PowerOn], [Machine.PowerOff] and [Machine.Powered].
//
// # How real it is
//
// DHCP, TFTP, HTTP and DNS are spoken byte by byte, by clients written for this package and not by
// those of the servers under test. Options, order of requests and waits follow captures of QEMU's
// iPXE ROM, OVMF, shim 15.8, GRUB 2.06, pxelinux 6.04, U-Boot 2023.01 and udhcpc; Petitboot,
// s390-ccw, ONIE and Raspberry Pi are made after their manuals. iPXE scripts and configurations of
// GRUB and pxelinux are interpreted, in the part of the languages that boot servers use; a command
// that the interpreter does not know fails as it would on a loader without it, and is noted in
// [Report.Console]. Nothing is simulated below UDP and TCP: no ARP, no IP fragments, no Ethernet
// frames. Loaders are not executed: their names decide what they do.
//
// # Concurrency
//
// Segments, nodes and machines are safe for concurrent use. A segment has no goroutines; a machine
// has one while it is powered on by PowerOn, and PowerOff waits for it.
package boottest
