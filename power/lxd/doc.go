// Package lxd switches instances of LXD and Incus: virtual machines and containers.
//
//	target := power.Target{Kind: "lxd", Params: power.Params{
//		"power_address": "https://incus.example:8443", "instance_name": "web-1", "certificate": certPEM, "key": keyPEM, "tls_fingerprint": pin,
//	}}
//
// An address that is an absolute path is a UNIX socket of this host, such as
// /var/lib/incus/unix.socket, and needs no certificate. Over the network the client certificate
// must be trusted by the server. If it is not and a trust token or trust password is given, the
// certificate is added with that.
//
// What an instance boots from is a matter of its configuration (boot.priority of its devices).
//
// Tested against a simulation made from the public documents of the REST interface, not against a
// server.
package lxd
