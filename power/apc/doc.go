// Package apc switches outlets of APC power distribution units over SNMP version 1.
//
//	target := power.Target{Kind: "apc", Params: power.Params{"power_address": "192.0.2.9", "node_outlet": "7"}}
//
// A machine with several power supplies names all its outlets, separated by commas: it is off when
// all of them are, and on when all are. The community is "private" unless power_pass says
// otherwise; version 1 sends it in the clear, so keep such units on a network of their own.
//
// Tested against a simulation made from the unit's public MIB (PowerNet), not against hardware.
package apc
