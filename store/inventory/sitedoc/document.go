package sitedoc

import (
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/images"
)

// Document is a site. Nil lists say nothing about their kind of object.
type Document struct {
	// Settings are the settings of the site by name that have a value. A setting that is left out
	// is left alone, or has its default again if the document is applied with Prune.
	Settings map[string]string `json:"settings,omitempty" yaml:"settings,omitempty"`

	Zones    []Group      `json:"zones,omitempty" yaml:"zones,omitempty"`
	Pools    []Group      `json:"pools,omitempty" yaml:"pools,omitempty"`
	Domains  []Domain     `json:"domains,omitempty" yaml:"domains,omitempty"`
	Spaces   []Group      `json:"spaces,omitempty" yaml:"spaces,omitempty"`
	Fabrics  []Fabric     `json:"fabrics,omitempty" yaml:"fabrics,omitempty"`
	VLANs    []VLAN       `json:"vlans,omitempty" yaml:"vlans,omitempty"`
	Subnets  []Subnet     `json:"subnets,omitempty" yaml:"subnets,omitempty"`
	Classes  []Class      `json:"dhcp_classes,omitempty" yaml:"dhcp_classes,omitempty"`
	Ranges   []Range      `json:"ranges,omitempty" yaml:"ranges,omitempty"`
	Routes   []Route      `json:"routes,omitempty" yaml:"routes,omitempty"`
	Reserved []ReservedIP `json:"reserved_ips,omitempty" yaml:"reserved_ips,omitempty"`
	Records  []Record     `json:"records,omitempty" yaml:"records,omitempty"`
	Machines []Machine    `json:"machines,omitempty" yaml:"machines,omitempty"`
	Tags     []Tag        `json:"tags,omitempty" yaml:"tags,omitempty"`
	// Addresses are the addresses that users reserved.
	Addresses []Address `json:"addresses,omitempty" yaml:"addresses,omitempty"`
	Devices   []Device  `json:"devices,omitempty" yaml:"devices,omitempty"`
	Snippets  []Snippet `json:"snippets,omitempty" yaml:"snippets,omitempty"`
	// Images are the boot images that the regions fetch.
	Images []Image `json:"images,omitempty" yaml:"images,omitempty"`
	// BootProfiles are the boot profiles, the site's default one included.
	BootProfiles []BootProfile `json:"boot_profiles,omitempty" yaml:"boot_profiles,omitempty"`
	// UserData holds the texts that machines read when their system first starts. They may be
	// secrets, so they are applied and never exported.
	UserData []UserData `json:"user_data,omitempty" yaml:"user_data,omitempty"`
}

// Group is a zone, a pool or a space.
type Group struct {
	Name        string `json:"name" yaml:"name"`
	Description string `json:"description,omitempty" yaml:"description,omitempty"`
}

// Domain is a DNS domain.
type Domain struct {
	Name string `json:"name" yaml:"name"`
	// Default says that it is the domain of machines of which none is given. A site whose default
	// domain has another name renames it, unless it has both.
	Default bool `json:"default,omitempty" yaml:"default,omitempty"`
	TTL     int  `json:"ttl,omitempty" yaml:"ttl,omitempty"` // seconds; 0 = the site's default
	// External domains are served by other servers, which are asked at Forward, host:port.
	External bool     `json:"external,omitempty" yaml:"external,omitempty"`
	Forward  []string `json:"forward,omitempty" yaml:"forward,omitempty"`
	// Of what follows, what is left out is left alone.
	DNSSEC *bool `json:"dnssec,omitempty" yaml:"dnssec,omitempty"`
	// AllowTransfer lists networks and names of TSIG keys that may transfer the zone, in addition
	// to setting.DNSTransfer.
	AllowTransfer []string `json:"allow_transfer,omitempty" yaml:"allow_transfer,omitempty"`
	Notify        []string `json:"notify,omitempty" yaml:"notify,omitempty"`
	AllowUpdate   []string `json:"allow_update,omitempty" yaml:"allow_update,omitempty"`
	// Racks lists the racks that serve the zone and hold its keys; without it all do.
	Racks []string `json:"racks,omitempty" yaml:"racks,omitempty"`
}

// Fabric is a fabric.
type Fabric struct {
	Name        string `json:"name" yaml:"name"`
	Description string `json:"description,omitempty" yaml:"description,omitempty"`
	ClassType   string `json:"class_type,omitempty" yaml:"class_type,omitempty"`
}

// VLAN is a VLAN of a fabric. References to it are written fabric/vid.
type VLAN struct {
	Fabric      string `json:"fabric" yaml:"fabric"`
	VID         int    `json:"vid" yaml:"vid"`
	Name        string `json:"name,omitempty" yaml:"name,omitempty"`
	Description string `json:"description,omitempty" yaml:"description,omitempty"`
	MTU         int    `json:"mtu,omitempty" yaml:"mtu,omitempty"` // 0 = 1500
	Space       string `json:"space,omitempty" yaml:"space,omitempty"`
	DHCP        bool   `json:"dhcp,omitempty" yaml:"dhcp,omitempty"`
	DHCPMode    string `json:"dhcp_mode,omitempty" yaml:"dhcp_mode,omitempty"` // "proxy", "auto" or "watch"; "" = it serves
	Primary     string `json:"primary_rack,omitempty" yaml:"primary_rack,omitempty"`
	Secondary   string `json:"secondary_rack,omitempty" yaml:"secondary_rack,omitempty"`
	Relay       string `json:"relay_vlan,omitempty" yaml:"relay_vlan,omitempty"`
}

// Subnet is a subnet.
type Subnet struct {
	CIDR        string   `json:"cidr" yaml:"cidr"`
	Name        string   `json:"name,omitempty" yaml:"name,omitempty"` // "" = the prefix
	Description string   `json:"description,omitempty" yaml:"description,omitempty"`
	VLAN        string   `json:"vlan" yaml:"vlan"`
	Gateway     string   `json:"gateway_ip,omitempty" yaml:"gateway_ip,omitempty"`
	DNSServers  []string `json:"dns_servers,omitempty" yaml:"dns_servers,omitempty"`
	RDNS        string   `json:"rdns,omitempty" yaml:"rdns,omitempty"` // as ipam.RDNSMode writes it; "" = rfc2317
	Unmanaged   bool     `json:"unmanaged,omitempty" yaml:"unmanaged,omitempty"`
	DenyDNS     bool     `json:"deny_dns,omitempty" yaml:"deny_dns,omitempty"`
	DenyProxy   bool     `json:"deny_proxy,omitempty" yaml:"deny_proxy,omitempty"`
	Scan        bool     `json:"active_discovery,omitempty" yaml:"active_discovery,omitempty"`
	// DisabledBootMethods are the boot methods that are not offered.
	DisabledBootMethods []string `json:"disabled_boot_architectures,omitempty" yaml:"disabled_boot_architectures,omitempty"`
	// Relays are addresses of DHCP relays that lie in no subnet or in another one, and whose
	// clients belong here.
	Relays []string `json:"relays,omitempty" yaml:"relays,omitempty"`
	// Delegated are the prefixes that routers here get, each with the length of the delegated ones,
	// such as 2001:db8:f000::/48-60.
	Delegated []string `json:"delegated_prefixes,omitempty" yaml:"delegated_prefixes,omitempty"`
}

// Range is a range of addresses of the subnet that it is in.
type Range struct {
	Type    string `json:"type" yaml:"type"` // "dynamic" or "reserved"
	Start   string `json:"start_ip" yaml:"start_ip"`
	End     string `json:"end_ip" yaml:"end_ip"`
	Comment string `json:"comment,omitempty" yaml:"comment,omitempty"`
	// Class names the DHCP class whose clients alone get its addresses; "" = none.
	Class string `json:"dhcp_class,omitempty" yaml:"dhcp_class,omitempty"`
}

// Class is a kind of DHCP clients, selected by all of the fields that are set.
type Class struct {
	Name        string   `json:"name" yaml:"name"`
	Description string   `json:"description,omitempty" yaml:"description,omitempty"`
	Sequence    int      `json:"sequence,omitempty" yaml:"sequence,omitempty"` // the lowest decides for a client of several
	VendorClass string   `json:"vendor_class,omitempty" yaml:"vendor_class,omitempty"`
	UserClass   string   `json:"user_class,omitempty" yaml:"user_class,omitempty"`
	Arch        []uint16 `json:"arch,omitempty" yaml:"arch,omitempty"`             // numbers of DHCP option 93
	MACPrefix   string   `json:"mac_prefix,omitempty" yaml:"mac_prefix,omitempty"` // such as 02:00:5e
	CircuitID   string   `json:"circuit_id,omitempty" yaml:"circuit_id,omitempty"` // text, or 0x and hexadecimal digits
	Ignore      bool     `json:"ignore,omitempty" yaml:"ignore,omitempty"`         // its clients get no answer
	Options     string   `json:"options,omitempty" yaml:"options,omitempty"`       // as the value of a snippet
}

// Route is a static route between two subnets, by prefix.
type Route struct {
	Source      string `json:"source" yaml:"source"`
	Destination string `json:"destination" yaml:"destination"`
	Gateway     string `json:"gateway_ip" yaml:"gateway_ip"`
	Metric      int    `json:"metric,omitempty" yaml:"metric,omitempty"`
}

// ReservedIP is an address that is kept for a link address.
type ReservedIP struct {
	IP      string `json:"ip" yaml:"ip"`
	MAC     string `json:"mac_address" yaml:"mac_address"`
	Comment string `json:"comment,omitempty" yaml:"comment,omitempty"`
}

// Record is a DNS record.
type Record struct {
	Domain string `json:"domain" yaml:"domain"`
	Name   string `json:"name" yaml:"name"` // "@" = the domain itself
	Type   string `json:"type" yaml:"type"`
	Data   string `json:"data" yaml:"data"`
	TTL    int    `json:"ttl,omitempty" yaml:"ttl,omitempty"` // in seconds; 0 = the domain's
}

// Machine is a machine with its interfaces.
type Machine struct {
	Hostname     string      `json:"hostname" yaml:"hostname"`
	Domain       string      `json:"domain,omitempty" yaml:"domain,omitempty"` // "" = the default one, as for zone and pool
	Description  string      `json:"description,omitempty" yaml:"description,omitempty"`
	Zone         string      `json:"zone,omitempty" yaml:"zone,omitempty"`
	Pool         string      `json:"pool,omitempty" yaml:"pool,omitempty"`
	Architecture string      `json:"architecture,omitempty" yaml:"architecture,omitempty"`
	Power        *Power      `json:"power,omitempty" yaml:"power,omitempty"`           // nil = left alone
	Interfaces   []Interface `json:"interfaces,omitempty" yaml:"interfaces,omitempty"` // nil = left alone
}

// Power holds a machine's power control.
type Power struct {
	Type string `json:"type" yaml:"type"` // name of a kind of power control, such as "ipmi"; "" = not known
	// Parameters are the settings of that kind. Those that are secret may be given, and are never
	// exported.
	Parameters Parameters `json:"parameters,omitempty" yaml:"parameters,omitempty"`
}

// Interface is a network interface of a machine.
type Interface struct {
	Name     string   `json:"name" yaml:"name"`
	Type     string   `json:"type,omitempty" yaml:"type,omitempty"` // "" = physical
	MAC      string   `json:"mac_address,omitempty" yaml:"mac_address,omitempty"`
	VLAN     string   `json:"vlan,omitempty" yaml:"vlan,omitempty"` // "" = not connected
	Parents  []string `json:"parents,omitempty" yaml:"parents,omitempty"`
	Disabled bool     `json:"disabled,omitempty" yaml:"disabled,omitempty"`
	Links    []Link   `json:"links,omitempty" yaml:"links,omitempty"`
	Tags     []string `json:"tags,omitempty" yaml:"tags,omitempty"`
	// Params are further settings such as bond_mode, by MAAS' names.
	Params map[string]string `json:"params,omitempty" yaml:"params,omitempty"`
}

// Link joins an interface to a subnet.
type Link struct {
	Mode   string `json:"mode" yaml:"mode"` // "auto", "dhcp", "static" or "link_up"
	Subnet string `json:"subnet,omitempty" yaml:"subnet,omitempty"`
	IP     string `json:"ip_address,omitempty" yaml:"ip_address,omitempty"` // of static; "" = one is chosen
}

// Tag is a tag with the machines, by full name, and the subnets, by prefix, that have it; nil =
// they are left alone.
type Tag struct {
	Name       string   `json:"name" yaml:"name"`
	Comment    string   `json:"comment,omitempty" yaml:"comment,omitempty"`
	KernelOpts string   `json:"kernel_opts,omitempty" yaml:"kernel_opts,omitempty"`
	Machines   []string `json:"machines,omitempty" yaml:"machines,omitempty"`
	Devices    []string `json:"devices,omitempty" yaml:"devices,omitempty"` // by full name; nil = left alone
	Subnets    []string `json:"subnets,omitempty" yaml:"subnets,omitempty"`
}

// Address is an address that a user reserved.
type Address struct {
	IP       string `json:"ip" yaml:"ip"`
	Owner    string `json:"owner,omitempty" yaml:"owner,omitempty"` // "" = the administrator
	Hostname string `json:"hostname,omitempty" yaml:"hostname,omitempty"`
	Comment  string `json:"comment,omitempty" yaml:"comment,omitempty"`
}

// Device is a device with its interfaces.
type Device struct {
	Hostname    string      `json:"hostname" yaml:"hostname"`
	Domain      string      `json:"domain,omitempty" yaml:"domain,omitempty"` // "" = the default one, as for zone
	Description string      `json:"description,omitempty" yaml:"description,omitempty"`
	Zone        string      `json:"zone,omitempty" yaml:"zone,omitempty"`
	Owner       string      `json:"owner,omitempty" yaml:"owner,omitempty"`
	Parent      string      `json:"parent,omitempty" yaml:"parent,omitempty"`         // full name of a machine; "" = none
	Interfaces  []Interface `json:"interfaces,omitempty" yaml:"interfaces,omitempty"` // nil = left alone
}

// Snippet holds DHCP options of the site or of one of the places below.
type Snippet struct {
	Name        string `json:"name" yaml:"name"`
	Description string `json:"description,omitempty" yaml:"description,omitempty"`
	Value       string `json:"value" yaml:"value"`
	Disabled    bool   `json:"disabled,omitempty" yaml:"disabled,omitempty"`
	Machine     string `json:"machine,omitempty" yaml:"machine,omitempty"` // full name
	Device      string `json:"device,omitempty" yaml:"device,omitempty"`   // full name
	Subnet      string `json:"subnet,omitempty" yaml:"subnet,omitempty"`   // prefix
	Range       string `json:"range,omitempty" yaml:"range,omitempty"`     // START-END
}

// Image is an image of boot files, such as debian/12. A new one, and one that is described
// otherwise than before, is fetched; profiles may name its files at once.
type Image struct {
	Name   string `json:"name" yaml:"name"`
	Mirror string `json:"mirror,omitempty" yaml:"mirror,omitempty"`
	// Unsigned accepts checksums without a signature over plain HTTP.
	Unsigned bool `json:"unsigned,omitempty" yaml:"unsigned,omitempty"`
	// Source describes a source that is not known by the first part of the name.
	Source *images.Source `json:"source,omitempty" yaml:"source,omitempty"`
}

// UserData is the user data of a machine or of the machines with a tag; without either, of all
// others.
type UserData struct {
	Machine string `json:"machine,omitempty" yaml:"machine,omitempty"`
	Tag     string `json:"tag,omitempty" yaml:"tag,omitempty"`
	Data    string `json:"data" yaml:"data"`
}

// BootProfile is the boot profile of a machine, of a tag or of a subnet; without any of these, the
// site's default.
type BootProfile struct {
	Machine string  `json:"machine,omitempty" yaml:"machine,omitempty"`
	Tag     string  `json:"tag,omitempty" yaml:"tag,omitempty"`
	Subnet  string  `json:"subnet,omitempty" yaml:"subnet,omitempty"`
	Profile Profile `json:"profile" yaml:"profile"`
}

// Profile is a boot profile, its times as people write them.
type Profile struct {
	pxe.Profile `yaml:",inline"`
	Delay       string `json:"delay,omitempty" yaml:"delay,omitempty"`     // such as "10s"; pxe.Profile has a duration
	Timeout     string `json:"timeout,omitempty" yaml:"timeout,omitempty"` // of a menu, likewise
}
