// Package wol switches machines on by magic packets (Wake-on-LAN). It can do nothing else: the
// state is not known, and nobody is switched off.
//
//	target := power.Target{Kind: "wol", Params: power.Params{"mac_address": "52:54:00:12:34:56"}}
//
// The packet goes to the broadcast address of the network the machine is on, as a router would need
// to let it pass.
package wol
