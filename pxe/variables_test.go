package pxe_test

import (
	"net/netip"
	"testing"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
)

// {syslog} is where machines log to: with brackets around IPv6, and empty where nothing listens.
func TestSyslogVariable(t *testing.T) {
	for _, c := range []struct {
		addr string
		port int
		want string
	}{
		{"192.0.2.1", 5247, "192.0.2.1:5247"},
		{"::ffff:192.0.2.1", 5247, "192.0.2.1:5247"},
		{"2001:db8::1", 514, "[2001:db8::1]:514"},
		{"192.0.2.1", 0, ""},
	} {
		at := firmware.Endpoint{Addr: netip.MustParseAddr(c.addr), HTTPPort: 5248, SyslogPort: c.port}
		if got := pxe.Variables(pxe.Profile{}, pxe.Request{}, at)["syslog"]; got != c.want {
			t.Errorf("%s port %d: %q, want %q", c.addr, c.port, got, c.want)
		}
	}
}
