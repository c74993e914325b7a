// Package pdu switches outlets of power distribution units: over SNMP, and over HTTP for the
// switches of Digital Loggers.
//
//	target := power.Target{Kind: "pdu", Params: power.Params{"pdu_type": "raritan", "power_address": "192.0.2.9", "node_outlet": "7,8"}}
//
// A machine with several power supplies names all its outlets, separated by commas: it is off when
// all of them are, and on when all are. Where units are chained the number of the outlet follows
// the number of the unit, as in 2.7; with one unit 7 is enough.
//
// The makes are a table: APC, Eaton, Raritan, Server Technology (Sentry3 and Sentry4), Vertiv
// Geist, CyberPower and Digital Loggers. [Kinds] returns the kind "pdu" and, with the make chosen,
// the power types that MAAS has: apc, eaton, raritan and dli.
//
// SNMP is version 1 unless snmp_version says 2c or 3. The community is "private" unless power_pass
// says otherwise; versions 1 and 2c send it in the clear, so keep such units on a network of their
// own, or use version 3, which is encrypted.
//
// Tested against net-snmp's snmpd with the columns of one make, and against simulations made from
// the public MIBs and documents of all; not against hardware.
package pdu
