// Package power switches machines on and off through their BMCs, and makes sure that it happened.
//
//	c, err := power.NewController(power.Config{Registry: power.NewRegistry(ipmi.Kind(), redfish.Kind())})
//	result, err := c.Ensure(ctx, target, power.On, power.Options{Boot: power.Network})
//
// # One machine
//
// A [Controller] brings a machine to a state: it looks, sets what to boot and reads it back, acts
// once, and polls until the BMC reports the state. "Accepted" is not "on".
//
// Requests to one BMC run one after the other; a request that waited takes over the open session.
// [Config] bounds the number of BMCs in dialog at a time.
//
// # A driver of your own
//
// A [Driver] reads and sets the power state, which takes two methods. A [Kind] names it and its
// parameters:
//
//	kind := power.Kind{
//		Name: "plug", Title: "Wi-Fi plug", Params: []power.Param{{Name: "power_address", Label: "Address", Required: true}},
//		Open: func(ctx context.Context, p power.Params) (power.Driver, error) { return dial(ctx, p["power_address"]) },
//	}
//
// Optional abilities are further methods: [Cycler], [Resetter], [OnResetter], [SoftOffer],
// [Booter], [AlwaysBooter], [MediaDrive], [Identifier], [SensorReader], [Consoler], [Closer]. A
// request that needs a missing one fails with [Unsupported]; Options.Boot is such a request unless
// BootIfPossible is set. Package powertest has the conformance suite, package powersim simulated
// BMCs.
//
// The packages below this one have the kinds; package kinds lists all, and [Manual] is here. Each
// says in its documentation whether it was tested with real devices. A [Registry] is an ordinary
// value that the program puts together.
//
// # Many machines
//
// [Controller.EnsureAll] switches many side by side, and yields each as it is done:
//
//	for result, err := range c.EnsureAll(ctx, targets, power.On, power.Options{}) { ... }
//
// Package power/monitor asks all machines for their state, evenly spread over time, and reports
// changes.
//
// # Errors
//
// Failures carry a [Class], which decides whether trying again can help: after a refused password
// never, after a lost connection maybe. Errors, logs and results never hold secrets. A [Transcript]
// holds the dialog of a driver and a BMC, without secrets too, and plays it back without the BMC.
package power
