// Package powertest has simulated BMCs and the conformance suite for power drivers.
//
// A [Chassis] is the machine behind a BMC: it has power or not, and a boot device for the next boot. [ServeIPMI], [ServeOpenBMC] and
// [ServeRedfish] put a BMC on loopback in front of it, without root. What the machine does when it gets power is a function,
// so a BMC can switch on a simulated machine, or start a virtual one:
//
//	chassis := &powertest.Chassis{OnPower: func(on bool, boot power.BootDevice) { ... }}
//	bmc, err := powertest.ServeIPMI(chassis, "admin", "secret")
//	defer bmc.Close()
//	report, err := controller.Ensure(ctx, bmc.Target(), power.On, power.Options{Boot: power.Network})
//
// [Run] is the conformance suite: what every driver must do, whatever its protocol.
//
// The BMCs speak the protocols for real, but they are simulations for tests and demonstrations: nothing here controls
// hardware.
package powertest
