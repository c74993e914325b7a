package plan

import (
	"reflect"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/ipam/netconfig"
	"github.com/gomaas/maas/pxe/metadata"
	"github.com/gomaas/maas/store/inventory"
)

// MetadataInputs holds everything that the metadata of machines depend on besides the machines.
type MetadataInputs struct {
	subnets []ipam.Subnet
	vlans   []ipam.VLAN
	routes  []ipam.StaticRoute
	zones   []inventory.AvailabilityZone
	domains []inventory.Domain
	racks   []rackLinks
	tags    []inventory.Tag
	users   map[inventory.BootTarget]string
	keys    map[string][]string
}

// rackLinks is the part of a rack that resolvers depend on.
type rackLinks struct {
	name  string
	links []inventory.RackLink
}

// MetadataInputsOf returns the inputs of a model.
func MetadataInputsOf(m *inventory.Model) *MetadataInputs {
	in := &MetadataInputs{vlans: m.VLANs, routes: m.Routes, zones: m.Zones, domains: m.Domains, tags: m.Tags, users: m.UserData, keys: m.Keys}
	for _, s := range m.Subnets {
		s.Version, s.DenyProxy, s.Description = 0, false, ""
		in.subnets = append(in.subnets, s)
	}
	for _, r := range m.Racks {
		in.racks = append(in.racks, rackLinks{r.Name, r.Links})
	}
	return in
}

// Equal reports whether all machines have the same metadata. Nothing is like nil.
func (in *MetadataInputs) Equal(other *MetadataInputs) bool {
	return in != nil && other != nil && reflect.DeepEqual(in, other)
}

// Metadata holds the data that a machine reads about itself.
type Metadata struct {
	Instance metadata.Instance // without UserData
	MACs     []string          // all link addresses of six octets
	// User is the mark of its user data, see [inventory.UserDataSet]; "" = none.
	User string
}

// MetadataOf returns the data that a machine reads about itself. A network configuration that
// contradicts itself is left out.
func MetadataOf(m *inventory.Model, machine *inventory.Machine) Metadata {
	out := Metadata{
		Instance: metadata.Instance{ID: machine.SystemID, Hostname: machine.Hostname, FQDN: machine.FQDN, Keys: m.Keys[machine.Owner]},
		User:     UserDataOf(m, machine),
	}
	in := &out.Instance
	for _, z := range m.Zones {
		if z.ID == machine.ZoneID {
			in.Zone = z.Name
		}
	}
	if boot, ok := machine.BootInterface(); ok {
		in.MAC = boot.MAC
	}
	for _, i := range machine.Interfaces {
		if len(i.MAC) == 6 {
			out.MACs = append(out.MACs, i.MAC.String())
		}
		for _, l := range configured(i) {
			if l.Addr.IsValid() && l.Type != ipam.AllocDHCP {
				in.Addrs = append(in.Addrs, l.Addr)
			}
		}
	}
	config, _ := NetworkConfig(m, machine)
	in.NetworkConfig, in.NetworkData = renderedAs(config, netconfig.CloudInit2), renderedAs(config, netconfig.OpenStack)
	return out
}

// renderedAs returns the only file of a format; nil = the configuration contradicts itself.
func renderedAs(c netconfig.Config, f netconfig.Format) []byte {
	out, err := netconfig.Render(c, f)
	if err != nil || len(out.Files) != 1 {
		return nil
	}
	return []byte(out.Files[0].Text)
}

// UserDataOf returns the mark of the user data of a machine: its own, else that of the oldest of
// its tags that has some, else the site's. A machine that no user touched since it booted gets none
// of the site: any host can make itself one.
func UserDataOf(m *inventory.Model, machine *inventory.Machine) string {
	if mark := m.UserData[inventory.BootTarget{MachineID: machine.ID}]; mark != "" {
		return mark
	}
	for _, t := range m.Tags { // in order of age
		for _, name := range machine.Tags {
			if mark := m.UserData[inventory.BootTarget{TagID: t.ID}]; name == t.Name && mark != "" {
				return mark
			}
		}
	}
	if machine.Status == inventory.StatusNew {
		return ""
	}
	return m.UserData[inventory.BootTarget{}]
}
