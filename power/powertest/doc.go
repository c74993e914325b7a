// Package powertest is the conformance suite of power drivers: what every driver must do, whatever
// its protocol.
//
//	func TestConformance(t *testing.T) {
//		powertest.Run(t, func(t *testing.T) powertest.Harness {
//			chassis := &powersim.Chassis{}
//			bmc := servePlug(t, chassis) // a simulated device in front of the chassis
//			return powertest.Harness{Kind: plug.Kind(), Target: bmc.Target(), Chassis: chassis}
//		})
//	}
//
// [Controller] is a controller for further tests of a kind.
//
// Tests of abilities that a kind lacks, or that a harness cannot provoke, skip with a reason.
package powertest
