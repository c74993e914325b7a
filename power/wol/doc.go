// Package wol switches machines on by magic packets (Wake-on-LAN). It can do nothing else: it does
// not learn the state, and it cannot switch off.
//
//	target := power.Target{Kind: "wol", Params: power.Params{"mac_address": "52:54:00:12:34:56"}}
//
// The packet goes to the broadcast address of the machine's network, as a router would need to let
// it pass.
package wol
