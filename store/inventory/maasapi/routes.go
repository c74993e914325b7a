package maasapi

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// route is one endpoint. Routing, access, the OpenAPI document and the table in ENDPOINTS.md are
// all made from routes, so an endpoint that is served is described, and one that is described is
// served.
type route struct {
	method string
	// path is below the MAAS API, as "machines/{id}/", or, with a leading slash, below the root.
	path   string
	handle handler
	stream http.HandlerFunc // used instead of handle for the stream of events, and for consoles

	ops    []string // values of op=; others are refused by handle
	query  []string // further query parameters
	body   any      // a value of the type of a JSON body; nil = a form
	answer any      // a value of the type of the answer without op=; nil = not described
	list   bool     // it answers with a list of these, which takes limit and offset

	everyone  bool     // every user may write: it changes the user's own account
	operators []string // the operations that operators may do; "" = the one without op=
	public    bool     // it needs no key
	secret    bool     // its answer may hold a secret, so it is not kept to answer a repeated request
}

// pattern returns the route's pattern for http.ServeMux. A path that ends with a slash is that path
// alone, since whatever is below it is another endpoint or answers 501.
func (a *API) pattern(x route) string {
	path := a.at(x.path)
	if strings.HasSuffix(path, "/") {
		path += "{$}"
	}
	return x.method + " " + path
}

// at returns the whole path of a route's path.
func (a *API) at(path string) string {
	switch {
	case path == authenticatePath:
		return a.maas + path
	case strings.HasPrefix(path, "/"):
		return a.root + path
	}
	return a.base + path
}

// apiPath is the path of the MAAS API below the place where MAAS is mounted.
const apiPath = "/api/2.0/"

// routes returns all endpoints. Of two with the same method and path the later one counts: it
// replaces an endpoint of a resource by one that has operations, too.
func (a *API) routes() []route {
	all := slices.Concat(a.resourceRoutes(), a.nodeRoutes(), a.siteRoutes(), a.ownRoutes())
	for _, pattern := range slices.Sorted(maps.Keys(a.more)) {
		method, path, _ := strings.Cut(pattern, " ")
		all = append(all, route{method: method, path: path, handle: handler(a.more[pattern])})
	}
	byPattern := map[string]route{}
	for _, x := range all {
		byPattern[a.pattern(x)] = x
	}
	return slices.SortedFunc(maps.Values(byPattern), func(x, y route) int {
		return cmp.Or(cmp.Compare(a.at(x.path), a.at(y.path)), cmp.Compare(x.method, y.method))
	})
}

// resourceRoutes returns the endpoints of everything that is listed, created, read, updated and
// deleted in the same way.
func (a *API) resourceRoutes() []route {
	sshKeys := a.sshKeys().routes("account/prefs/sshkeys/", "account/prefs/sshkeys/{id}/")
	for i := range sshKeys {
		sshKeys[i].everyone, sshKeys[i].secret = true, true
	}
	devices := a.devices().routes("devices/", "devices/{id}/")
	for i := range devices {
		devices[i].operators = []string{""} // of their own devices only; see deviceForm
	}
	tsigKeys := a.tsigKeys().routes("tsigkeys/", "tsigkeys/{id}/")
	for i := range tsigKeys {
		tsigKeys[i].secret = true
	}
	pools := a.pools().routes("resourcepools/", "resourcepool/{id}/")
	juju := pools[0]
	juju.path = "pools/" // Juju uses the name from before MAAS 2.5
	return slices.Concat(
		devices, sshKeys, tsigKeys, pools, []route{juju},
		a.tags().routes("tags/", "tags/{id}/"),
		a.snippets().routes("dhcp-snippets/", "dhcp-snippets/{id}/"),
		a.dhcpClasses().routes("dhcp-classes/", "dhcp-classes/{id}/"),
		a.subnets().routes("subnets/", "subnets/{id}/"),
		a.interfaces().routes("nodes/{node}/interfaces/", "nodes/{node}/interfaces/{id}/"),
		a.users().routes("users/", "users/{id}/"),
		a.fabrics().routes("fabrics/", "fabrics/{id}/"),
		a.vlans().routes("fabrics/{id}/vlans/", "fabrics/{id}/vlans/{vid}/"),
		a.vlansByNumber().routes("vlans/", "vlans/{id}/"),
		a.spaces().routes("spaces/", "spaces/{id}/"),
		a.ranges().routes("ipranges/", "ipranges/{id}/"),
		a.staticRoutes().routes("static-routes/", "static-routes/{id}/"),
		a.reservedIPs().routes("reservedips/", "reservedips/{id}/"),
		a.zones().routes("zones/", "zones/{id}/"),
		a.domains().routes("domains/", "domains/{id}/"),
		a.resources().routes("dnsresources/", "dnsresources/{id}/"),
		a.records().routes("dnsresourcerecords/", "dnsresourcerecords/{id}/"),
	)
}

// nodeRoutes returns the further endpoints of machines, interfaces, racks and regions.
func (a *API) nodeRoutes() []route {
	return []route{
		{method: "GET", path: "machines/", handle: a.listMachines, answer: Machine{}, list: true},
		{method: "POST", path: "machines/", handle: a.createMachine, answer: Machine{}, ops: []string{"allocate", "release"}, operators: []string{"allocate", "release"}},
		{method: "GET", path: "machines/{id}/", handle: a.getMachine, answer: Machine{}, ops: []string{"query_power_state", "power_parameters", "details"}},
		{
			method: "POST", path: "machines/{id}/", handle: a.actOnMachine, answer: Machine{},
			ops:       []string{"power_on", "power_off", "power_cycle", "release", "lock", "unlock", "clear_default_gateways", "reinstall"},
			operators: []string{"power_on", "power_off", "power_cycle", "release", "lock", "unlock", "reinstall"},
		},
		{method: "PUT", path: "machines/{id}/", handle: a.updateMachine, answer: Machine{}},
		{method: "DELETE", path: "machines/{id}/", handle: a.deleteMachine},
		{method: "POST", path: "nodes/{node}/interfaces/", handle: a.createInterface, answer: interfaceJSON{}, ops: []string{"create_physical", "create_bond", "create_bridge", "create_vlan"}},
		{
			method: "POST", path: "nodes/{node}/interfaces/{id}/", handle: a.actOnInterface, answer: interfaceJSON{},
			ops: []string{"link_subnet", "unlink_subnet", "disconnect", "set_default_gateway", "add_tag", "remove_tag"},
		},
		{method: "GET", path: "tags/{id}/", handle: a.getTag, answer: tagJSON{}, ops: []string{"machines", "devices", "nodes"}},
		{method: "POST", path: "tags/{id}/", handle: a.actOnTag, answer: tagJSON{}, ops: []string{"update_nodes"}},
		{method: "GET", path: "rackcontrollers/", handle: a.listRacks, answer: Controller{}, list: true, ops: []string{"describe_power_types", "is_registered"}},
		{method: "GET", path: "rackcontrollers/{id}/", handle: a.getRack, answer: Controller{}},
		{method: "POST", path: "rackcontrollers/{id}/", handle: a.actOnRack, answer: Controller{}, ops: []string{"accept", "ignore"}},
		{method: "PUT", path: "rackcontrollers/{id}/", handle: a.updateRack, answer: Controller{}},
		{method: "DELETE", path: "rackcontrollers/{id}/", handle: a.deleteRack},
		{method: "GET", path: "regioncontrollers/", handle: a.listRegions, answer: Controller{}, list: true},
		{method: "GET", path: "regioncontrollers/{id}/", handle: a.getRegion, answer: Controller{}},
	}
}

// siteRoutes returns the other endpoints that MAAS has.
func (a *API) siteRoutes() []route {
	return []route{
		{method: "GET", path: "version/", handle: a.getVersion, public: true},
		{method: "POST", path: authenticatePath, handle: a.authenticate, public: true, everyone: true, secret: true},
		{method: "GET", path: "users/", handle: a.listUsers, answer: Account{}, list: true, ops: []string{"whoami"}},
		{method: "GET", path: "account/", handle: a.listTokens, ops: []string{"list_authorisation_tokens"}},
		{
			method: "POST", path: "account/", handle: a.actOnAccount, everyone: true, secret: true,
			ops: []string{"create_authorisation_token", "delete_authorisation_token", "delete_all_authorisation_tokens", "update_token_name"},
		},
		{method: "POST", path: "users/{id}/", handle: a.actOnUser, ops: []string{"delete_all_authorisation_tokens"}},
		{method: "GET", path: "ipaddresses/", handle: a.listAddresses, answer: ipAddressJSON{}, list: true},
		{method: "POST", path: "ipaddresses/", handle: a.actOnAddresses, answer: ipAddressJSON{}, ops: []string{"reserve", "release"}, operators: []string{"reserve", "release"}},
		{method: "GET", path: "subnets/{id}/", handle: a.getSubnet, answer: Subnet{}, ops: []string{"statistics", "ip_addresses", "reserved_ip_ranges", "unreserved_ip_ranges"}},
		{method: "GET", path: "events/", handle: a.listEvents, answer: Events{}, ops: []string{"query"}, query: []string{"id", "hostname", "mac_address", "level", "owner", "kind", "before", "after", "limit"}},
		{method: "GET", path: "discovery/", handle: a.listDiscoveries, answer: Discovery{}, list: true, ops: []string{"by_unknown_ip", "by_unknown_mac", "by_unknown_ip_and_mac"}},
		{method: "POST", path: "discovery/", handle: a.postDiscoveries, ops: []string{"clear", "clear_by_mac_and_ip", "scan", "ignore", "unignore"}, operators: []string{"scan"}},
		{method: "GET", path: "discovery/{id}/", handle: a.getDiscovery, answer: Discovery{}},
		{method: "GET", path: "notifications/", handle: a.listNotifications, answer: notificationJSON{}, list: true},
		{method: "GET", path: "notifications/{id}/", handle: a.getNotification, answer: notificationJSON{}},
		{method: "GET", path: "boot-resources/", handle: a.listBootResources, answer: bootResourceJSON{}, list: true},
		{method: "GET", path: "boot-resources/{id}/", handle: a.getBootResource, answer: bootResourceJSON{}},
		{method: "GET", path: "boot-sources/", handle: a.listBootSources, answer: bootSourceJSON{}, list: true},
		{method: "GET", path: "boot-sources/{id}/", handle: a.getBootSource, answer: bootSourceJSON{}},
		{method: "GET", path: "maas/", handle: a.getSetting, ops: []string{"get_config"}, query: []string{"name"}},
		{method: "POST", path: "maas/", handle: a.setSetting, ops: []string{"set_config"}},
	}
}

// ownRoutes returns the endpoints that MAAS does not have.
func (a *API) ownRoutes() []route {
	targets := []string{"machine", "tag", "subnet"} // the targets of boot profiles
	return []route{
		{method: "POST", path: "/api/v1/discovery/promote", handle: a.promote, answer: Promoted{}},
		{method: "GET", path: "/api/v1/discovery/scans/{id}", handle: a.getScan, answer: Scan{}},
		{method: "DELETE", path: "/api/v1/discovery/scans/{id}", handle: a.cancelScan},
		{method: "GET", path: "/api/v1/discovery/settings", handle: a.getDiscoverySettings, answer: DiscoverySettings{}},
		{method: "POST", path: "/api/v1/discovery/settings", handle: a.postDiscoverySettings, answer: DiscoverySettings{}},
		{method: "GET", path: "/api/v1/discovery/ignored", handle: a.listIgnored, answer: IgnoredDevice{}, list: true},
		{method: "GET", path: "/api/v1/discovery/dhcp-servers", handle: a.listDHCPServers, answer: DHCPServer{}, list: true},
		{method: "GET", path: "/api/v1/discovery/topology", handle: a.getTopology, answer: Topology{}},
		{method: "POST", path: "/api/v1/discovery/topology", handle: a.applyTopology},
		{method: "POST", path: "/api/v1/machines/{id}/power", handle: a.postPower, answer: PowerAnswer{}, operators: []string{""}},
		{method: "POST", path: "/api/v1/machines/{id}/boot", handle: a.postBoot, answer: PowerAnswer{}, operators: []string{""}},
		{method: "POST", path: "/api/v1/machines/{id}" + consolePath, stream: a.console, query: []string{"steal"}, operators: []string{""}},
		{method: "GET", path: "/api/v1/machines/{id}/boots", handle: a.listBoots, answer: Boot{}, list: true},
		{method: "GET", path: "/api/v1/leases", handle: a.listLeases, answer: Lease{}, list: true, query: []string{"subnet", "mac_address", "name", "state"}},
		{method: "GET", path: "/api/v1/leases/history", handle: a.leaseHistory, answer: LeasePeriod{}, list: true, query: []string{"ip", "mac_address", "at"}},
		{method: "GET", path: "/api/v1/leases/{ip}", handle: a.getLease, answer: Lease{}},
		{method: "DELETE", path: "/api/v1/leases/{ip}", handle: a.releaseLease, operators: []string{""}},
		{method: "GET", path: "/api/v1/boot-profile", handle: a.getProfile, query: targets, answer: pxe.Profile{}},
		{method: "PUT", path: "/api/v1/boot-profile", handle: a.putProfile, query: targets, body: pxe.Profile{}, answer: pxe.Profile{}},
		{method: "DELETE", path: "/api/v1/boot-profile", handle: a.deleteProfile, query: targets},
		{method: "GET", path: "/api/v1/boot-profiles", handle: a.listProfiles, answer: BootProfile{}, list: true},
		{method: "GET", path: "/api/v1/user-data", handle: a.listUserData, answer: UserData{}, list: true},
		{method: "PUT", path: "/api/v1/user-data", handle: a.putUserData, query: targets[:2], body: []byte{}},
		{method: "DELETE", path: "/api/v1/user-data", handle: a.deleteUserData, query: targets[:2]},
		{method: "GET", path: "/api/v1/proxy", handle: a.proxyStats, answer: RackProxy{}, list: true},
		{method: "POST", path: "/api/v1/proxy/purge", handle: a.purgeProxy},
		{method: "POST", path: "/api/v1/apply", handle: a.applySite, body: sitedoc.Document{}, answer: Applied{}, query: []string{"dry_run", "prune"}},
		{method: "GET", path: "/api/v1/export", handle: a.exportSite, answer: sitedoc.Document{}, query: []string{"format"}},
		{method: "POST", path: "/api/v1/keys", handle: a.postKey, secret: true},
		{method: "GET", path: openAPIPath, handle: a.openAPI, public: true},
		{method: "GET", path: "/api/v1/stream", stream: a.stream},
	}
}

// may returns why the user may not use a route, nil if they may. Everyone may read.
func (x route) may(r *http.Request) error {
	u := accountOf(r)
	switch {
	case x.public:
		return nil
	case u.Name == "":
		return &unauthorized{"this needs a key, or the socket of the administrator"}
	case u.Role == inventory.RoleAdmin, x.method == http.MethodGet, x.everyone:
		return nil
	case u.Role == inventory.RoleOperator && slices.Contains(x.operators, r.URL.Query().Get("op")):
		return nil
	}
	return &forbidden{"user " + u.Name + " has the role " + string(u.Role) + ", which does not allow this; an administrator may do it"}
}
