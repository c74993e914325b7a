package console

import (
	"net/url"

	"github.com/gomaas/maas/store/inventory"
)

// machineActions are the actions on machines. A machine is named by its system ID.
func machineActions() []action {
	op := func(name, op, command, done string) action {
		return action{
			name: name, role: inventory.RoleOperator, method: "POST", path: "machines/{id}/?op=" + op, command: "maas machine " + command + " {id}", done: done,
		}
	}
	boot := action{
		name: "power", role: inventory.RoleOperator, method: "POST", path: "/api/v1/machines/{id}/power", fields: []string{"action", "boot", "boot_always"},
		command: "maas machine power {action} {id}", done: "The BMC was asked. The events of the machine have the outcome.",
	}
	return []action{
		boot,
		op("power-on", "power_on", "power on", "The machine is on."),
		op("power-off", "power_off", "power off", "The machine is off."),
		op("power-cycle", "power_cycle", "power cycle", "The machine was switched off and on."),
		op("lock", "lock", "lock", "The machine is locked."),
		op("unlock", "unlock", "unlock", "The machine is unlocked."),
		op("reinstall", "reinstall", "reinstall", "The machine boots its profile next time."),
		op("release", "release", "release", "The machine is released."),
		{name: "machine-delete", role: inventory.RoleAdmin, method: "DELETE", path: "machines/{id}/", command: "maas machine delete {id}", done: "The machine is deleted."},
		{
			name: "machine-create", role: inventory.RoleAdmin, method: "POST", path: "machines/",
			fields:  []string{"hostname", "mac_addresses", "architecture", "domain", "zone", "pool", "description", "power_type", "power_parameters_*"},
			command: "maas machine create --mac {mac_addresses} hostname={hostname} power_type={power_type}", done: "The machine is added.",
		},
		{
			name: "machine-update", role: inventory.RoleAdmin, method: "PUT", path: "machines/{id}/",
			fields:  []string{"hostname", "description", "zone", "pool", "domain"},
			command: "maas machine update {id} hostname={hostname} description={description} zone={zone} pool={pool}", done: "The machine is changed.",
		},
	}
}

// networkActions are the actions on subnets, ranges, addresses and leases.
func networkActions() []action {
	return []action{
		{
			name: "reserve", role: inventory.RoleOperator, method: "POST", path: "ipaddresses/?op=reserve", fields: []string{"ip", "hostname", "comment"},
			command: "maas ipaddress create {ip}", done: "The address is reserved.",
		},
		{
			name: "release-address", role: inventory.RoleOperator, method: "POST", path: "ipaddresses/?op=release", fields: []string{"ip", "force"},
			command: "maas ipaddress delete {ip}", done: "The address is released.",
		},
		{
			name: "reservation", role: inventory.RoleAdmin, method: "POST", path: "reservedips/", fields: []string{"ip", "mac_address", "comment"},
			command: "maas reserved-ip create {ip} mac_address={mac_address}", done: "DHCP keeps the address for that MAC.",
		},
		{name: "reservation-delete", role: inventory.RoleAdmin, method: "DELETE", path: "reservedips/{id}/", command: "maas reserved-ip delete {id}", done: "The reservation is deleted."},
		{name: "lease-end", role: inventory.RoleOperator, method: "DELETE", path: "/api/v1/leases/{ip}", command: "maas lease release {ip}", done: "The lease has ended."},
		{
			name: "range-create", role: inventory.RoleAdmin, method: "POST", path: "ipranges/", fields: []string{"subnet", "type", "start_ip", "end_ip", "comment"},
			command: "maas iprange create {start_ip}-{end_ip} type={type}", done: "The range is made.",
		},
		{
			name: "range-update", role: inventory.RoleAdmin, method: "PUT", path: "ipranges/{id}/", fields: []string{"start_ip", "end_ip", "comment"},
			command: "maas iprange update {id} start_ip={start_ip} end_ip={end_ip}", done: "The range is changed.",
		},
		{name: "range-delete", role: inventory.RoleAdmin, method: "DELETE", path: "ipranges/{id}/", command: "maas iprange delete {id}", done: "The range is deleted."},
		{
			name: "subnet-update", role: inventory.RoleAdmin, method: "PUT", path: "subnets/{id}/", fields: []string{"name", "description", "gateway_ip", "dns_servers"},
			command: "maas subnet update {id} name={name} gateway_ip={gateway_ip}", done: "The subnet is changed.",
		},
	}
}

// siteActions are the actions on devices, names, racks and images.
func siteActions() []action {
	return []action{
		{
			name: "promote", role: inventory.RoleAdmin, method: "POST", path: "/api/v1/discovery/promote", fields: []string{"ip", "mac", "kind", "hostname", "no_address"},
			command: "maas discovery promote {ip} --mac {mac}", flags: map[string]string{"kind=machine": "--machine", "no_address=true": "--no-address"}, done: "The device is part of the site.",
		},
		{
			name: "forget-device", role: inventory.RoleAdmin, method: "POST", path: "discovery/?op=clear_by_mac_and_ip", fields: []string{"ip", "mac"},
			command: "maas discovery clear {ip}", done: "The device is forgotten until a rack sees it again.",
		},
		{
			name: "ignore-device", role: inventory.RoleAdmin, method: "POST", path: "discovery/?op=ignore", fields: []string{"ip", "mac", "reason"},
			command: "maas discovery ignore {ip} --mac {mac} --reason {reason}", done: "The device is ignored. It is in the list of ignored devices below.",
		},
		{
			name: "unignore-device", role: inventory.RoleAdmin, method: "POST", path: "discovery/?op=unignore", fields: []string{"rule"},
			command: "maas discovery unignore {rule}", done: "What the rule ignored is listed again when a rack sees it.",
		},
		{
			name: "record-create", role: inventory.RoleAdmin, method: "POST", path: "dnsresourcerecords/", fields: []string{"fqdn", "rrtype", "rrdata", "ttl"},
			command: "maas dnsrecord create {fqdn} rrtype={rrtype} rrdata={rrdata}", done: "The record is made.",
		},
		{
			name: "record-update", role: inventory.RoleAdmin, method: "PUT", path: "dnsresourcerecords/{id}/", fields: []string{"rrdata", "ttl"},
			command: "maas dnsrecord update {id} rrdata={rrdata} ttl={ttl}", done: "The record is changed.",
		},
		{name: "record-delete", role: inventory.RoleAdmin, method: "DELETE", path: "dnsresourcerecords/{id}/", command: "maas dnsrecord delete {id}", done: "The record is deleted."},
		{
			name: "rack-accept", role: inventory.RoleAdmin, method: "POST", path: "rackcontrollers/{id}/?op=accept", fields: []string{"network"},
			command: "maas rack accept {id} {network}", done: "The rack serves the network.",
		},
		{
			name: "rack-ignore", role: inventory.RoleAdmin, method: "POST", path: "rackcontrollers/{id}/?op=ignore", fields: []string{"network"},
			command: "maas rack ignore {id} {network}", done: "The proposal is ignored.",
		},
		// The two below are for the administrator on the region's host: the API of other clients
		// has no such requests.
		{
			name: "token-delete", role: inventory.RoleAdmin, method: "DELETE", path: "/api/v1/rack-tokens/{id}", command: "maas region token revoke {id}",
			done: "The token is deleted.",
		},
		{
			name: "rack-revoke", role: inventory.RoleAdmin, method: "POST", path: "/api/v1/racks/{id}/revoke", command: "maas rack revoke {id}",
			done: "The rack is cut off.",
		},
		{
			name: "image-refresh", role: inventory.RoleAdmin, method: "PUT", path: "/api/v1/images?name={name}", fixed: url.Values{},
			command: "maas image add {name}", done: "The image is fetched in the background.",
		},
	}
}
