// Package qemutest boots real firmware in tests: virtual machines under QEMU with SeaBIOS and iPXE,
// with UEFI, or with U-Boot, that find everything on the network.
//
//	guest := qemutest.NewGuest(t)                         // kernel and initrd to be served
//	lab := netlab.New(t); ns := lab.NS("rack")
//	ns.Bridge("br0"); ns.Tap("br0", "tap0")
//	vm := qemutest.Start(t, ns, qemutest.VM{Firmware: qemutest.UEFI, Tap: "tap0", MAC: mac})
//	vm.WaitSerial(ctx, qemutest.Marker)
//
// The guest is Debian's cloud kernel with an initrd made here from busybox. It takes an address by
// DHCP, prints Marker, posts a line to the URL in maas.done= of its command line, and powers off.
//
// CommandLine gives the same machine as an argument vector, for a test whose BMC simulator switches
// it on. The machines run without KVM, so a boot takes 10 to 40 seconds; Needs lists what Require
// should check first.
//
// Machines of 64-bit ARM and RISC-V take their guest from packages of their own, see Unpacked and
// GuestFrom; packages of RISC-V are those of Debian 13.
//
// The kernel is downloaded with apt-get once and kept in CacheDir.
package qemutest
