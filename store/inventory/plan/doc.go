// Package plan makes what each rack serves from the model of a site: DHCP, boot profiles, DNS,
// proxy and discovery. It is pure: a model goes in and a plan comes out; nothing is read or
// written.
//
//	m, err := inv.Model(ctx)
//	snapshot := plan.DHCP(m, m.Racks[0]) // for the DHCP server of one rack
//	zones := plan.DNS(m).Zones
//
// Publishing a plan and applying it are the business of the callers. A plan says nothing about the
// state of a rack: two plans of one model are equal, so a change of the model is a difference of
// plans.
package plan
