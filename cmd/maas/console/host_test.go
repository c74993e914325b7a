package console_test

import (
	"context"
	"strings"
	"testing"

	"github.com/gomaas/maas/cmd/maas/console"
)

// The checks of the host are made once for the pages of half a minute, and show the cure with its
// section of the guides.
func TestHostChecks(t *testing.T) {
	looks := 0
	s := newSite(t, func(cfg *console.Config) {
		cfg.Host = func(context.Context) []console.HostFinding {
			looks++
			return []console.HostFinding{{Check: "round trip", Level: "error", Text: "DNS at 192.0.2.1: <no answer>", Cure: "see the log"}}
		}
	})
	ada := s.as(t, "ada")
	for range 3 {
		page := ada.get("/doctor/host")
		for _, want := range []string{"DNS at 192.0.2.1: &lt;no answer&gt;", "see the log", `href="/docs/troubleshooting#doctor-round-trip"`} {
			if !strings.Contains(page, want) {
				t.Errorf("%q is not on the page:\n%s", want, page)
			}
		}
	}
	if looks != 1 {
		t.Errorf("the host was looked at %d times", looks)
	}
	if page := s.as(t, "otto").get("/doctor"); strings.Contains(page, "/doctor/host") {
		t.Error("an operator is shown the way to what administrators see")
	}
}
