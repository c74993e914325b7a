package netspec_test

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/ipam/netspec"
	"github.com/google/go-cmp/cmp"
)

func prefixOf(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// campus is two fabrics with three subnets.
func campus() *netspec.Networks {
	return &netspec.Networks{
		Fabrics: []ipam.Fabric{{ID: 1, Name: "fabric-1"}, {ID: 2, Name: "lab", ClassType: "10g"}, {ID: 3, Name: "2"}},
		Spaces:  []ipam.Space{{ID: 1, Name: "dmz"}, {ID: 2, Name: "storage"}},
		VLANs: []ipam.VLAN{
			{ID: 10, FabricID: 1, Name: "untagged"}, {ID: 11, FabricID: 1, VID: 100, Name: "pxe", SpaceID: 1},
			{ID: 12, FabricID: 2, Name: "untagged", SpaceID: 2}, {ID: 13, FabricID: 2, VID: 100, SpaceID: 1},
		},
		Subnets: []ipam.Subnet{
			{ID: 21, Name: "office", VLANID: 10, Prefix: prefixOf("10.0.0.0/24")},
			{ID: 22, VLANID: 11, Prefix: prefixOf("10.1.0.0/16")},
			{ID: 23, Name: "21", VLANID: 12, Prefix: prefixOf("10.2.0.0/16")},
			{ID: 24, Name: "six: lab", VLANID: 13, Prefix: prefixOf("fd00:1::/64")},
		},
	}
}

func TestSpecifierFindsSubnets(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/24":            "21",
		"10.0.0.9/24":            "21", // host bits do not count
		"10.0.0.7":               "21",
		"fd00:1::7":              "24",
		"ip:fd00:1::7":           "24",
		"cidr:10.1.0.0/16":       "22",
		"10.1.0.0/16":            "22",
		"21":                     "21", // the ID, not the name
		"id:23":                  "23",
		"name:21":                "23",
		"office":                 "21",
		"six: lab":               "24",
		"name:six: lab":          "24",
		"fabric:lab":             "23 24",
		"fabric:2":               "23 24", // the ID, though another is called 2
		"fabric:name:2":          "",
		"fabric:class:10g":       "23 24",
		"class:10g":              "23 24",
		"vid:100":                "22 24",
		"vid:0x64":               "22 24",
		"vid:0b1100100":          "22 24",
		"vlan:100":               "22 24",
		"vlan:untagged":          "21 23",
		"vlan:pxe":               "22",
		"vlan:id:13":             "24",
		"space:dmz":              "22 24",
		"space:undefined":        "21",
		"space:dmz,space:2":      "22 23 24",
		"space:dmz,&fabric:lab":  "24",
		"space:dmz, & vid:100":   "22 24",
		"space:dmz,!fabric:lab":  "22",
		"space:dmz,&!fabric:lab": "22",
		"!space:dmz":             "21 23",
		"&office":                "21",
		"fabric:vlan:pxe":        "21 22",
		"subnet:office":          "21",
		"nowhere":                "",
		"10.99.0.1":              "",
		"FABRIC: lab":            "23 24",
	} {
		s, err := netspec.Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var ids []string
		for _, n := range campus().FindSubnets(s) {
			ids = append(ids, fmt.Sprint(n.ID))
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%q means subnets %q, want %q", text, got, want)
		}
	}
}

func TestSpecifierFindsOthers(t *testing.T) {
	n := campus()
	vlans := func(s string) (out []int64) {
		for _, v := range n.FindVLANs(netspec.MustParse(s)) {
			out = append(out, v.ID)
		}
		return out
	}
	for text, want := range map[string][]int64{
		"pxe": {11}, "fabric:lab,&vid:100": {13}, "subnet:office": {10}, "10.2.0.5": {12}, "space:dmz": {11, 13}, "vlan:11": nil, "id:11": {11}, "11": {11},
	} {
		if d := cmp.Diff(want, vlans(text)); d != "" {
			t.Errorf("%q (-want +got):\n%s", text, d)
		}
	}
	for text, want := range map[string]int64{"lab": 2, "2": 2, "class:10g": 2, "name:2": 3, "subnet:office": 1, "vlan:pxe": 1} {
		if got := n.FindFabrics(netspec.MustParse(text)); len(got) != 1 || got[0].ID != want {
			t.Errorf("%q means fabrics %v, want %d", text, got, want)
		}
	}
	for text, want := range map[string]int64{"storage": 2, "1": 1, "space:storage": 2, "subnet:23": 2} {
		if got := n.FindSpaces(netspec.MustParse(text)); len(got) != 1 || got[0].ID != want {
			t.Errorf("%q means spaces %v, want %d", text, got, want)
		}
	}
}

func TestSpecifierRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"":                          `specifier "": is empty`,
		"a,,b":                      `specifier "": is empty`,
		"!":                         `specifier "": is empty`,
		"&&a":                       `specifier "&a": begins with two signs; a name that begins with one is written name:&a`,
		"id:x":                      `specifier "id:x": needs a number after id:`,
		"cidr:10.0.0.0":             "needs a prefix such as 10.0.0.0/24 after cidr:",
		"ip:10.0.0.0/24":            "needs an address after ip:",
		"ip:fe80::1%eth0":           "needs an address after ip:",
		"vid:4095":                  "needs 0 to 4094 after vid:",
		"vlan:vid:4095":             "needs 0 to 4094 after vid:",
		"fabric:":                   "has nothing after fabric:",
		"fabric:vlan:subnet:id:7":   "has more than 3 keys before it",
		strings.Repeat("a,", 64):    "is one of more than 64 terms",
		"space:dmz,fabric:vid:none": "needs 0 to 4094 after vid:",
	} {
		_, err := netspec.Parse(text)
		var bad *netspec.Error
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: err = %v, want %s", text, err, want)
		}
	}
}

// What is written reads back the same, and matching never panics.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"10.0.0.0/24", "fd00::1", "space:dmz,&vid:0x64,!fabric:name:a:b", "vlan:vid:0b11", "id:007", "|a", "&!a", "cidr:fd00::/64", " a b , c "} {
		f.Add(s)
	}
	n := campus()
	f.Fuzz(func(t *testing.T, text string) {
		s, err := netspec.Parse(text)
		if err != nil {
			return
		}
		again, err := netspec.Parse(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q is written %q, which reads as %q, %v", text, s, again, err)
		}
		if !reflect.DeepEqual(s, again) {
			t.Fatalf("%q: %+v, and again %+v", text, s, again)
		}
		if a, b := n.FindSubnets(s), n.FindSubnets(again); len(a) != len(b) {
			t.Fatalf("%q means %v, then %v", text, a, b)
		}
		n.FindVLANs(s)
		n.FindFabrics(s)
		n.FindSpaces(s)
	})
}

func ExampleNetworks_FindSubnets() {
	n := netspec.Networks{
		Spaces:  []ipam.Space{{ID: 1, Name: "dmz"}},
		VLANs:   []ipam.VLAN{{ID: 1, VID: 100, SpaceID: 1}},
		Subnets: []ipam.Subnet{{ID: 1, VLANID: 1, Prefix: prefixOf("10.0.0.0/24")}, {ID: 2, VLANID: 1, Prefix: prefixOf("fd00::/64")}},
	}
	for _, text := range []string{"space:dmz", "vid:100,!fd00::1", "10.0.0.17"} {
		s, err := netspec.Parse(text)
		fmt.Println(s, n.FindSubnets(s), err)
	}
	// Output:
	// space:dmz [10.0.0.0/24 fd00::/64] <nil>
	// vid:100,!fd00::1 [10.0.0.0/24] <nil>
	// 10.0.0.17 [10.0.0.0/24] <nil>
}
