package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/cmd/maas/internal/client"
)

// zoneVerbs are the commands of zones: show has a report besides.
type zoneVerbs struct {
	List listCmd     `cmd:"" help:"List all of them."`
	Show zoneShowCmd `cmd:"" help:"Show one of them, and what stops when a rack, PDU or switch of it fails."`
	making
	changing
	deleting
}

// zoneShowCmd is `maas zone show`.
type zoneShowCmd struct {
	remote
	Name string `arg:"" help:"Name or number of the zone."`
}

// Run runs the command.
func (c zoneShowCmd) Run(ctx context.Context, io stdio) error {
	t, args, err := c.target(ctx, resourceNamed("zone"), []string{c.Name})
	if err != nil {
		return err
	}
	found, err := t.find(ctx, args[0])
	if err != nil {
		return err
	}
	var zone struct{ Name string }
	if err := json.Unmarshal(found.raw, &zone); err != nil {
		return err
	}
	machines, err := c.tagged(ctx, "", true)
	if err != nil {
		return err
	}
	var racks []listedRack
	if err := c.get(ctx, client.API+"rackcontrollers/", &racks); err != nil {
		return err
	}
	failures := failuresOf(zone.Name, racks, machines)
	if c.Output != "table" {
		var o object
		if err := decode(found.raw, &o); err != nil {
			return err
		}
		o["failures"] = failures
		return c.print(io.out, o, "", nil)
	}
	if err := c.showObject(io.out, t.resource, found.raw); err != nil {
		return err
	}
	fmt.Fprintln(io.out)
	return c.print(io.out, failures, "IF THIS FAILS\tTHEN", func(row func(...string)) {
		for _, f := range failures {
			row(f.Of, f.Effect)
		}
	})
}

// A listedVLAN is a VLAN of a machine's interface.
type listedVLAN struct {
	ID        int64  `json:"id"`
	VID       int    `json:"vid"`
	Fabric    string `json:"fabric"`
	DHCP      bool   `json:"dhcp_on"`
	Primary   string `json:"primary_rack"`
	Secondary string `json:"secondary_rack"`
}

// A listedRack is a rack as lists of the API have it.
type listedRack struct {
	ID       string                `json:"system_id"`
	Name     string                `json:"hostname"`
	Zone     struct{ Name string } `json:"zone"`
	Networks []string              `json:"served_networks"`
	BMCs     []string              `json:"bmc_networks"`
}

// reaches reports whether the rack was given the network of an address.
func (r *listedRack) reaches(address string) bool {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	for _, text := range slices.Concat(r.Networks, r.BMCs) {
		if network, err := netip.ParsePrefix(text); err == nil && network.Contains(ip) {
			return true
		}
	}
	return false
}

// A failure holds what stops when a part fails.
type failure struct {
	Of     string `json:"of"`
	Effect string `json:"effect"`
	// Stops are the machines that stop, or lose what they need to start.
	Stops []string `json:"stops,omitempty"`
}

// failuresOf returns what stops when one rack, PDU or switch of a zone fails. The switch of a
// machine is its tags that begin with switch-, the PDU its address or its tags that begin with
// pdu-.
func failuresOf(zone string, racks []listedRack, machines []listedMachine) []failure {
	out := []failure{}
	for i := range racks {
		if racks[i].Zone.Name == zone {
			out = append(out, rackFailure(&racks[i], racks, machines))
		}
	}
	feeds, switches := map[string]bool{}, map[string]bool{}
	for i := range machines {
		if machines[i].Zone.Name == zone {
			for _, pdu := range machines[i].pdus() {
				feeds[pdu] = true
			}
			for _, name := range machines[i].switches() {
				switches[name] = true
			}
		}
	}
	for _, name := range sortedKeys(feeds) {
		out = append(out, partFailure("PDU "+name, "power", name, machines, (*listedMachine).pdus))
	}
	for _, name := range sortedKeys(switches) {
		out = append(out, partFailure("switch "+name, "the network", name, machines, (*listedMachine).switches))
	}
	return out
}

func sortedKeys(set map[string]bool) (out []string) {
	for name := range set {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// switches returns the switches that a machine is connected to.
func (m *listedMachine) switches() (out []string) {
	for _, tag := range m.Tags {
		if strings.HasPrefix(tag, "switch-") {
			out = append(out, tag)
		}
	}
	return out
}

// partFailure is the failure of a part that machines have one or several of.
func partFailure(of, what, name string, machines []listedMachine, parts func(*listedMachine) []string) failure {
	f := failure{Of: of}
	second := 0
	for i := range machines {
		switch has := parts(&machines[i]); {
		case !slices.Contains(has, name):
		case len(has) > 1:
			second++
		default:
			f.Stops = append(f.Stops, machines[i].Name)
		}
	}
	f.Effect = fmt.Sprintf("%s without %s", number(len(f.Stops), "machine"), what)
	if second > 0 {
		f.Effect += fmt.Sprintf(", %d go on with another one", second)
	}
	return f
}

func number(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// rackFailure is the failure of a rack: VLANs that no other rack serves, and BMCs that no other
// rack reaches.
func rackFailure(r *listedRack, racks []listedRack, machines []listedMachine) failure {
	f := failure{Of: "rack " + r.Name}
	var alone, taken []string
	dark := 0
	for i := range machines {
		m := &machines[i]
		stops := false
		for _, v := range m.vlans() {
			if !v.DHCP || v.Primary != r.ID && v.Secondary != r.ID {
				continue
			}
			name := fmt.Sprintf("%s.%d", v.Fabric, v.VID)
			other := v.Primary
			if other == r.ID {
				other = v.Secondary
			}
			if other == "" || other == r.ID {
				stops = true
				alone = appendNew(alone, name)
			} else {
				taken = appendNew(taken, name+" by "+rackName(racks, other))
			}
		}
		if m.address != "" && r.reaches(m.address) && !slices.ContainsFunc(racks, func(o listedRack) bool { return o.ID != r.ID && o.reaches(m.address) }) {
			dark++
			stops = true
		}
		if stops {
			f.Stops = append(f.Stops, m.Name)
		}
	}
	var parts []string
	if len(alone) > 0 {
		parts = append(parts, "no addresses and no boots in "+strings.Join(alone, ", "))
	}
	if dark > 0 {
		parts = append(parts, number(dark, "machine")+" cannot be switched")
	}
	if len(taken) > 0 {
		parts = append(parts, "taken over: "+strings.Join(taken, ", "))
	}
	if parts == nil {
		parts = []string{"nothing stops"}
	}
	f.Effect = strings.Join(parts, "; ")
	return f
}

func appendNew(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

// rackName returns the name of a rack, with its zone.
func rackName(racks []listedRack, id string) string {
	for i := range racks {
		if racks[i].ID == id {
			return racks[i].Name + " of zone " + racks[i].Zone.Name
		}
	}
	return id
}

// vlans returns the VLANs of a machine's interfaces.
func (m *listedMachine) vlans() (out []listedVLAN) {
	for _, i := range m.Interfaces {
		if i.VLAN != nil && !slices.Contains(out, *i.VLAN) {
			out = append(out, *i.VLAN)
		}
	}
	return out
}
