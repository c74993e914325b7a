package powertest

import (
	"testing"
	"time"

	"github.com/gomaas/maas/power"
)

// Controller returns a controller of kinds for tests against BMCs on this host: it polls often, and
// gives up after 20 s.
func Controller(t testing.TB, kinds ...power.Kind) *power.Controller {
	t.Helper()
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(kinds...), Poll: 10 * time.Millisecond, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
