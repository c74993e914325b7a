// Package powersim has simulated BMCs, for tests and demonstrations.
//
//	chassis := &powersim.Chassis{OnPower: func(on bool, boot power.BootDevice) { ... }}
//	bmc, err := powersim.ServeIPMI(chassis, "admin", "secret")
//	defer bmc.Close()
//	report, err := controller.Ensure(ctx, bmc.Target(), power.On, power.Options{Boot: power.Network})
//
// A [Chassis] is the machine behind a BMC: it has power or not, and a boot device for the next
// boot. [ServeIPMI], [ServeOpenBMC] and [ServeRedfish] put a BMC on loopback in front of it,
// without root. OnPower decides what the machine does when it gets power, so a BMC can switch on a
// simulated machine, or start a virtual one.
//
// The BMCs speak the protocols for real, but they are simulations: nothing here controls hardware.
// The conformance suite of drivers is package powertest.
package powersim
