//go:build linux

package qemutest

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

// The octets are those of RFC 4861 sections 4.2 and 4.6.2, with the checksum left to the kernel.
func TestAdvertisement(t *testing.T) {
	for _, tt := range []struct {
		prefixes []netip.Prefix
		want     string
	}{
		{nil, "86000000" + "40000000" + "00000000" + "00000000"},
		{[]netip.Prefix{netip.MustParsePrefix("2001:db8:0:1::9/64")}, "86000000" + "40000000" + "00000000" + "00000000" +
			"030440c0" + "00000258" + "00000258" + "00000000" + "20010db8000000010000000000000000"},
	} {
		got, err := advertisement(tt.prefixes)
		if err != nil || hex.EncodeToString(got) != tt.want {
			t.Errorf("%v: %x, %v; want %s", tt.prefixes, got, err, tt.want)
		}
	}
}
