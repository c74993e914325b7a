// Package enrol makes a rack a member of a site by a token. It has the site's certificate
// authority, the tokens, and the certificates of racks.
//
// The region has an [Authority], which signs with the site's [CA] what its [Book] allows:
//
//	authority, err := enrol.NewAuthority(enrol.AuthorityConfig{CA: ca, Book: book, Regions: addresses})
//	authority.Offer(&methods)                                        // renewals
//	server, err := wire.NewServer(authority.ServerConfig(region))    // members, and new ones by token
//	token, err := authority.NewToken(ctx, time.Now().Add(time.Hour)) // fmt.Println(token) is for the administrator
//
// The rack makes its own key, which never leaves it, and gets a certificate for it. A [Keeper]
// keeps both in a file, and renews them while a session is up:
//
//	identity, regions, err := enrol.Join(ctx, token, "rack-7")
//	keeper, err := enrol.Keep(path, identity)
//	dialer := &wire.Dialer{TLS: keeper.TLS, ...}                                       // always the present certificate
//	rack, err := rpc.NewRack(rpc.RackConfig{Dial: dialer.Dial, Connected: keeper.Run, ...})
//
// A token names regions, the CA's fingerprint and a secret, so that a rack verifies the region
// before it sends the secret. It is good once: a Join whose answer was lost needs a new token. The
// Book, which the embedder stores, decides which racks get a certificate and which certificates are
// good; [MemBook] is one in memory.
//
// Keys are ECDSA on P-256. A region's certificate is good for servers only and a rack's for clients
// only, so a rack cannot pose as a region. Values may be used concurrently once made.
package enrol
