// Package ipmi drives BMCs over IPMI: RMCP+ ("lanplus", IPMI 2.0) and, for old ones, IPMI 1.5
// ("lan").
//
//	registry := power.NewRegistry(ipmi.Kind())
//	target := power.Target{Kind: "ipmi", Params: power.Params{
//		"power_address": "192.0.2.9", "power_user": "admin", "power_pass": secret,
//	}}
//
// # Libraries
//
// RMCP+ is code of this package. github.com/bougou/go-ipmi v0.9.1, which powersim uses for its BMC,
// would do but for one thing: its client reports a refused password (ErrRAKPAuthentication) and
// computes with a BMC key (K_g), but the field bmcKey has no setter, and MAAS has a parameter for
// it. With a setter, internal/rmcp can be deleted.
//
// IPMI 1.5 is github.com/vmware/goipmi. Its "lanplus" is not used: it starts ipmitool with the
// password in the arguments, where every user of the host can read it, and has no BMC key.
//
// # Behavior
//
// Cipher suites are offered as 17 and then 3 without asking the BMC for its list, because some BMCs
// never answer that question (10 s lost with OpenIPMI's simulator). IPMI 1.5 is slow to fail: a
// wrong password looks like a BMC that does not answer.
package ipmi
