// Package maastest runs a MAAS in the process of a test, for programs that are clients of MAAS.
//
//	func TestMyProgram(t *testing.T) {
//		url, key := maastest.New(t)
//		maas, err := client.GetClient(url, key, "2.0") // github.com/canonical/gomaasclient, or any other client
//	}
//
// It is the API of package maasapi over an inventory in memory, on a port of the loopback
// interface, and ends with the test. [Start] takes a [Config] and returns all of it: the inventory
// to fill before the test and to look into after it, an HTTP client that signs requests, more
// users, TLS.
//
// Machines are switched in memory: a machine that is switched on is on. Every power type of gomaas
// can be given, and no BMC is asked. Config.Power sets another rule.
//
// Each New is a MAAS of its own, so tests may run in parallel. It takes some tens of milliseconds.
package maastest
