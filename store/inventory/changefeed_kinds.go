package inventory

// Kinds of objects in the change feed.
const (
	KindFabric      = "fabric"
	KindVLAN        = "vlan"
	KindSpace       = "space"
	KindSubnet      = "subnet"
	KindRange       = "range"
	KindRoute       = "route"
	KindReservedIP  = "reserved-ip"
	KindAllocation  = "allocation" // an address of an interface or a user, or seen in a lease
	KindMachine     = "machine"    // with its interfaces
	KindDevice      = "device"     // with its interfaces
	KindInterface   = "interface"  // of no node: a MAC seen on the network
	KindRack        = "rack"
	KindZone        = "zone"
	KindPool        = "pool"
	KindDomain      = "domain"
	KindRecord      = "record"
	KindSetting     = "setting"      // the default boot profile too
	KindBootProfile = "boot-profile" // of a tag or subnet
	KindObservation = "observation"
	KindToken       = "rack-token"
	KindCertificate = "rack-certificate"
	KindRegion      = "region" // when its addresses change
	KindUser        = "user"
	KindAPIKey      = "api-key"
	KindSSHKey      = "ssh-key"
	KindTag         = "tag"
	KindSnippet     = "dhcp-snippet"
	KindTSIGKey     = "tsig-key"
)
