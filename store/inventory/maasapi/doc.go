// Package maasapi is a region's HTTP API over an inventory: the MAAS API 2.0 (paths, op= parameters, form-encoded writes,
// JSON answers with the field names that clients of MAAS know) and, below /api/v1/, what MAAS has no name for.
//
//	api := maasapi.New(maasapi.Config{Inventory: inv, Power: power})
//	http.Serve(tcp, api.Handler())   // asks for an API key
//	http.Serve(unix, api.Local())    // trusts whoever may open the socket
//
// # Authentication
//
// Handler takes OAuth 1.0a PLAINTEXT with the three-part key that [API.CreateKey] returns once. Only a hash of the key is
// kept. Asking for the version needs no key.
//
// # Supported so far
//
// version; users?op=whoami; machines (list, create, read, delete, op=power_on, power_off, power_cycle, query_power_state);
// fabrics, vlans, subnets and zones (list and read); events (op=query); discovery (list, read, op=by_unknown_mac,
// by_unknown_ip, by_unknown_ip_and_mac, clear, clear_by_mac_and_ip, scan); and in /api/v1/ discovery/promote, which makes a machine or
// device of a discovery, discovery/scans, which tells how far a scan is and cancels it, discovery/dhcp-servers and
// discovery/topology, discovery/settings; boot-profile, the profile of machines
// that have none of their own. Everything else answers 501 with a body that names it.
//
// # Errors
//
// 400 with a JSON object of fields and what is wrong with them, 401, 404, 409 for what is in use or has changed meanwhile,
// 503 when a BMC cannot be reached. Answers never hold secrets.
package maasapi
