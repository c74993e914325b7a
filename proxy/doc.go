// Package proxy is the HTTP proxy through which machines on managed subnets reach package mirrors and the like.
//
// A [Proxy] is an http.Handler that takes absolute-form requests and CONNECT tunnels:
//
//	p, err := proxy.New(proxy.Config{})
//	err = p.Update(proxy.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
//	err = http.Serve(ln, p)
//
// Who may use it and where it may go is a [Policy], replaced while serving; connections in progress finish. The zero policy
// allows nobody, so a proxy is never open by accident. Whatever the policy says about ports, it never connects to loopback,
// link-local, multicast or unspecified addresses unless [Policy.AllowLocal] names their network: a machine must not reach
// the services of the rack itself through it. The check is on the address that is dialled, after name resolution.
//
// This version forwards and does not keep what it fetched.
package proxy
