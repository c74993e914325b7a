package inventory

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/dnssrv"
)

// addrOfReverse is the address whose reverse record is at a name, also at one in a zone of RFC 2317 such as
// "70.64-26.2.0.192.in-addr.arpa".
func addrOfReverse(name string) (netip.Addr, bool) {
	labels := strings.Split(name, ".")
	if rest, ok := strings.CutSuffix(name, ".ip6.arpa"); ok {
		return addrOfNibbles(rest, name)
	}
	if len(labels) == 7 && strings.Contains(labels[1], "-") {
		labels = slices.Delete(labels, 1, 2)
	}
	if len(labels) != 6 || labels[4] != "in-addr" || labels[5] != "arpa" {
		return netip.Addr{}, false
	}
	slices.Reverse(labels[:4])
	a, err := netip.ParseAddr(strings.Join(labels[:4], "."))
	return a, err == nil
}

// addrOfNibbles is the address of 32 hexadecimal digits, the last first.
func addrOfNibbles(nibbles, name string) (netip.Addr, bool) {
	digits := []byte(strings.ReplaceAll(nibbles, ".", ""))
	if len(digits) != 32 {
		return netip.Addr{}, false
	}
	slices.Reverse(digits)
	groups := make([]string, 0, 8)
	for g := range slices.Chunk(digits, 4) {
		groups = append(groups, string(g))
	}
	a, err := netip.ParseAddr(strings.Join(groups, ":"))
	return a, err == nil && dnssrv.PTRName(a) == name+"."
}
