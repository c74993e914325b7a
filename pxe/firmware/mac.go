package firmware

import (
	"fmt"
	"net"
	"strings"
)

// FormatMAC writes a hardware address with dashes in lower case, as in the file names loaders ask
// for. The empty address gives "".
func FormatMAC(mac net.HardwareAddr) string {
	return strings.ReplaceAll(mac.String(), ":", "-")
}

// ParseMAC reads a 6-byte hardware address written with colons or dashes in either case, optionally
// after the hardware type "01-" that loaders put before it. The all-zero and group addresses are
// refused: no machine boots from them.
func ParseMAC(s string) (net.HardwareAddr, error) {
	s = strings.ReplaceAll(s, "-", ":")
	if len(s) == 20 {
		s = strings.TrimPrefix(s, "01:")
	}
	mac, err := net.ParseMAC(s)
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 || [6]byte(mac) == [6]byte{} {
		return nil, fmt.Errorf("firmware: %.40q is not the MAC address of a network card", s)
	}
	return mac, nil
}
