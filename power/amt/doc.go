// Package amt switches machines by Intel's Active Management Technology (vPro), over WS-Management.
//
//	target := power.Target{Kind: "amt", Params: power.Params{
//		"power_address": "192.0.2.9", "power_pass": secret, "tls_fingerprint": pin,
//	}}
//
// Port 16993 is with TLS and the default; 16992 is without. The user proves the password by a
// digest. The boot device for the next boot is the network or the disk; AMT cannot report it.
//
// The five messages that this takes are written by hand: the library of Intel's toolkit has the
// classes of all of AMT, and models none of the answers for errors.
//
// Tested against a simulation made from Intel's public SDK documents, not against hardware.
package amt
