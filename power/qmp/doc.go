// Package qmp drives a QEMU virtual machine through its monitor socket (QEMU Machine Protocol): for
// labs and tests.
//
//	qemu-system-x86_64 -S -no-shutdown -qmp unix:/run/vm1.qmp,server=on,wait=off ...
//
//	target := power.Target{Kind: "qemu", Params: power.Params{"power_address": "/run/vm1.qmp"}}
//
// A machine without power is one that QEMU holds stopped after a reset; so that QEMU stays when the
// machine switches itself off it needs the option -no-shutdown, and -S makes it begin without
// power. The monitor serves one client at a time: nothing else may be connected to the socket. What
// the machine boots from is up to the options of QEMU.
package qmp
