// Package maasapi is a region's HTTP API over an inventory: the MAAS API 2.0 (paths, op= parameters, form-encoded writes,
// JSON answers with the field names that clients of MAAS know) and, below /api/v1/, what MAAS has no name for.
//
//	api, err := maasapi.New(maasapi.Config{Inventory: inv, Power: power})
//	http.Serve(tcp, api.Handler())   // asks for an API key
//	http.Serve(unix, api.Local())    // trusts whoever may open the socket
//
// # Authentication
//
// Handler takes OAuth 1.0a PLAINTEXT with the three-part key that [API.CreateKey] returns once; only a hash of it is kept.
// A request's clock may be five minutes off, and a nonce is taken once. /MAAS/accounts/authenticate/ answers a key for a user
// and a password; of passwords, too, there are only hashes. A user, and an address, may try ten passwords at once and one each
// six seconds after that. Asking for the version needs no key.
//
// Users have roles. Administrators do everything. Operators switch, take and give back machines that are theirs or nobody's,
// reserve addresses, have devices of their own, and read. Those with read-only read, and manage their own keys.
//
// # What is supported
//
// ENDPOINTS.md lists every endpoint of MAAS with what this API does of it, and a test holds it to that. What is not supported
// answers 501 with a body that names it. Below /api/v1/ is what MAAS has no name for:
//
//   - apply and export: the site as one document, see package sitedoc; ?dry_run=true and ?prune=true
//   - stream: server-sent events of all changes, of the log and of boots, resumed with Last-Event-ID
//   - openapi.json: this API as OpenAPI 3, made from the table that is served
//   - machines/{id}/power, which tells more than MAAS' operations do
//   - discovery/promote, scans, settings, dhcp-servers and topology
//   - proxy and proxy/purge
//   - boot-profile?machine=, ?tag= or ?subnet=, what they boot, or without these what the rest of the site does; and
//     boot-profiles, all of them. The first counts of: the machine's, its tags', its subnet's, that subnet's tags', the site's
//   - keys, with which administrators make keys for users
//
// # What is the same everywhere
//
// A POST with an Idempotency-Key is done once: sent again within a day it is answered as before, with another body 422. Lists
// take limit and offset, and tell of the pages beside them in Link and of their length in X-Total-Count. An object that counts
// its changes has an ETag; a PUT or DELETE with If-Match is refused with 412 when it has changed. The ETag of a machine is that
// of its own fields, not of its interfaces.
//
// A form may be a JSON object: a field that is null or not there leaves its value as it is, and an empty list empties it.
//
// Writes are transactions: one that is refused leaves nothing behind, and a read after one sees it. Each leaves an event with
// the level AUDIT, in the same transaction: who asked for what, and what changed by it.
//
// # Errors
//
// 400 with a JSON object of fields and what is wrong with them, 401, 403, 404, 412, 409 for what is in use or has changed meanwhile,
// 503 when a BMC cannot be reached. Answers never hold secrets.
package maasapi
