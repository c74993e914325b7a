package ipam_test

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomaas/maas/ipam"
)

func TestParseRange(t *testing.T) {
	for text, want := range map[string]string{ // a range, or a part of the error
		"10.0.0.1-10.0.0.9":         "10.0.0.1-10.0.0.9",
		" 10.0.0.1 - 10.0.0.9 ":     "10.0.0.1-10.0.0.9",
		"10.0.0.1":                  "10.0.0.1-10.0.0.1",
		"10.0.0.0/30":               "10.0.0.0-10.0.0.3",
		"10.0.0.1/30":               "10.0.0.0-10.0.0.3",
		"2001:db8::-2001:db8::ff":   "2001:db8::-2001:db8::ff",
		"::ffff:10.0.0.1-10.0.0.2":  "10.0.0.1-10.0.0.2",
		"10.0.0.9-10.0.0.1":         "its end lies before its start",
		"10.0.0.1-2001:db8::1":      "of different families",
		"fe80::1%eth0-fe80::2%eth0": "an IPv6 zone",
		"x-10.0.0.1":                "its start is not an address",
		"10.0.0.1-":                 "its end is not an address",
		"10.0.0.1-10.0.0.2-3":       "its end is not an address",
		"":                          "its start is not an address",
	} {
		r, err := ipam.ParseRange(text)
		got := r.String()
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want) || !strings.Contains(got, "write FIRST-LAST")) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestUniverse(t *testing.T) {
	for prefix, want := range map[string]string{
		"10.0.0.0/24": "10.0.0.1-10.0.0.254", "10.0.0.0/30": "10.0.0.1-10.0.0.2", "10.0.0.0/31": "10.0.0.0-10.0.0.1", "10.0.0.7/32": "10.0.0.7-10.0.0.7",
		"2001:db8::/126": "2001:db8::1-2001:db8::3", "2001:db8::/127": "2001:db8::-2001:db8::1", "2001:db8::7/128": "2001:db8::7-2001:db8::7",
	} {
		if got := ipam.Universe(netip.MustParsePrefix(prefix)).String(); got != want {
			t.Errorf("%s: %s, want %s", prefix, got, want)
		}
	}
	if ipam.Universe(netip.Prefix{}).IsValid() {
		t.Error("no prefix has addresses")
	}
}

// Suggestions for a subnet that is new, or almost.
func TestSuggestions(t *testing.T) {
	dynamic := func(from, to string) ipam.Range {
		return ipam.Range{Type: ipam.RangeDynamic, Start: netip.MustParseAddr(from), End: netip.MustParseAddr(to)}
	}
	reserved := func(from, to string) ipam.Range {
		r := dynamic(from, to)
		r.Type = ipam.RangeReserved
		return r
	}
	for _, c := range []struct {
		name, prefix, gateway string
		ranges                []ipam.Range
		wantGateway, wantPool string
	}{
		{"empty /24", "10.0.0.0/24", "", nil, "10.0.0.1", "10.0.0.191-10.0.0.254"},
		{"with a gateway", "10.0.0.0/24", "10.0.0.1", nil, "invalid IP", "10.0.0.191-10.0.0.254"},
		{"first address taken", "10.0.0.0/24", "", []ipam.Range{reserved("10.0.0.1", "10.0.0.9")}, "10.0.0.254", "10.0.0.190-10.0.0.253"},
		{"both ends taken", "10.0.0.0/24", "", []ipam.Range{reserved("10.0.0.1", "10.0.0.9"), reserved("10.0.0.254", "10.0.0.254")}, "10.0.0.10", "10.0.0.190-10.0.0.253"},
		{"with a pool", "10.0.0.0/24", "10.0.0.1", []ipam.Range{dynamic("10.0.0.100", "10.0.0.120")}, "invalid IP", "invalid IPRange"},
		{"full", "10.0.0.0/30", "", []ipam.Range{reserved("10.0.0.1", "10.0.0.2")}, "invalid IP", "invalid IPRange"},
		{"a /127", "2001:db8::/127", "", nil, "invalid IP", "invalid IPRange"},
	} {
		u := ipam.Usage{Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix(c.prefix)}, Ranges: c.ranges}
		if c.gateway != "" {
			u.Subnet.Gateway = netip.MustParseAddr(c.gateway)
		}
		pool := "invalid IPRange"
		if r := u.SuggestedDynamicRange(); r.IsValid() {
			pool = r.String()
		}
		if gw := u.SuggestedGateway().String(); gw != c.wantGateway || pool != c.wantPool {
			t.Errorf("%s: gateway %s, pool %s; want %s and %s", c.name, gw, pool, c.wantGateway, c.wantPool)
		}
	}
}

func TestMemLedger(t *testing.T) {
	var l ipam.MemLedger
	four, six := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")
	for _, a := range []netip.Addr{four, six} {
		if err := l.Insert(t.Context(), a, "one"); err != nil {
			t.Fatal(err)
		}
		if err := l.Insert(t.Context(), a, "one"); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), `"one"`) {
			t.Errorf("%s twice: %v", a, err)
		}
		if key, err := l.Holder(t.Context(), a); key != "one" || err != nil {
			t.Errorf("%s is held by %q, %v", a, key, err)
		}
	}
	if err := l.Insert(t.Context(), netip.MustParseAddr("::ffff:10.0.0.1"), "two"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the same address in its IPv6 form: %v", err)
	}
	var listed []netip.Addr
	for a, err := range l.Addrs(t.Context(), netip.MustParsePrefix("10.0.0.0/8")) {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, a)
	}
	if len(listed) != 1 || listed[0] != four || l.Len() != 2 {
		t.Errorf("listed %v of %d", listed, l.Len())
	}
	if err := l.Delete(t.Context(), four); err != nil {
		t.Error(err)
	}
	if err := l.Delete(t.Context(), four); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err := l.Holder(t.Context(), four); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("held after its deletion: %v", err)
	}
}

func TestAllocationsAndRoutes(t *testing.T) {
	lab := ipam.Subnet{ID: 1, Prefix: netip.MustParsePrefix("10.0.0.0/24")}
	other := ipam.Subnet{ID: 2, Prefix: netip.MustParsePrefix("10.1.0.0/24")}
	six := ipam.Subnet{ID: 3, Prefix: netip.MustParsePrefix("2001:db8::/64")}
	inside, outside := netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("10.1.0.9")
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"auto without an address":    {ipam.Allocation{Type: ipam.AllocAuto}.Validate(lab), ""},
		"sticky":                     {ipam.Allocation{Type: ipam.AllocSticky, Addr: inside}.Validate(lab), ""},
		"sticky elsewhere":           {ipam.Allocation{Type: ipam.AllocSticky, Addr: outside}.Validate(lab), "is not in subnet 10.0.0.0/24"},
		"of no known subnet":         {ipam.Allocation{Type: ipam.AllocSticky, Addr: outside}.Validate(ipam.Subnet{}), ""},
		"DHCP with an address":       {ipam.Allocation{Type: ipam.AllocDHCP, Addr: inside}.Validate(lab), "the DHCP server chooses it"},
		"user's without an address":  {ipam.Allocation{Type: ipam.AllocUserReserved}.Validate(lab), "ip is missing"},
		"route":                      {ipam.StaticRoute{Gateway: inside}.Validate(lab, other), ""},
		"route to itself":            {ipam.StaticRoute{Gateway: inside}.Validate(lab, lab), "is the source too"},
		"route to the other version": {ipam.StaticRoute{Gateway: inside}.Validate(lab, six), "another IP version"},
		"route without a gateway":    {ipam.StaticRoute{}.Validate(lab, other), "gateway_ip is missing"},
		"route by an outer gateway":  {ipam.StaticRoute{Gateway: outside}.Validate(lab, other), "is not in subnet 10.0.0.0/24"},
		"route of negative metric":   {ipam.StaticRoute{Gateway: inside, Metric: -1}.Validate(lab, other), "metric must be 0 or more"},
	} {
		if (c.err == nil) != (c.want == "") || c.err != nil && !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, c.err, c.want)
		}
	}
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	r := ipam.ReservedIP{Addr: inside, MAC: mac}
	if !r.For(mac) || r.For(nil) || (ipam.ReservedIP{}).For(nil) || r.For(net.HardwareAddr{2, 0, 0, 0, 0, 2}) {
		t.Error("a reservation is for another")
	}
	for want, got := range map[string]string{
		"reserved IP 10.0.0.9 for 02:00:00:00:00:01":  r.String(),
		"sticky address 10.0.0.9 of node1 eth0":       ipam.Allocation{Type: ipam.AllocSticky, Addr: inside, Holder: "node1 eth0"}.String(),
		"static route to 10.1.0.0/24 via 10.0.0.9":    ipam.StaticRoute{Gateway: inside, Destination: other.Prefix}.String(),
		"static route via 10.0.0.9":                   ipam.StaticRoute{Gateway: inside}.String(),
		"dynamic range 10.0.0.9-10.1.0.9":             ipam.Range{Type: ipam.RangeDynamic, Start: inside, End: outside}.String(),
		"neighbour 10.0.0.9 (02:00:00:00:00:01)":      ipam.Neighbour{Addr: inside, MAC: mac}.String(),
		`ipam: subnet "lab": cidr is missing`:         (&ipam.InvalidError{Kind: "subnet", Name: "lab", Field: "cidr", Why: "is missing"}).Error(),
		"ipam: address 10.0.0.9: is in use (by node)": (&ipam.RefusedError{Reason: ipam.InUse, Subject: "address 10.0.0.9", With: "by node"}).Error(),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
