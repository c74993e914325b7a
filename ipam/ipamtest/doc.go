// Package ipamtest is the conformance suite of [ipam.Ledger]: what every ledger must do, wherever
// it keeps its record.
//
//	func TestConformance(t *testing.T) {
//		ipamtest.Run(t, func(t *testing.T) ipamtest.Harness {
//			db := openDatabase(t)
//			return ipamtest.Harness{Ledger: newLedger(db), Reopen: func(*testing.T) ipam.Ledger { return newLedger(db) }}
//		})
//	}
//
// Tests of what a ledger does not promise skip with a reason.
package ipamtest
