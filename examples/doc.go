// Package examples holds programs of under 80 lines, one in each directory:
//
//	go run github.com/gomaas/maas/examples/ipamonly addresses next node1
//
// Each could be a module of its own. The test of this package runs them.
package examples
