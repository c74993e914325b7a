// Package kinds names the kinds of objects of a site, as they appear in its change feed and in the
// errors of the inventory.
//
//	for change, err := range inv.Watch(ctx, revision) {
//		if err == nil && change.Kind == kinds.Machine {
//			m, err := inv.Machines.Get(ctx, change.ID)
//		}
//	}
package kinds

// The kinds.
const (
	Fabric      = "fabric"
	VLAN        = "vlan"
	Space       = "space"
	Subnet      = "subnet"
	Range       = "range"
	Route       = "route"
	ReservedIP  = "reserved-ip"
	Allocation  = "allocation" // an address of an interface or a user, or seen in a lease
	Machine     = "machine"    // with its interfaces
	Device      = "device"     // with its interfaces
	Interface   = "interface"  // of no node: a MAC seen on the network
	Rack        = "rack"
	Zone        = "zone"
	Pool        = "pool"
	Domain      = "domain"
	Record      = "record"
	Setting     = "setting"      // the default boot profile too
	BootProfile = "boot-profile" // of a tag or subnet
	UserData    = "user-data"
	BootImage   = "boot-image"
	Observation = "observation"
	Token       = "rack-token"
	Certificate = "rack-certificate"
	Region      = "region" // when its addresses change
	User        = "user"
	APIKey      = "api-key"
	SSHKey      = "ssh-key"
	Tag         = "tag"
	Snippet     = "dhcp-snippet"
	Class       = "dhcp-class"
	TSIGKey     = "tsig-key"
)
