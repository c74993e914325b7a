// Package maasapi serves the MAAS API 2.0 over an inventory, and below /api/v1/ the operations that
// MAAS does not have.
//
//	api, err := maasapi.New(maasapi.Config{Inventory: inv, Power: power})
//	server := httptest.NewServer(api.Handler()) // asks clients for an API key
//	key, err := api.CreateKey(ctx, "admin")     // consumer:token:secret
//
//	// Any client of MAAS works; this one is github.com/canonical/gomaasclient.
//	maas, err := client.GetClient(server.URL+"/MAAS", key, "2.0")
//	subnet, err := maas.Subnets.Create(&entity.SubnetParams{CIDR: "192.0.2.0/24"})
//
// [API.Local] returns a second handler, for a Unix socket: it asks for no key. The package example
// is a whole program. Config.Base mounts the API below any path. [Direct] switches machines from
// this process, and package maastest is a MAAS for tests in one line.
//
// # Authentication
//
// Requests are signed with OAuth 1.0a PLAINTEXT and the key that [API.CreateKey] returns once. A
// request's clock may be five minutes off, and each nonce is accepted once. accounts/authenticate/
// exchanges a user's password for a key: ten attempts at once for a user or an address, then one
// every six seconds. Keys and passwords are kept as hashes.
//
// Administrators may do everything. Operators read, switch, allocate and release machines that are
// theirs or have no owner, reserve addresses, and own devices. Read-only users read, and manage
// their own keys.
//
// # What is supported
//
// ENDPOINTS.md lists MAAS' endpoints, what this API does of each, and every route; a test compares
// it with the routes. Everything else answers 501 with a body that names the request. Below
// /api/v1/ are:
//
//   - apply and export: the site as one document, see package sitedoc; ?dry_run=true and
//     ?prune=true
//   - machines/{id}/console: the serial console; the body is typed, the answer is what is printed
//   - stream: server-sent events of all changes, of the log and of boots, resumed with
//     Last-Event-ID
//   - openapi.json: the description of this API, made from its routes
//   - machines/{id}/power and machines/{id}/boots: more than MAAS' operations return
//   - discovery/promote, scans, settings, dhcp-servers and topology
//   - proxy and proxy/purge
//   - boot-profile?machine=, ?tag= or ?subnet=, without these the site's; and boot-profiles, which
//     lists all. A machine boots the first that exists of: its own, its tags', its subnet's, that
//     subnet's tags', the site's
//   - keys: administrators create keys for users
//
// # Power parameters
//
// A request that makes or changes a machine has power_type and a field power_parameters_NAME for
// each of the parameters of the power.Kind, such as power_parameters_power_address; or all of them
// as one JSON object in power_parameters. Clients of MAAS send the former, so gomaasclient's map of
// power parameters has the keys with the prefix.
//
// # Rules for all endpoints
//
// A POST with an Idempotency-Key is executed once: a repeated request within a day gets the same
// answer, and another body 422. Lists take limit and offset, with links to the next pages in Link
// and the length in X-Total-Count. Objects that count their changes have an ETag, and a PUT or
// DELETE with If-Match answers 412 if the object has changed. A machine's ETag covers its own
// fields, not its interfaces.
//
// A form may be a JSON object: a field that is null or absent leaves its value as it is, and an
// empty list empties it.
//
// Writes are transactions: a refused write changes nothing, and a read after a write sees it. The
// same transaction logs an event of level AUDIT with the user, the request and the changes.
//
// # Errors
//
// 400 has a JSON object of fields with messages. 401, 403, 404 and 412 are as usual, 409 means in
// use or changed meanwhile, and 503 that a BMC cannot be reached. Answers never contain secrets,
// apart from the answer that creates one.
package maasapi
