// Package redfish drives BMCs over Redfish (DMTF DSP0266), through github.com/stmcginnis/gofish.
//
//	registry := power.NewRegistry(redfish.Kind())
//	target := power.Target{Kind: "redfish", Params: power.Params{
//		"power_address": "192.0.2.9", "power_user": "admin", "power_pass": secret, "tls_fingerprint": pin,
//	}}
//
// TLS is verified by default. BMCs rarely have a certificate that anybody knows, so either its
// SHA-256 fingerprint is given in tls_fingerprint, or verification is switched off by name with
// tls_verify=no. Each request opens a session and closes it again, since BMCs have few and keep
// forgotten ones for long. Of several systems behind one BMC node_id names the one that is meant.
// The reset types used are those that the system says it has.
//
// The library is always given a client of this package's own: left alone it switches off
// verification for the whole process.
package redfish
