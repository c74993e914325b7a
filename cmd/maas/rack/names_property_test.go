package rack

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/gomaas/maas/dhcpsrv"
)

// Nothing that a client says about itself changes the names of a machine, or of an earlier client.
func TestAClientChangesNoNamesOfOthers(t *testing.T) {
	rapid.Check(t, func(d *rapid.T) {
		n := newNaming(t)
		n.machines["02:00:00:00:00:01"] = "db-1"
		n.grant(1, "192.0.2.101", rapid.SampledFrom([]string{"db-1", "", "other"}).Draw(d, "machine says"))
		n.grant(2, "192.0.2.102", "printer")
		held := make(map[byte]string)
		for range rapid.IntRange(1, 20).Draw(d, "events") {
			mac := byte(rapid.IntRange(10, 13).Draw(d, "mac"))
			// The server gives no address to two clients; a client may have several.
			addr := fmt.Sprint("192.0.2.", 100+int(mac)*2+rapid.IntRange(0, 1).Draw(d, "addr"))
			name := rapid.SampledFrom([]string{
				"db-1", "DB-1", "printer", "printer.maas", "db-1.maas.", "wpad", "ns", "localhost", "isatap", "a b", "", "xn--a", "mine", "-printer-", "printer\x00",
			}).Draw(d, "name")
			if rapid.Bool().Draw(d, "granted") {
				held[mac] = addr
				n.grant(mac, addr, name)
			} else {
				n.release(mac, addr, name)
			}
		}
		if rapid.Bool().Draw(d, "restarted") {
			n.names.refresh(func(yield func(dhcpsrv.Lease) bool) {
				for mac, addr := range held {
					if !yield(lease(mac, addr, "printer")) {
						return
					}
				}
				_ = yield(lease(2, "192.0.2.102", "printer")) && yield(lease(1, "192.0.2.101", "x"))
			})
		}
		n.expect("db-1", "192.0.2.101")
		n.expect("printer", "192.0.2.102")
		for _, service := range []string{"wpad", "ns", "localhost", "isatap"} {
			n.expect(service)
		}
	})
}
