package rack_test

import (
	"net"
	"testing"

	"github.com/gomaas/maas/cmd/maas/rack"
)

// The proxy can move while an address is away.
func TestSocketsForAddressesThatAreAway(t *testing.T) {
	for _, at := range []string{"192.0.2.77:0", "[2001:db8::77]:0"} {
		ln, err := (&net.ListenConfig{Control: rack.AwayToo}).Listen(t.Context(), "tcp", at)
		if err != nil {
			t.Errorf("%s: %v", at, err)
			continue
		}
		ln.Close()
	}
}
