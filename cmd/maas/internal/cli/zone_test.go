package cli

import (
	"fmt"
	"slices"
	"testing"
)

func TestFailures(t *testing.T) {
	rack := func(id, zone string, networks ...string) listedRack {
		r := listedRack{ID: id, Name: id, Networks: networks}
		r.Zone.Name = zone
		return r
	}
	racks := []listedRack{rack("r1", "east", "192.0.2.0/24"), rack("r2", "west", "198.51.100.0/24"), rack("r3", "east")}
	machine := func(name, zone, address, primary, secondary string, vid int, tags ...string) listedMachine {
		m := listed(name, zone, "on", tags...)
		m.address = address
		m.Interfaces = append(m.Interfaces, struct {
			VLAN *listedVLAN `json:"vlan"`
		}{&listedVLAN{ID: int64(vid), VID: vid, Fabric: "f", DHCP: true, Primary: primary, Secondary: secondary}})
		return m
	}
	machines := []listedMachine{
		machine("a", "east", "192.0.2.9", "r1", "", 10, "pdu-1", "switch-1"),
		machine("b", "east", "198.51.100.9", "r1", "r2", 20, "pdu-1", "pdu-2", "switch-1", "switch-2"),
		machine("c", "west", "", "r2", "", 30, "pdu-9"),
	}
	want := []string{
		"rack r1: no addresses and no boots in f.10; 1 machine cannot be switched; taken over: f.20 by r2 of zone west [a]",
		"rack r3: nothing stops []",
		"PDU pdu-1: 1 machine without power, 1 go on with another one [a]",
		"PDU pdu-2: 0 machines without power, 1 go on with another one []",
		"switch switch-1: 1 machine without the network, 1 go on with another one [a]",
		"switch switch-2: 0 machines without the network, 1 go on with another one []",
	}
	var got []string
	for _, f := range failuresOf("east", racks, machines) {
		got = append(got, fmt.Sprintf("%s: %s %v", f.Of, f.Effect, f.Stops))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}
