package sitetest

import (
	"testing"

	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// BootsOf returns the boots that a rack that knows the model gives to machines.
func BootsOf(t testing.TB, m *inventory.Model) *pxerpc.Table {
	t.Helper()
	content := pxerpc.Content{Default: m.DefaultProfile()}
	for _, n := range plan.Nodes(m) {
		boot := plan.BootOf(m, n)
		for _, i := range n.Interfaces {
			content.Machines = append(content.Machines, pxerpc.Machine{MAC: i.MAC, Name: n.Hostname, Profile: boot.Profile, Options: boot.Options})
		}
	}
	for i := range m.Subnets {
		content.Networks = append(content.Networks, pxerpc.Network{Prefix: m.Subnets[i].Prefix, Profile: plan.SubnetProfile(m, &m.Subnets[i])})
	}
	table := new(pxerpc.Table)
	ok(t, table.Apply(t.Context(), must[map[string][]byte](t)(pxerpc.Objects(content))))
	return table
}
