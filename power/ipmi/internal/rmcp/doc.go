// Package rmcp is a client of RMCP+ sessions (IPMI 2.0, sections 13.14 to 13.33): the handshake
// (RAKP) with its keys, and commands inside a session that is authenticated and encrypted.
package rmcp
