package console

import (
	"bytes"
	"cmp"
	"net"
	"net/http"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store/inventory"
)

// machineEvents bounds the events on the page of a machine.
const machineEvents = 40

// machineView is the data of the page of a machine.
type machineView struct {
	machineRow
	Version      int64
	Description  string
	Domain       string
	Architecture string
	Firmware     string
	UUID         string
	Profile      string
	Configured   time.Time
	Created      time.Time
	Updated      time.Time
	Params       []sentField // of the power type, without secrets
	NICs         []nicRow
	Boots        []waterfall
	Events       []inventory.Event
	Zones, Pools []string
	BootDevices  []string
	Actions      []powerButton
}

// nicRow is an interface with its links.
type nicRow struct {
	Name, Kind, MAC, VLAN string
	Boot, Enabled         bool
	Links                 []linkRow
}

// linkRow is an address of an interface.
type linkRow struct {
	Addr, Mode, Subnet string
	SubnetID           int64
}

// powerButton is an action of the page, with the question that it asks first.
type powerButton struct {
	Action, Label, Ask string
	Danger             bool
}

// machinePage shows a machine.
func (c *Console) machinePage(w http.ResponseWriter, r *http.Request) error {
	var out machineView
	var macs []net.HardwareAddr
	var id int64
	err := c.site.look(r.Context(), func(v view) error {
		m := v.machine(r.PathValue("system"))
		if m == nil {
			return &refusal{Status: http.StatusNotFound, Text: "There is no machine with this ID, or no longer."}
		}
		id = m.ID
		for _, nic := range m.Interfaces {
			if len(nic.MAC) > 0 {
				macs = append(macs, nic.MAC)
			}
		}
		out = v.machineView(m)
		return nil
	})
	if err != nil {
		return err
	}
	boots, err := c.cfg.Boots.Of(r.Context(), macs...)
	if err != nil {
		return err
	}
	at := now()
	for _, a := range boots {
		out.Boots = append(out.Boots, waterfallOf(a, at))
	}
	if out.Events, err = lastEvents(r, c.cfg.Events, machineEvents, id); err != nil {
		return err
	}
	return c.show(w, r, "machine", frame{
		Title: out.Name, Here: "Machines", Command: "maas machine show " + shellWord(out.Name) + " && maas timeline " + shellWord(out.Name),
		Call: "machines/" + out.System + "/", Data: out,
	})
}

func (v view) machineView(m *inventory.Machine) machineView {
	out := machineView{
		machineRow: v.machineRow(m), Version: m.Version, Description: m.Description, Domain: v.domainName(m.DomainID), Architecture: m.Architecture,
		Firmware: m.Firmware, UUID: m.UUID, Configured: m.Configured, Created: m.Created, Updated: m.Updated,
		BootDevices: bootDevices, Actions: powerButtons(m),
	}
	if m.Profile != nil {
		out.Profile = cmp.Or(m.Profile.Name, "its own")
	}
	for _, name := range sortedKeys(m.Power.Params) {
		out.Params = append(out.Params, sentField{Name: name, Now: m.Power.Params[name]})
	}
	for _, nic := range m.Interfaces {
		out.NICs = append(out.NICs, v.nicRow(nic))
	}
	for _, z := range v.Zones {
		out.Zones = append(out.Zones, z.Name)
	}
	for _, p := range v.Pools {
		out.Pools = append(out.Pools, p.Name)
	}
	return out
}

func (v view) nicRow(nic inventory.Interface) nicRow {
	row := nicRow{Name: nic.Name, Kind: nic.Kind.String(), MAC: nic.MAC.String(), VLAN: v.vlanName(nic.VLANID), Boot: nic.Boot, Enabled: nic.Enabled}
	for _, l := range nic.Links {
		link := linkRow{Mode: l.Type.String(), SubnetID: l.SubnetID}
		if l.Addr.IsValid() {
			link.Addr = l.Addr.String()
		}
		if s := v.subnet(l.SubnetID); s != nil {
			link.Subnet = s.Prefix.String()
		}
		row.Links = append(row.Links, link)
	}
	return row
}

// bootDevices lists the devices that a switched machine may boot from; "" = the network.
var bootDevices = []string{"", string(power.Default), string(power.NetworkHTTP), string(power.Disk), string(power.CD), string(power.Setup)}

// powerButtons returns what can be done with the power of a machine.
func powerButtons(m *inventory.Machine) []powerButton {
	name := m.Hostname
	return []powerButton{
		{"on", "Switch on", "Switch " + name + " on?", false},
		{"off", "Switch off", "Switch " + name + " off at once? What runs on it is lost.", true},
		{"cycle", "Power cycle", "Switch " + name + " off and on again? What runs on it is lost.", true},
	}
}

// machinePower shows the power state of a machine alone, for the page that asks for it again and
// again.
func (c *Console) machinePower(w http.ResponseWriter, r *http.Request) error {
	var state string
	err := c.site.look(r.Context(), func(v view) error {
		m := v.machine(r.PathValue("system"))
		if m == nil {
			return &refusal{Status: http.StatusNotFound, Text: "There is no machine with this ID, or no longer."}
		}
		state = cmp.Or(m.Power.State, "unknown")
		return nil
	})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := c.pages["machine"].ExecuteTemplate(&b, "powerstate", state); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(straight(b.Bytes())) // an error means that the client has gone
	return nil
}
