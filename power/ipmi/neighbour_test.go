package ipmi

import (
	"net"
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	const table = `IP address       HW type     Flags       HW address            Mask     Device
10.0.0.7         0x1         0x2         52:54:00:AA:00:07     *        eth0
10.0.0.8         0x1         0x0         52:54:00:aa:00:08     *        eth0
broken
`
	for mac, want := range map[string]string{"52:54:00:aa:00:07": "10.0.0.7", "52:54:00:aa:00:08": "", "52:54:00:aa:00:09": ""} {
		hw, err := net.ParseMAC(mac)
		if err != nil {
			t.Fatal(err)
		}
		if got := lookup(strings.NewReader(table), hw); got != want {
			t.Errorf("%s: %q, want %q", mac, got, want)
		}
	}
}
