// Package dhcptest holds the conformance tests of [dhcpsrv.LeaseStore]. An implementation runs them
// in one of its own tests:
//
//	func TestStore(t *testing.T) {
//		dhcptest.Run(t, func(t *testing.T) dhcptest.Harness {
//			path := filepath.Join(t.TempDir(), "leases")
//			open := func() dhcpsrv.LeaseStore { ... }
//			return dhcptest.Harness{Store: open(), Reopen: open}
//		})
//	}
//
// [Benchmark] measures commits of several sizes and a reload.
package dhcptest
