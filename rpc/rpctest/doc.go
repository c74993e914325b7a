// Package rpctest tests what carries rpc connections: [Run] is the contract of rpc.Conn as a test
// suite, and [Faults] makes a connection lose, delay and repeat.
//
//	func TestConn(t *testing.T) {
//		rpctest.Run(t, func(t *testing.T, region *rpc.Region) rpctest.Dial { return rpc.Loopback(region, rpctest.Rack) })
//	}
package rpctest
