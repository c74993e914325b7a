// Package openbmc drives BMCs that run OpenBMC through their D-Bus REST interface, which older
// releases have beside Redfish. Where a BMC has Redfish, prefer power/redfish.
//
//	target := power.Target{Kind: "openbmc", Params: power.Params{
//		"power_address": "192.0.2.9", "power_user": "root", "power_pass": secret, "tls_fingerprint": pin,
//	}}
//
// TLS is verified unless tls_verify is "no" or a fingerprint is given. Each request logs in and out
// again.
//
// Tested against a simulation made from the public documents of the interface, not against
// hardware.
package openbmc
