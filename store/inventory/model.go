package inventory

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store"
)

// Model is the whole site at one moment: what plans are made of. Lists are in
// order of ID; the first zone, pool, domain and fabric are the default ones.
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
	Machines []Machine
	Devices  []Device
	Tags     []Tag
	Snippets []Snippet // of DHCP
	TSIGKeys []TSIGKey // their secrets: see DNSKeys
	// Strays are addresses of no machine or device: reserved by users, held
	// by racks, or seen in leases of unknown clients.
	Strays   []Stray
	Settings map[string]string
	// Profiles are what machines with a tag, or in a subnet, boot that have none of their own.
	Profiles map[BootTarget]pxe.Profile
	// SubnetTags are the names of the tags of subnets, by ID of the subnet.
	SubnetTags map[int64][]string
}

// Stray is an address that belongs to no machine or device.
type Stray struct {
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
		if m.Machines, err = inv.Machines(ctx); err != nil {
			return err
		}
		if m.Devices, err = inv.Devices(ctx); err != nil {
			return err
		}
		m.Strays, err = straysWhere(ctx, tx, "")
		return err
	})
	return m, err
}

// readNetworks reads all but machines, devices, strays and records.
func (m *Model) readNetworks(ctx context.Context, tx *store.Tx) error {
	var all []setting
	var rules []bootRule
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
		func() error { return into(ctx, tx, tags, &m.Tags) },
		func() error { return into(ctx, tx, snippets, &m.Snippets) },
		func() error { return into(ctx, tx, tsigKeys, &m.TSIGKeys) },
		func() error { return into(ctx, tx, settings, &all) },
		func() error { return into(ctx, tx, bootRules, &rules) },
		func() (err error) { m.SubnetTags, err = subnetTags(ctx, tx); return err },
	} {
		if err := read(); err != nil {
			return err
		}
	}
	m.Settings = make(map[string]string, len(all))
	for _, s := range all {
		m.Settings[s.name] = s.value
	}
	m.Profiles = make(map[BootTarget]pxe.Profile, len(rules))
	for _, r := range rules {
		m.Profiles[r.For] = r.Profile
	}
	return nil
}

func into[T any](ctx context.Context, tx *store.Tx, t table[T], out *[]T) (err error) {
	*out, err = t.list(ctx, tx, "")
	return err
}

// straysWhere reads addresses of no node; and, if not "", begins with AND.
func straysWhere(ctx context.Context, tx *store.Tx, and string, args ...any) ([]Stray, error) {
	const stray = "ip IS NOT NULL AND (interface_id IS NULL OR interface_id IN (SELECT id FROM interface WHERE node_id IS NULL))"
	rows, err := allocations.list(ctx, tx, stray+and, args...)
	return each(rows, func(r held) Stray { return Stray{r.Allocation, r.hostname} }), err
}

// subnet returns a subnet by ID; nil if it is not there.
func (m *Model) subnet(id int64) *ipam.Subnet {
	for i := range m.Subnets {
		if m.Subnets[i].ID == id {
			return &m.Subnets[i]
		}
	}
	return nil
}

// defaultDomain returns the name of the default domain.
func (m *Model) defaultDomain() string {
	if len(m.Domains) == 0 {
		return DefaultDomain
	}
	return m.Domains[0].Name
}

// list reads a setting that holds several values.
func (m *Model) list(setting string) []string { return elements(m.Settings[setting]) }

// elements are the values of a setting that holds several.
func elements(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' })
}

// number reads a setting that holds a number; fallback if it holds none.
func (m *Model) number(setting string, fallback int) int {
	if n, err := strconv.Atoi(strings.TrimSpace(m.Settings[setting])); err == nil {
		return n
	}
	return fallback
}
