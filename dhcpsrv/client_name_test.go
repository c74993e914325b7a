package dhcpsrv_test

import (
	"strings"
	"testing"

	"github.com/gomaas/maas/dhcpsrv"
)

func TestClientName(t *testing.T) {
	long := strings.Repeat("x", 63)
	for _, tt := range []struct{ hostname, domain, want string }{
		{"Laptop", "maas", "laptop.maas"},
		{" laptop ", "Lab.Example", "laptop.lab.example"},
		{"web-1.corp.example", "maas", "web-1.maas"},
		{"laptop", "", "laptop"},
		{"9p", "maas", "9p.maas"},
		{long, "maas", long + ".maas"},
		{long + "x", "maas", ""},
		{"", "maas", ""},
		{".maas", "maas", ""},
		{"(none)", "maas", ""},
		{"-x", "maas", ""},
		{"x-", "maas", ""},
		{"a_b", "maas", ""},
		{"münchen", "maas", ""},
		{"a b", "maas", ""},
		{"a\x00", "maas", ""},
	} {
		if got := dhcpsrv.ClientName(tt.hostname, tt.domain); got != tt.want {
			t.Errorf("ClientName(%q, %q) = %q, want %q", tt.hostname, tt.domain, got, tt.want)
		}
	}
}
