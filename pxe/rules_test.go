package pxe_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/pxe"
)

func disk(name string) pxe.Profile { return pxe.Profile{Name: name, Kind: pxe.Local} }

func testRules() pxe.Rules {
	office, site := disk("office"), disk("site")
	return pxe.Rules{
		Machines: map[string]pxe.Profile{"52-54-00-77-e1-97": disk("dashes"), "02:00:00:00:00:01": disk("colons")},
		Subnets: []pxe.SubnetRule{
			{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Tags: []string{"prod"}},
			{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Profile: &office, Tags: []string{"lab"}},
			{Prefix: netip.MustParsePrefix("10.2.0.0/16"), Tags: []string{"lab", "prod"}},
			{Prefix: netip.MustParsePrefix("2001:db8::/64"), Tags: []string{"lab"}},
			{Prefix: netip.MustParsePrefix("10.3.0.0/16")},
		},
		Tags:    []pxe.TagRule{{Tag: "prod", Profile: disk("prod")}, {Tag: "lab", Profile: disk("lab")}},
		Default: &site,
	}
}

func TestRules(t *testing.T) {
	r := testRules()
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	var copied pxe.Rules
	if text, err := json.Marshal(r); err != nil || json.Unmarshal(text, &copied) != nil || !cmp.Equal(r, copied, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })) {
		t.Errorf("JSON changes them: %v", err)
	}
	tests := []struct{ mac, addr, want string }{
		{"52:54:00:77:e1:97", "10.1.0.5", "dashes"},
		{"02:00:00:00:00:01", "10.1.0.5", "colons"},
		{"02:00:00:00:00:02", "10.1.0.5", "office"},
		{"", "10.1.0.5", "office"},
		{"", "10.9.0.5", "prod"},
		{"", "::ffff:10.2.0.5", "prod"},
		{"", "2001:db8::5", "lab"},
		{"", "10.3.0.5", "site"}, // the longest prefix counts, though it says nothing
		{"", "192.0.2.1", "site"},
	}
	for _, tt := range tests {
		mac, _ := net.ParseMAC(tt.mac)
		p, err := r.Resolve(t.Context(), pxe.Request{MAC: mac, Addr: netip.MustParseAddr(tt.addr)})
		if p.Name != tt.want || err != nil {
			t.Errorf("%s at %s boots %q, %v; want %q", tt.mac, tt.addr, p.Name, err, tt.want)
		}
	}
	if _, err := (pxe.Rules{}).Resolve(t.Context(), pxe.Request{}); !errors.Is(err, pxe.ErrNoProfile) {
		t.Errorf("no rules: %v", err)
	}
	// A client that could not be identified has no profile of its own.
	if _, err := (pxe.Rules{Machines: map[string]pxe.Profile{"": disk("x")}}).Resolve(t.Context(), pxe.Request{}); !errors.Is(err, pxe.ErrNoProfile) {
		t.Errorf("empty key: %v", err)
	}
}

func TestRulesValidate(t *testing.T) {
	bad := pxe.Profile{Kind: "magic"}
	for want, r := range map[string]pxe.Rules{
		"rules for machines":        {Machines: map[string]pxe.Profile{"x": disk("d")}},
		"rule for 02-00":            {Machines: map[string]pxe.Profile{"02-00-00-00-00-01": bad}},
		"has no prefix":             {Subnets: []pxe.SubnetRule{{}}},
		"rule for 10.0.0.0/8":       {Subnets: []pxe.SubnetRule{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Profile: &bad}}},
		"rule for tag lab":          {Tags: []pxe.TagRule{{Tag: "lab", Profile: bad}}},
		"(rule for everybody else)": {Default: &bad},
	} {
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Machines in the lab are inspected, one is being installed, all others boot from their disks.
func ExampleRules() {
	rules := pxe.Rules{
		Machines: map[string]pxe.Profile{"52-54-00-12-34-56": {Name: "install", Kernel: "vmlinuz", Initrd: []string{"installer"}}},
		Subnets:  []pxe.SubnetRule{{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Tags: []string{"lab"}}},
		Tags:     []pxe.TagRule{{Tag: "lab", Profile: pxe.Profile{Name: "inspect", Kernel: "vmlinuz", Initrd: []string{"inspector"}}}},
		Default:  &pxe.Profile{Name: "disk", Kind: pxe.Local},
	}
	for _, r := range []pxe.Request{
		{MAC: net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}, Addr: netip.MustParseAddr("10.1.0.7")},
		{Addr: netip.MustParseAddr("10.1.0.8")},
		{Addr: netip.MustParseAddr("10.2.0.9")},
	} {
		p, err := rules.Resolve(context.Background(), r)
		fmt.Println(p.Name, err)
	}
	// Output:
	// install <nil>
	// inspect <nil>
	// disk <nil>
}
