// Package power switches machines on and off through their BMCs, and makes sure that it happened.
//
// # One machine
//
// A [Controller] brings a machine to a state: it looks, sets what to boot and reads it back, acts
// once, and polls until the state has been seen. "Accepted" is not "on":
//
//	c, err := power.NewController(power.Config{Registry: power.NewRegistry(ipmi.Kind(), redfish.Kind())})
//	result, err := c.Ensure(ctx, target, power.On, power.Options{Boot: power.Network})
//
// Requests to one BMC go one after the other, those that wait in the same session, and no more than
// a configured number of BMCs is talked to at a time.
//
// # Drivers
//
// A [Driver] reads and sets the power state. What else it can do it says by further methods:
// [Cycler], [Resetter], [SoftOffer], [Booter], [AlwaysBooter], [Identifier], [SensorReader],
// [Closer]. Drivers live in packages of their own, each with a function Kind that declares its
// parameters; a [Registry] is an ordinary value that the program puts together. Writing one takes
// two methods and a [Kind]; package powertest has the conformance suite, package powersim simulated
// BMCs to try it on.
//
// The kinds there are: ipmi, redfish, webhook, virsh, qmp ("qemu"), openbmc, apc, wol, each in the
// package of its name, and [Manual]. openbmc and apc were tested against simulations of public
// documents only.
//
// # Many machines
//
// A [Monitor] keeps asking all machines for their state, evenly spread, and tells of changes:
//
//	m, err := power.NewMonitor(power.MonitorConfig{Asker: c, Changed: func(_ context.Context, o power.Observation) { ... }})
//	err = m.Update(targets)
//	err = m.Run(ctx)
//
// # Errors
//
// Failures carry a [Class] that says whether trying again can help: a refused password never does,
// a lost connection may. Errors, logs and reports never hold secrets. A [Transcript] holds what a
// driver and a BMC said to each other, without secrets too, and plays it back where there is no
// such BMC.
package power
