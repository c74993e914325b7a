// Package console is the page of a site: an http.Handler that shows machines, boots, networks and
// addresses as they are now, and acts on them.
//
//	cfg := console.For(inv)                   // reads from an inventory
//	cfg.API = api.Handler()                   // acts through the API, with the user's rights
//	page, err := console.New(cfg)
//	mux.Handle("/", page)
//
// # How it acts
//
// Each form is sent on as one request to Config.API in the name of the user, so that roles, checks,
// transactions and the audit log are the API's. A page names that request, and the maas command
// that makes the same one, at its foot. A form that changes an object carries the version that was
// shown: if the object was changed since, the answer shows both versions and asks again.
//
// # Users
//
// A log-in makes an API key with the name [KeyName], which expires after [SessionTime]; the cookie
// holds the key, and the database its hash alone. A log-out deletes the key, and "log out
// everywhere" all keys of that name. A change of the password ends all sessions. Where the API
// trusts its clients, as on the socket of the administrator, Config.Trusted leaves the log-in out.
//
// # In the browser
//
// Pages are plain HTML and are complete without JavaScript; htmx adds live rows. Scripts and styles
// are files of the binary; the Content-Security-Policy permits nothing else. GET changes nothing. A
// write needs a token that belongs to the session, and is refused if it is from a page of another
// origin.
package console
