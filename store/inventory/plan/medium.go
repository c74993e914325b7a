package plan

import (
	"fmt"
	"net/netip"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/ipam/netconfig"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
)

// StaticNetwork returns the network configuration by which a machine starts without DHCP: the first
// static IPv4 address of its boot interface, else of another one, such as the bond that its boot
// interface is part of.
func StaticNetwork(m *inventory.Model, machine *inventory.Machine) (pxe.Network, error) {
	config, _ := NetworkConfig(m, machine)
	boot, _ := machine.BootInterface()
	n := pxe.Network{Hostname: machine.Hostname, DNS: config.DNS}
	take := func(i netconfig.Interface) {
		for _, a := range i.Addresses {
			if a.Addr().Is4() && !n.Address.IsValid() {
				n.Address = a
				n.Gateway = gatewayOf(m, a)
			}
		}
	}
	for _, i := range config.Interfaces {
		if i.Name == boot.Name {
			take(i)
		}
	}
	for _, i := range config.Interfaces {
		take(i)
	}
	if !n.Address.IsValid() {
		return n, fmt.Errorf("machine %s has no static IPv4 address, by which it would boot without DHCP; link its interface with mode static", machine.FQDN)
	}
	return n, nil
}

// MediumProfile returns what a machine boots that has an address, with its kernel options.
func MediumProfile(m *inventory.Model, machine *inventory.Machine, address netip.Prefix) (pxe.Profile, error) {
	var subnet *ipam.Subnet
	for i := range m.Subnets {
		if m.Subnets[i].Prefix == address.Masked() {
			subnet = &m.Subnets[i]
		}
	}
	_, p := bootRule(m, machine, subnet)
	switch {
	case p == nil:
		return pxe.Profile{}, fmt.Errorf("machine %s has no boot profile; maas boot-profile set gives it one", machine.FQDN)
	case bootsDisk(m, machine) && !p.Always:
		return pxe.Profile{}, fmt.Errorf("the system of machine %s is configured, so that it boots its disk; maas machine reinstall first has it boot its profile again", machine.FQDN)
	}
	return p.WithOptions(kernelOpts(m, machine)), nil
}

// gatewayOf returns the gateway of the subnet of an address.
func gatewayOf(m *inventory.Model, a netip.Prefix) netip.Addr {
	for i := range m.Subnets {
		if m.Subnets[i].Prefix == a.Masked() {
			return m.Subnets[i].Gateway
		}
	}
	return netip.Addr{}
}
