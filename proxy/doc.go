// Package proxy is an HTTP proxy for the machines of managed subnets, with a cache that spares
// package mirrors when many machines install at once.
//
//	cache, err := proxy.OpenCache(proxy.CacheConfig{Dir: "/var/cache/gomaas/proxy"})
//	defer cache.Close() // after the last request
//	p := proxy.New(proxy.Config{Cache: cache})
//	err = p.Update(proxy.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
//	err = http.Serve(ln, p)
//
// A [Proxy] is an http.Handler for absolute-form requests and CONNECT tunnels. Without a Cache it
// only forwards.
//
// # The policy
//
// A [Policy] says which clients may use the proxy, and for which destinations. [Proxy.Update]
// replaces it while the proxy serves; connections in progress finish. The zero policy allows no
// client, so that a proxy is never open by accident.
//
// A machine must not reach the rack's own services through the proxy. It therefore never connects
// to [Policy.Deny], nor to loopback, link-local, multicast or unspecified addresses, nor to an
// address of its own host, unless [Policy.AllowLocal] names their network. The check is on the
// dialed address, after name resolution.
//
// [Policy.Routes] make it a server as well, for requests in origin form: of boot images, or of a
// mirror under a short name.
//
// # The cache
//
// It is a shared cache of RFC 9111, with stale-while-revalidate and stale-if-error (RFC 5861),
// Cache-Status (RFC 9211), and CDN-Cache-Control (RFC 9213) for routes only. A [Rule] adds what is
// known about package repositories, see [PackageRules].
//
// Forwarding is collapsed: a URL that many clients want is fetched once, and each client reads the
// growing file at its own speed. When the last client leaves, a fetch continues only if little is
// missing. Bodies are files and are sent by sendfile, as long as no handler around the proxy hides
// io.ReaderFrom. A body whose end cannot be told from a broken connection is never kept.
//
// A fetch that breaks off continues where it ended, with If-Range, unnoticed by its clients. An
// incomplete body is kept as a partial entry; later requests are answered from its parts, and the
// rest is fetched. This takes a strong validator and a known length. Requests with bodies,
// If-Match, Expect or Upgrade bypass the cache, and so do multi-part ranges of uncached objects.
//
// # Between proxies
//
// [Policy.Parents] are tried in order; [Policy.HostParents] are for some hosts only, and
// [Policy.Direct] is reached without any. Requests carry Via, so that a loop of parents ends with
// 508. [Policy.Uplink] shares a slow line among clients. Credentials of parents are never shown.
//
// # Watching it
//
// [Proxy.Stats] returns counters, per subnet, and the busiest objects and clients. [Config.Access]
// receives each request; [LogAccess] and [CommonLog] write it to a log. [Cache.Purge] and
// [Cache.PurgePrefix] remove entries.
//
// # Concurrency and errors
//
// Everything may be used concurrently, and several proxies may share a Cache. Errors of origins
// become 502, refusals 403, an only-if-cached miss 504. To stop, shut the http.Server down and
// close the cache, which ends the fetches in the background.
package proxy
