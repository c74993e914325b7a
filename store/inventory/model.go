package inventory

import (
	"context"
	"errors"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/setting"
)

// Model is the whole site at one moment: what plans are made of. Lists are in order of ID; the
// first zone, pool, domain and fabric are the default ones.
type Model struct {
	Revision int64 // of the last change in it
	Fabrics  []ipam.Fabric
	VLANs    []ipam.VLAN
	Spaces   []ipam.Space
	Subnets  []ipam.Subnet
	Ranges   []ipam.Range
	Routes   []ipam.StaticRoute
	Reserved []ipam.ReservedIP
	Zones    []AvailabilityZone
	Pools    []ResourcePool
	Domains  []Domain
	Records  []DNSRecord
	Racks    []Rack
	Regions  []Region
	Machines []Machine
	Devices  []Device
	Tags     []Tag
	Snippets []Snippet // of DHCP
	Classes  []Class   // of DHCP, in the order in which they decide
	TSIGKeys []TSIGKey // their secrets: see DNSKeys
	// Orphans are addresses of no machine or device: reserved by users, held by racks, or seen in
	// leases of unknown clients.
	Orphans  []Orphan
	Settings map[string]string
	// Profiles are the boot profiles of tags and subnets, for machines without their own.
	Profiles map[BootTarget]pxe.Profile
	// UserData are the marks of user data, see [UserDataSet.Contents].
	UserData map[BootTarget]string
	// Keys are the SSH keys of users, by name of the user.
	Keys map[string][]string
	// SubnetTags are the names of the tags of subnets, by ID of the subnet.
	SubnetTags map[int64][]string

	assigned map[int64]assigned // by ID of the rack; nil in a model that was not read
}

// Orphan is an address that belongs to no machine or device.
type Orphan struct {
	ipam.Allocation
	Hostname string // that the user or the client gave; "" = none
}

// Model reads the site.
func (inv *Inventory) Model(ctx context.Context) (*Model, error) {
	m := new(Model)
	err := inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if m.Revision, err = inv.Revision(ctx); err != nil {
			return err
		}
		if err = errors.Join(m.readNetworks(ctx, tx), into(ctx, tx, records, &m.Records)); err != nil {
			return err
		}
		if m.Machines, err = inv.Machines.List(ctx); err != nil {
			return err
		}
		if m.Devices, err = inv.Devices.List(ctx); err != nil {
			return err
		}
		m.Orphans, err = orphansWhere(ctx, tx, "")
		return err
	})
	return m, err
}

// readNetworks reads all but machines, devices, orphans and records.
func (m *Model) readNetworks(ctx context.Context, tx *store.Tx) error {
	var all []settingRow
	var rules []bootRule
	var users []UserData
	for _, read := range []func() error{
		func() error { return into(ctx, tx, fabrics, &m.Fabrics) },
		func() error { return into(ctx, tx, vlans, &m.VLANs) },
		func() error { return into(ctx, tx, spaces, &m.Spaces) },
		func() error { return into(ctx, tx, subnets, &m.Subnets) },
		func() error { return into(ctx, tx, ranges, &m.Ranges) },
		func() error { return into(ctx, tx, routes, &m.Routes) },
		func() error { return into(ctx, tx, reservedIPs, &m.Reserved) },
		func() error { return into(ctx, tx, zones, &m.Zones) },
		func() error { return into(ctx, tx, resourcePools, &m.Pools) },
		func() error { return into(ctx, tx, domains, &m.Domains) },
		func() error { return into(ctx, tx, racks, &m.Racks) },
		func() error { return into(ctx, tx, regions, &m.Regions) },
		func() error { return into(ctx, tx, tags, &m.Tags) },
		func() error { return into(ctx, tx, snippets, &m.Snippets) },
		func() error { return into(ctx, tx, classes, &m.Classes) },
		func() error { return into(ctx, tx, tsigKeys, &m.TSIGKeys) },
		func() error { return into(ctx, tx, settings, &all) },
		func() error { return into(ctx, tx, bootRules, &rules) },
		func() (err error) { users, err = listUserData(ctx, tx); return err },
		func() (err error) { m.Keys, err = keysByUser(ctx, tx); return err },
		func() (err error) { m.SubnetTags, err = subnetTags(ctx, tx); return err },
	} {
		if err := read(); err != nil {
			return err
		}
	}
	sortClasses(m.Classes)
	m.Settings = make(map[string]string, len(all))
	for _, s := range all {
		m.Settings[s.name] = s.value
	}
	m.Profiles = make(map[BootTarget]pxe.Profile, len(rules))
	for _, r := range rules {
		m.Profiles[r.For] = r.Profile
	}
	m.UserData = make(map[BootTarget]string, len(users))
	for _, u := range users {
		m.UserData[u.For] = u.Mark
	}
	m.assigned = make(map[int64]assigned, len(m.Racks))
	for _, r := range m.Racks {
		m.assigned[r.ID] = assigned{r.Version, assignmentOf(r, m.VLANs, m.Subnets)}
	}
	return nil
}

func into[T any](ctx context.Context, tx *store.Tx, t table[T], out *[]T) (err error) {
	*out, err = t.list(ctx, tx, "")
	return err
}

// orphansWhere reads addresses of no node; and, if not "", begins with AND.
func orphansWhere(ctx context.Context, tx *store.Tx, and string, args ...any) ([]Orphan, error) {
	// By row: a list of all interfaces of no node would be made for each row that changed.
	const orphan = "ip IS NOT NULL AND NOT EXISTS (SELECT 1 FROM interface i WHERE i.id = allocation.interface_id AND i.node_id IS NOT NULL)"
	rows, err := allocations.list(ctx, tx, orphan+and, args...)
	return each(rows, func(r held) Orphan { return Orphan{r.Allocation, r.hostname} }), err
}

// elements are the values of a setting that holds several.
func elements(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' })
}

// DefaultProfile returns what machines boot of which nothing else is said; nil = nothing.
func (m *Model) DefaultProfile() *pxe.Profile {
	p, err := parseProfile(m.Settings[setting.BootProfile])
	if err != nil {
		return nil
	}
	return p
}
