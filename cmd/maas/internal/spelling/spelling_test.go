package spelling_test

import (
	"testing"

	"github.com/gomaas/maas/cmd/maas/internal/spelling"
)

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"subnet", "subnets", 1}, {"gatway", "gateway", 1}, {"dhpc", "dhcp", 2}} {
		if got := spelling.Distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q, %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
