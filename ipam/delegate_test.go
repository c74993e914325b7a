package ipam_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/gomaas/maas/ipam"
)

func pools(t *testing.T, texts ...string) (out []ipam.PrefixPool) {
	t.Helper()
	for _, text := range texts {
		var p ipam.PrefixPool
		if err := p.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if again, _ := p.MarshalText(); string(again) != text {
			t.Errorf("%s became %s", text, again)
		}
		out = append(out, p)
	}
	return out
}

func TestDelegatedPrefixes(t *testing.T) {
	s := ipam.Subnet{ID: 1, Name: "six", Prefix: netip.MustParsePrefix("2001:db8::/64"), Delegated: pools(t, "2001:db8:f000::/48-60", "2001:db8:e000::/56-56")}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string]bool{"2001:db8:f000:ffff::1": true, "2001:db8:e000::": true, "2001:db8::1": false, "192.0.2.1": false} {
		if got := s.Delegates(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
	for text, want := range map[string]string{
		"2001:db8:f000::/48-47": "write a length from 48 to 110", "2001:db8:f000::/48-111": "write a length from 48 to 110", "2001:db8:f000::/100-129": "from 100 to 128",
		"2001:db8:f000::1/48-60": "write 2001:db8:f000::/48-60", "2001::/7-60": "not an IPv6 prefix of /8", "192.0.2.0/24-28": "not an IPv6 prefix",
		"::ffff:192.0.2.0/120-124": "not an IPv6 prefix", "2001:db8::/48-56": "overlaps the subnet itself",
	} {
		bad := s
		bad.Delegated = pools(t, text)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	twice := s
	twice.Delegated = pools(t, "2001:db8:f000::/48-60", "2001:db8:f000:10::/60-64")
	if err := twice.Validate(); err == nil || !strings.Contains(err.Error(), "overlaps 2001:db8:f000::/48-60") {
		t.Error(err)
	}
	four := ipam.Subnet{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Delegated: s.Delegated}
	if err := four.Validate(); err == nil || !strings.Contains(err.Error(), "cannot be delegated on an IPv4 subnet") {
		t.Error(err)
	}
	for _, text := range []string{"", "-", "2001:db8::/48", "2001:db8::/48-", "2001:db8::/48-x", "x-60", "2001:db8::-60"} {
		if err := new(ipam.PrefixPool).UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "2001:db8:f000::/48-60") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestDelegatedOverlap(t *testing.T) {
	s := ipam.Subnet{ID: 1, Prefix: netip.MustParsePrefix("2001:db8::/64"), Delegated: pools(t, "2001:db8:f000::/48-60")}
	for name, test := range map[string]struct {
		new  ipam.Subnet
		want string
	}{
		"beside":      {ipam.Subnet{Prefix: netip.MustParsePrefix("2001:db8:1::/64"), Delegated: pools(t, "2001:db8:f001::/48-60")}, ""},
		"itself":      {s, ""},
		"another VRF": {ipam.Subnet{VRF: "red", Prefix: s.Prefix, Delegated: s.Delegated}, ""},
		"inside":      {ipam.Subnet{Prefix: netip.MustParsePrefix("2001:db8:f000:7::/64")}, "delegated prefixes 2001:db8:f000::/48-60 of subnet 2001:db8::/64"},
		"around":      {ipam.Subnet{Prefix: netip.MustParsePrefix("2001:db9::/64"), Delegated: pools(t, "2001:db8::/48-60")}, "subnet 2001:db8::/64"},
		"both":        {ipam.Subnet{Prefix: netip.MustParsePrefix("2001:db9::/64"), Delegated: pools(t, "2001:db8:f000:ff00::/56-60")}, "delegated prefixes 2001:db8:f000::/48-60 of"},
	} {
		err := test.new.CheckOverlap([]ipam.Subnet{s})
		if got := err != nil; got != (test.want != "") || got && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
