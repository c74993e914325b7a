package cli

// groupResources returns the groups of machines: zones, pools and tags.
func groupResources() []*resource {
	return []*resource{
		{
			name: "zone", help: "Availability zones.", collection: "zones/", id: "name", direct: true, bare: "name", fields: described,
			columns: []column{col("ZONE", "name"), col("ID", "id"), col("DESCRIPTION", "description")},
		},
		{
			name: "pool", what: "resource pool", help: "Resource pools.", collection: "resourcepools/", item: "resourcepool/", id: "name", direct: true, bare: "name", fields: described,
			columns: []column{col("POOL", "name"), col("ID", "id"), col("DESCRIPTION", "description")},
		},
	}
}

// siteResources returns the other objects of a site.
func siteResources() []*resource {
	return []*resource{
		{
			name: "dhcp-snippet", what: "DHCP snippet", help: "DHCP options of the site, a subnet, a range or a node.", collection: "dhcp-snippets/", id: "id", names: []string{"{name}"}, bare: "name",
			fields:  append([]string{"value", "enabled", "global_snippet", "node", "subnet", "iprange"}, described...),
			columns: []column{col("NAME", "name"), col("ID", "id"), col("ON", "enabled"), col("SUBNET", "subnet"), col("RANGE", "iprange"), col("NODE", "node"), col("OPTIONS", "value")},
		},
		{
			name: "dhcp-class", what: "DHCP class", help: "Kinds of DHCP clients, by what they send. Ranges may be for a class alone.", collection: "dhcp-classes/", id: "id", names: []string{"{name}"}, bare: "name",
			fields:  append([]string{"sequence", "vendor_class", "user_class", "arch", "mac_prefix", "circuit_id", "ignore", "options"}, described...),
			columns: []column{col("NAME", "name"), col("SEQUENCE", "sequence"), col("VENDOR CLASS", "vendor_class"), col("USER CLASS", "user_class"), col("ARCH", "arch"), col("MAC PREFIX", "mac_prefix"), col("CIRCUIT", "circuit_id"), col("IGNORED", "ignore"), col("OPTIONS", "options")},
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
			name: "rack", help: "Racks.", collection: "rackcontrollers/", id: "system_id", direct: true, fields: []string{"zone"},
			columns: []column{col("RACK", "hostname"), col("ZONE", "zone"), col("ADDRESSES", "ip_addresses"), col("LAST SEEN", "last_seen")},
		},
	}
}
