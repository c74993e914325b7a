package cli

import "strings"

// Groups of the form fields that several resources have.
var described = []string{"name", "description"}

// resources are all kinds of objects that have commands of their own.
func resources() []*resource {
	return []*resource{
		{
			name: "fabric", help: "Sets of VLANs that are connected.", collection: "fabrics/", id: "id", names: []string{"{name}"}, bare: "name",
			fields: append([]string{"class_type"}, described...), columns: []column{col("FABRIC", "name"), col("ID", "id"), col("VLANS", "vlans.vid"), col("DESCRIPTION", "description")},
		},
		{
			name: "vlan", what: "VLAN", help: "VLANs of fabrics, named FABRIC/TAG.", collection: "fabrics/", within: "vlans", item: "vlans/", make: "fabrics/{fabric}/vlans/", id: "id",
			names: []string{"{fabric}/{vid}", "{fabric}/{name}", "{name}", "{vid}"}, bare: "vid",
			fields: append([]string{"vid", "fabric", "mtu", "space", "dhcp_on", "dhcp_mode", "primary_rack", "secondary_rack", "relay_vlan"}, described...),
			columns: []column{
				col("FABRIC", "fabric"), col("TAG", "vid"), col("ID", "id"), col("NAME", "name"), col("MTU", "mtu"), col("SPACE", "space"), col("DHCP", "dhcp_on"),
				col("RACKS", "primary_rack"), col("AND", "secondary_rack"), col("RELAYED TO", "relay_vlan.vid"),
			},
		},
		{
			name: "space", help: "Sets of subnets that may talk to each other.", collection: "spaces/", id: "id", names: []string{"{name}"}, bare: "name",
			fields: described, columns: []column{col("SPACE", "name"), col("ID", "id"), col("SUBNETS", "subnets.cidr"), col("DESCRIPTION", "description")},
		},
		subnetResource(),
		{
			name: "iprange", what: "range", help: "Ranges of addresses, for DHCP or reserved, named FIRST-LAST.", collection: "ipranges/", id: "id",
			names: []string{"{start_ip}-{end_ip}", "{start_ip}"}, bare: "start_ip-end_ip", fields: []string{"type", "start_ip", "end_ip", "subnet", "comment"},
			columns: []column{col("FIRST", "start_ip"), col("LAST", "end_ip"), col("ID", "id"), col("TYPE", "type"), col("SUBNET", "subnet.cidr"), col("COMMENT", "comment")},
		},
		{
			name: "static-route", help: "Routes that DHCP tells machines of, named SOURCE-DESTINATION.", collection: "static-routes/", id: "id",
			names: []string{"{source.cidr}-{destination.cidr}", "{destination.cidr}"}, bare: "source-destination", fields: []string{"source", "destination", "gateway_ip", "metric"},
			columns: []column{col("ID", "id"), col("FROM", "source.cidr"), col("TO", "destination.cidr"), col("THROUGH", "gateway_ip"), col("METRIC", "metric")},
		},
		{
			name: "reserved-ip", what: "reserved IP", help: "Addresses that DHCP keeps for a MAC.", collection: "reservedips/", id: "id", names: []string{"{ip}", "{mac_address}"}, bare: "ip",
			fields:  []string{"ip", "mac_address", "subnet", "comment"},
			columns: []column{col("ADDRESS", "ip"), col("MAC", "mac_address"), col("ID", "id"), col("SUBNET", "subnet.cidr"), col("COMMENT", "comment")},
		},
		{
			name: "ipaddress", what: "address", help: "Addresses that somebody holds. To create one is to reserve it, to delete it is to release it.", collection: "ipaddresses/", id: "ip",
			names: []string{"{ip}"}, bare: "ip", make: "ipaddresses/?op=reserve", fields: []string{"ip", "subnet", "hostname", "comment", "mac"},
			columns: []column{col("ADDRESS", "ip"), col("KIND", "alloc_type_name"), col("OWNER", "owner.username"), col("SUBNET", "subnet.cidr"), col("SINCE", "created")},
		},
		{
			name: "zone", help: "Availability zones.", collection: "zones/", id: "name", direct: true, bare: "name", fields: described,
			columns: []column{col("ZONE", "name"), col("ID", "id"), col("DESCRIPTION", "description")},
		},
		{
			name: "pool", what: "resource pool", help: "Resource pools.", collection: "resourcepools/", item: "resourcepool/", id: "name", direct: true, bare: "name", fields: described,
			columns: []column{col("POOL", "name"), col("ID", "id"), col("DESCRIPTION", "description")},
		},
		{
			name: "domain", help: "DNS domains.", collection: "domains/", id: "id", names: []string{"{name}"}, bare: "name", fields: []string{"name", "ttl", "authoritative", "dnssec", "forward_dns_servers", "allow_transfer", "notify", "allow_update"},
			columns: []column{
				col("DOMAIN", "name"), col("ID", "id"), col("OURS", "authoritative"), col("DEFAULT", "is_default"), col("SIGNED", "dnssec"), col("TTL", "ttl"),
				col("RECORDS", "resource_record_count"), col("FORWARDED TO", "forward_dns_servers"), col("TRANSFER", "allow_transfer"), col("NOTIFY", "notify"), col("UPDATE", "allow_update"),
			},
		},
		{
			name: "tsigkey", what: "TSIG key", help: "Keys for transfers and updates of DNS zones. The secret shows when the key is made, and never again.",
			collection: "tsigkeys/", id: "id", names: []string{"{name}"}, bare: "name", fields: []string{"name", "algorithm", "secret"},
			columns: []column{col("KEY", "name"), col("ID", "id"), col("ALGORITHM", "algorithm"), col("MADE", "created")},
		},
		{
			name: "dnsrecord", what: "DNS record", help: "DNS records, named by number, by NAME or by NAME/TYPE.", collection: "dnsresourcerecords/", id: "id", names: []string{"{fqdn}/{rrtype}", "{fqdn}"}, bare: "fqdn",
			fields:  []string{"fqdn", "name", "domain", "rrtype", "rrdata", "ttl"},
			columns: []column{col("NAME", "fqdn"), col("TYPE", "rrtype"), col("DATA", "rrdata"), col("TTL", "ttl"), col("ID", "id")},
		},
		{
			name: "device", help: "Devices that have addresses but are not provisioned.", collection: "devices/", id: "system_id", names: []string{"{fqdn}", "{hostname}", "{interface_set.mac_address}"},
			bare: "hostname", fields: []string{"hostname", "mac_addresses", "description", "domain", "zone", "parent"},
			columns: []column{col("NAME", "fqdn"), col("MAC", "interface_set.mac_address"), col("ADDRESSES", "ip_addresses"), col("OWNER", "owner"), col("PARENT", "parent"), col("SYSTEM ID", "system_id")},
		},
		machineResource(),
		{
			name: "interface", help: "Network interfaces of a machine or device, which is named first.", collection: "nodes/{node}/interfaces/", id: "id", names: []string{"{name}", "{mac_address}"}, bare: "name",
			fields: strings.Fields("name type mac_address vlan enabled parents mtu accept_ra bond_* bridge_* mode subnet ip_address id link_id force"),
			columns: []column{
				col("INTERFACE", "name"), col("ID", "id"), col("TYPE", "type"), col("MAC", "mac_address"), col("FABRIC", "vlan.fabric"), col("TAG", "vlan.vid"),
				col("MODE", "links.mode"), col("ADDRESSES", "links.ip_address"), col("LINK IDS", "links.id"), col("PARENTS", "parents"),
			},
			ops: map[string]string{"link": "link_subnet", "unlink": "unlink_subnet", "disconnect": "disconnect", "set-gateway": "set_default_gateway"},
		},
		{
			name: "tag", help: "Tags of machines and devices.", collection: "tags/", id: "name", direct: true, bare: "name", fields: []string{"name", "comment", "kernel_opts", "add", "remove"},
			columns: []column{col("TAG", "name"), col("KERNEL OPTIONS", "kernel_opts"), col("COMMENT", "comment")},
			ops:     map[string]string{"assign": "update_nodes"},
		},
		{
			name: "dhcp-snippet", what: "DHCP snippet", help: "DHCP options of the site, a subnet, a range or a node.", collection: "dhcp-snippets/", id: "id", names: []string{"{name}"}, bare: "name",
			fields:  append([]string{"value", "enabled", "global_snippet", "node", "subnet", "iprange"}, described...),
			columns: []column{col("NAME", "name"), col("ID", "id"), col("ON", "enabled"), col("SUBNET", "subnet"), col("RANGE", "iprange"), col("NODE", "node"), col("OPTIONS", "value")},
		},
		{
			name: "user", help: "Users of the API.", collection: "users/", id: "username", direct: true, bare: "username", fields: []string{"username", "email", "password", "is_superuser", "role"},
			columns: []column{col("USER", "username"), col("ROLE", "role"), col("MAIL", "email")},
		},
		{
			name: "sshkey", what: "SSH key", help: "SSH keys of the user.", collection: "account/prefs/sshkeys/", id: "id", bare: "key", fields: []string{"key"},
			columns: []column{col("ID", "id"), col("KEY", "key")},
		},
		{
			name: "rack", help: "Racks.", collection: "rackcontrollers/", id: "system_id", direct: true,
			columns: []column{col("RACK", "hostname"), col("ZONE", "zone"), col("ADDRESSES", "ip_addresses"), col("LAST SEEN", "last_seen")},
		},
	}
}

func subnetResource() *resource {
	return &resource{
		name: "subnet", help: "Subnets, named by CIDR, name or number.", collection: "subnets/", id: "id", direct: true, names: []string{"{cidr}", "{name}"}, bare: "cidr",
		fields: append([]string{"cidr", "vlan", "fabric", "vid", "gateway_ip", "dns_servers", "managed", "allow_dns", "allow_proxy", "active_discovery", "disabled_boot_architectures", "rdns_mode"}, described...),
		columns: []column{
			col("SUBNET", "cidr"), col("GATEWAY", "gateway_ip"), col("FABRIC", "vlan.fabric"), col("VLAN", "vlan.vid"), col("SPACE", "space"),
			{"DHCP", func(o object) string {
				return map[string]string{"yes": "on", "no": "off"}[summary(at(o, "vlan.dhcp_on"))]
			}},
			{"DYNAMIC RANGES", dynamicRanges},
		},
	}
}

func dynamicRanges(o object) string {
	ranges, _ := o["ip_ranges"].([]any)
	var out []string
	for _, r := range ranges {
		if summary(at(r, "type")) == "dynamic" {
			out = append(out, summary(at(r, "start_ip"))+"-"+summary(at(r, "end_ip")))
		}
	}
	return strings.Join(out, " ")
}

func machineResource() *resource {
	mac, addresses := col("MAC", "boot_interface.mac_address"), col("ADDRESSES", "ip_addresses")
	return &resource{
		name: "machine", help: "Machines.", collection: "machines/", id: "system_id", direct: true, names: []string{"{fqdn}", "{hostname}", "{boot_interface.mac_address}"},
		fields: strings.Fields("hostname description architecture mac_addresses domain zone pool power_type power_parameters power_parameters_*"),
		columns: []column{
			col("NAME", "fqdn"), mac, addresses, col("ARCHITECTURE", "architecture"), col("FIRMWARE", "bios_boot_method"), col("STATUS", "status_name"), col("POWER", "power_state"),
		},
		shown: []column{
			col("name", "fqdn"), col("system ID", "system_id"), col("status", "status_name"), col("MAC", "boot_interface.mac_address"), col("addresses", "ip_addresses"),
			col("architecture", "architecture"), col("firmware", "bios_boot_method"), col("UUID", "hardware_uuid"), col("zone", "zone"), col("pool", "pool"), col("tags", "tag_names"),
			{"power", func(o object) string {
				return strings.TrimSpace(summary(o["power_type"]) + " " + summary(o["power_state"]))
			}},
			col("locked", "locked"), col("owner", "owner"), col("description", "description"),
		},
		ops: map[string]string{"lock": "lock", "unlock": "unlock"},
	}
}

// resourceNamed is the resource of a command.
func resourceNamed(name string) *resource {
	for _, r := range resources() {
		if r.name == name {
			return r
		}
	}
	return nil
}
