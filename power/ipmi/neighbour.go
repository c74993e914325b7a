package ipmi

import (
	"bufio"
	"io"
	"net"
	"os"
	"strings"

	"github.com/gomaas/maas/power"
)

// arpTable is Linux's list of the IPv4 addresses and link addresses of its neighbors.
const arpTable = "/proc/net/arp"

// neighbour finds the IPv4 address of a BMC by its link address, among those that this host has
// talked to of late.
func neighbour(mac string) (string, error) {
	const op = "find the BMC"
	if mac == "" {
		return "", power.Errorf(power.Settings, op, "neither %s nor %s is given", paramAddress, paramMAC)
	}
	want, err := net.ParseMAC(mac)
	if err != nil {
		return "", power.Errorf(power.Settings, op, "%s: %q is not a MAC address", paramMAC, mac)
	}
	f, err := os.Open(arpTable)
	if err != nil {
		return "", power.Errorf(power.Unsupported, op, "addresses cannot be looked up by MAC here: %w; set %s", err, paramAddress)
	}
	defer f.Close()
	if ip := lookup(f, want); ip != "" {
		return ip, nil
	}
	return "", power.Errorf(power.Connection, op, "no neighbour of this rack has the MAC address %s now", want)
}

// lookup reads a table of lines "address type flags MAC mask device"; flag 2 marks the complete
// ones.
func lookup(table io.Reader, want net.HardwareAddr) string {
	for in := bufio.NewScanner(table); in.Scan(); {
		f := strings.Fields(in.Text())
		if len(f) < 4 || f[2] == "0x0" {
			continue
		}
		if mac, err := net.ParseMAC(f[3]); err == nil && mac.String() == want.String() {
			return f[0]
		}
	}
	return ""
}
