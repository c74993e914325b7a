package cli

import "strings"

// nodeResources returns machines and devices with the objects that they own.
func nodeResources() []*resource {
	return []*resource{
		{
			name: "device", help: "Devices that have addresses but are not provisioned.", collection: "devices/", id: "system_id", names: []string{"{fqdn}", "{hostname}", "{interface_set.mac_address}"},
			bare: "hostname", fields: []string{"hostname", "mac_addresses", "description", "domain", "zone", "parent"},
			columns: []column{col("NAME", "fqdn"), col("MAC", "interface_set.mac_address"), col("ADDRESSES", "ip_addresses"), col("OWNER", "owner"), col("PARENT", "parent"), col("SYSTEM ID", "system_id")},
		},
		machineResource(),
		{
			name: "interface", help: "Network interfaces of a machine or device, which is named first.", collection: "nodes/{node}/interfaces/", id: "id", names: []string{"{name}", "{mac_address}"}, bare: "name",
			fields: strings.Fields("name type mac_address vlan enabled parents parent mtu accept_ra bond_* bridge_* mode subnet ip_address id link_id force"),
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
	}
}

// machineResource returns machines, whose fields include the power parameters.
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
		ops: map[string]string{"lock": "lock", "unlock": "unlock", "reinstall": "reinstall", "release": "release"},
	}
}
