package maasapi

// resourceRoutes are the endpoints of everything that is listed, made, changed and deleted in the same way.
func (a *API) resourceRoutes() []map[string]handler {
	subnet := a.subnets().routes("subnets/", "subnets/{id}/")
	delete(subnet, "GET "+base+"subnets/{id}/{$}") // it has operations
	interfaces := a.interfaces().routes("nodes/{node}/interfaces/", "nodes/{node}/interfaces/{id}/")
	interfaces["POST "+base+"nodes/{node}/interfaces/{$}"] = a.createInterface
	interfaces["POST "+base+"nodes/{node}/interfaces/{id}/{$}"] = a.actOnInterface
	users := a.users().routes("users/", "users/{id}/")
	delete(users, "GET "+base+"users/{$}") // so have these
	tags := a.tags().routes("tags/", "tags/{id}/")
	tags["GET "+base+"tags/{id}/{$}"] = a.getTag
	tags["POST "+base+"tags/{id}/{$}"] = a.actOnTag
	return []map[string]handler{
		tags, a.snippets().routes("dhcp-snippets/", "dhcp-snippets/{id}/"),
		subnet, interfaces, users,
		a.sshKeys().routes("account/prefs/sshkeys/", "account/prefs/sshkeys/{id}/"),
		a.fabrics().routes("fabrics/", "fabrics/{id}/"),
		a.vlans().routes("fabrics/{id}/vlans/", "fabrics/{id}/vlans/{vid}/"),
		a.vlansByNumber().routes("vlans/", "vlans/{id}/"),
		a.spaces().routes("spaces/", "spaces/{id}/"),
		a.ranges().routes("ipranges/", "ipranges/{id}/"),
		a.staticRoutes().routes("static-routes/", "static-routes/{id}/"),
		a.reservedIPs().routes("reservedips/", "reservedips/{id}/"),
		a.zones().routes("zones/", "zones/{id}/"),
		a.pools().routes("resourcepools/", "resourcepool/{id}/"),
		a.domains().routes("domains/", "domains/{id}/"),
		a.tsigKeys().routes("tsigkeys/", "tsigkeys/{id}/"),
		a.resources().routes("dnsresources/", "dnsresources/{id}/"),
		a.records().routes("dnsresourcerecords/", "dnsresourcerecords/{id}/"),
		a.devices().routes("devices/", "devices/{id}/"),
	}
}
