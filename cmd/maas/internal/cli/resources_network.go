package cli

import "strings"

// networkResources returns fabrics, VLANs, spaces and subnets.
func networkResources() []*resource {
	return []*resource{
		{
			name: "fabric", help: "Sets of VLANs that are connected.", collection: "fabrics/", id: "id", names: []string{"{name}"}, bare: "name",
			fields: append([]string{"class_type"}, described...), columns: []column{col("FABRIC", "name"), col("ID", "id"), col("VLAN TAGS", "vlans.vid"), col("DESCRIPTION", "description")},
		},
		{
			name: "vlan", what: "VLAN", help: "VLANs of fabrics, named FABRIC/TAG.", collection: "fabrics/", within: "vlans", item: "vlans/", make: "fabrics/{fabric}/vlans/", id: "id",
			names: []string{"{fabric}/{vid}", "{fabric}/{name}", "{name}", "{vid}"}, bare: "vid",
			fields: append([]string{"vid", "fabric", "mtu", "space", "dhcp_on", "dhcp_mode", "primary_rack", "secondary_rack", "relay_vlan"}, described...),
			columns: []column{
				col("FABRIC", "fabric"), col("TAG", "vid"), col("ID", "id"), col("NAME", "name"), col("MTU", "mtu"), col("SPACE", "space"), col("DHCP", "dhcp_on"),
				col("MODE", "dhcp_mode"), col("RACK", "primary_rack"), col("SECOND RACK", "secondary_rack"), {"RELAYED TO", relayedTo},
			},
		},
		{
			name: "space", help: "Sets of subnets that may talk to each other.", collection: "spaces/", id: "id", names: []string{"{name}"}, bare: "name",
			fields: described, columns: []column{col("SPACE", "name"), col("ID", "id"), col("SUBNETS", "subnets.cidr"), col("DESCRIPTION", "description")},
		},
		subnetResource(),
	}
}

// subnetResource returns subnets, whose columns summarize their VLAN.
func subnetResource() *resource {
	return &resource{
		name: "subnet", help: "Subnets, named by CIDR, name or number.", collection: "subnets/", id: "id", direct: true, names: []string{"{cidr}", "{name}"}, bare: "cidr",
		fields: append([]string{"cidr", "vlan", "fabric", "vid", "gateway_ip", "dns_servers", "relays", "delegated_prefixes", "managed", "allow_dns", "allow_proxy", "active_discovery", "disabled_boot_architectures", "rdns_mode"}, described...),
		columns: []column{
			col("SUBNET", "cidr"), col("GATEWAY", "gateway_ip"), col("FABRIC", "vlan.fabric"), col("VLAN", "vlan.vid"), col("SPACE", "space"),
			{"DHCP", servedBy},
			{"DYNAMIC RANGES", dynamicRanges},
		},
	}
}

// servedBy returns whether DHCP is on in a subnet, or the VLAN that serves it through a relay.
func servedBy(o object) string {
	if relay := relayedTo(object{"relay_vlan": at(o, "vlan.relay_vlan")}); relay != "" {
		return "by " + relay
	}
	return map[string]string{"yes": "on", "no": "off"}[summary(at(o, "vlan.dhcp_on"))]
}

// relayedTo names the VLAN that serves the clients of another one, as FABRIC/TAG.
func relayedTo(o object) string {
	name, _ := expand("{relay_vlan.fabric}/{relay_vlan.vid}", o)
	return name
}

// dynamicRanges returns the dynamic ranges of a subnet.
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

// addressResources returns the addresses and routes of subnets.
func addressResources() []*resource {
	return []*resource{
		{
			name: "iprange", what: "range", help: "Ranges of addresses, for DHCP or reserved, named FIRST-LAST.", collection: "ipranges/", id: "id",
			names: []string{"{start_ip}-{end_ip}", "{start_ip}"}, bare: "start_ip-end_ip", fields: []string{"type", "start_ip", "end_ip", "subnet", "comment", "dhcp_class"},
			columns: []column{col("FIRST", "start_ip"), col("LAST", "end_ip"), col("ID", "id"), col("TYPE", "type"), col("SUBNET", "subnet.cidr"), col("CLASS", "dhcp_class"), col("COMMENT", "comment")},
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
			columns: []column{col("ADDRESS", "ip"), col("NAME", "hostname"), col("KIND", "alloc_type_name"), col("OWNER", "owner.username"), col("SUBNET", "subnet.cidr"), col("SINCE", "created")},
		},
	}
}
