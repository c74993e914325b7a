// Package proxy is the HTTP proxy through which machines on managed subnets reach package mirrors and the like, and the cache
// that spares the mirrors when many machines install at once.
//
// # The one call
//
// A [Proxy] is an http.Handler that takes absolute-form requests and CONNECT tunnels:
//
//	p := proxy.New(proxy.Config{})
//	err := p.Update(proxy.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
//	err = http.Serve(ln, p)
//
// Who may use it and where it may go is a [Policy], replaced while serving; connections in progress finish. The zero policy
// allows nobody, so a proxy is never open by accident. Whatever the policy says about ports, it never connects to loopback,
// link-local, multicast or unspecified addresses nor any address of its own host unless [Policy.AllowLocal] names their
// network, nor to [Policy.Deny]: a machine must not reach the services of the rack itself through it. The check is on the address that is dialled, after name
// resolution.
//
// [Policy.Routes] make it a server as well, for requests in origin form: of boot images, or of a mirror under a short name.
//
// # The cache
//
//	cache, err := proxy.OpenCache(proxy.CacheConfig{Dir: "/var/cache/maas/proxy"})
//	p := proxy.New(proxy.Config{Cache: cache})
//	defer cache.Close() // after the last request
//
// It is a shared cache as RFC 9111 describes it: freshness, Age, Vary, validation, directives of requests, Authorization,
// invalidation by unsafe methods; with stale-while-revalidate and stale-if-error (RFC 5861), Cache-Status (RFC 9211), and
// CDN-Cache-Control (RFC 9213) for routes only. When an origin cannot be reached, a stale response is served unless its
// fields forbid that. [Rule] values add what is known about package repositories, see [PackageRules].
//
// A URL that many clients want is fetched once, and each of them reads the growing file at its own speed. When the last of
// them leaves, a fetch goes on only where little is missing. Bodies are in files, never in memory, and go out by sendfile as
// long as no handler around the proxy hides io.ReaderFrom; small ones that were used lately are kept in at most 32 MB.
// A body whose end cannot be told from a broken connection is never kept. What a kill or a crash leaves is found by
// checksums; see the package's internal/objects for how.
//
// A fetch that breaks off goes on where it ended, with If-Range, and its clients do not notice. What is there of a body
// that nobody waits for any more is kept with a list of its parts; so are ranges of what is not there. Later requests are
// answered from the parts, and what is missing of them is asked for. That takes a strong validator and a known length;
// without, a body that came short is dropped. Requests with bodies, If-Match, Expect or Upgrade, and multi-part ranges of what
// is not there, pass by the cache.
//
// # Between proxies
//
// [Policy.Parents] are tried in order, [Policy.Direct] is reached without them. Requests carry Via, so a loop of parents ends
// with 508, and Forwarded by choice. [Policy.Uplink] shares a slow line among clients. Credentials of parents are shown
// nowhere.
//
// # Watching it
//
// [Proxy.Stats] is a snapshot of counters, per subnet, and of the busiest objects and clients. [Config.Access] hears of each
// request; [LogAccess] and [CommonLog] write that down. [Cache.Purge] and [Cache.PurgePrefix] forget.
//
// # The parts
//
// No library does this: those for Go keep each body as a []byte, wait for its end before the first byte leaves, or are for
// one client. So the rules, the store and the handler are here, on net/http and without other modules.
//
// Everything may be used concurrently. Errors of origins become 502, refusals 403, a missing only-if-cached 504. To stop,
// shut the http.Server down and close the cache, which ends what still runs in the background.
package proxy
