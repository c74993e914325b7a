// Package enrol makes a rack a member of a site by a token. It has the site's certificate
// authority, the tokens, and the certificates of racks.
//
// The region makes a [CA] once and keeps it. A token names regions, the CA's fingerprint and a
// secret, so that a rack verifies the region before it sends the secret:
//
//	token := enrol.Token{Regions: addresses, Fingerprint: ca.Fingerprint(), Secret: rand.Text(), Expires: soon}
//	fmt.Println(token) // what the administrator carries to the rack
//
// The rack makes its own key, which never leaves it, and gets a certificate for it:
//
//	identity, regions, err := enrol.Join(ctx, token, "rack-7")
//	keeper, err := enrol.Keep(path, identity)
//	dialer := &wire.Dialer{TLS: keeper.TLS, ...} // always the present certificate
//
// [Keeper.Renew] replaces key and certificate over a session that is up, from [Identity.RenewAt]
// on. The region decides which racks get a certificate, and keeps which tokens are used and which
// certificates are revoked; this package signs what the region tells it to sign.
//
// Keys are ECDSA on P-256. A region's certificate is good for servers only and a rack's for clients
// only, so a rack cannot pose as a region. Values may be used concurrently once made.
package enrol
