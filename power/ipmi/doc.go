// Package ipmi drives BMCs over IPMI: RMCP+ ("lanplus", IPMI 2.0) and, for old ones, IPMI 1.5 ("lan").
//
//	registry := power.NewRegistry(ipmi.Kind())
//	target := power.Target{Kind: "ipmi", Params: power.Params{
//		"power_address": "192.0.2.9", "power_user": "admin", "power_pass": secret,
//	}}
//
// RMCP+ is this package's own, since no library there is takes a BMC key (K_g) or tells a refused password from a lost
// datagram. IPMI 1.5 goes through github.com/vmware/goipmi, whose own "lanplus" is left alone: it starts ipmitool with the
// password in its arguments, where every user of the host can read it. Cipher suites are offered as 17 and then 3 without
// asking the BMC first, because some never answer that question (10 s lost with OpenIPMI's simulator).
//
// IPMI 1.5 is slow to fail: a wrong password looks like a BMC that does not answer.
package ipmi
